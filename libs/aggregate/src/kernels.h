// Private: the loops of the reducer, one per element type. Plain loops that g++ vectorises; no branch depends on data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tributary/tensor/dtype.h"

namespace tributary::aggregate {

// Element types of a chunk as it stands.
enum class Kernel { kF32, kF16, kBF16, kF64, kI64, kI32, kU8, kBool };

// acc[i] = (first_add ? +0 : acc[i]) + w * x[i], floats only.
void AddFloats(Kernel kernel, float* acc, const std::byte* x, std::size_t count, float weight, bool first_add);
// acc[i] += w * (x[i] - first[i]), integers only.
void AddDifferences(Kernel kernel, float* acc, const std::byte* first, const std::byte* x, std::size_t count, float weight);
// out[i] = acc[i] in the kernel's type; integers add `first`.
void Store(Kernel kernel, std::byte* out, const float* acc, const std::byte* first, std::size_t count);

}  // namespace tributary::aggregate
