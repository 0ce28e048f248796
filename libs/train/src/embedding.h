// Rows of an embedding, whose gradient is added row by row.
//
// What libtorch's own gradient of an embedding is, a matrix of the vocabulary's size of which a batch touches few rows, is never made. May throw libtorch's exceptions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tributary::train {

// weight [vocabulary, width], ids int64 of any shape -> [..., width]. The row `padding` takes no gradient; -1: none. With a gradient, weight is a leaf.
at::Tensor Embedded(const at::Tensor& weight, const at::Tensor& ids, std::int64_t padding = -1);

}  // namespace tributary::train
