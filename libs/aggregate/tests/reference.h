// The reducer's arithmetic, one scalar at a time, out of tensor's conversions: what the vectorised loops are held against.
#pragma once

#include <cstddef>
#include <vector>

#include "tributary/tensor/dtype.h"

namespace tributary::aggregate {

struct ReferenceInput {
  std::vector<std::byte> chunk;
  tensor::Encoding encoding = tensor::Encoding::kNative;
  float weight = 0;
};

std::vector<std::byte> ReferenceMean(tensor::DType dtype, std::size_t elements, const std::vector<ReferenceInput>& inputs);

}  // namespace tributary::aggregate
