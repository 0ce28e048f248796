// Private: whether a chunk of floating-point numbers holds NaN or infinity.
//
// Looks at the exponent bits alone, many GB/s. Pure.
#pragma once

#include <cstddef>
#include <span>

#include "tributary/tensor/dtype.h"

namespace tributary::blob {

// True for dtypes that have neither. Bytes that make no whole element at the end are not looked at.
bool AllFinite(tensor::DType dtype, std::span<const std::byte> bytes);

}  // namespace tributary::blob
