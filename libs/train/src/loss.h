// Mean cross-entropy of next tokens, without keeping the logits.
//
// The logits of a large vocabulary would be the largest tensor of a training step. They are
// computed a few rows at a time, and the gradients of hidden states and output weight come out of
// the same pass: that of the weight is added to weight.grad() before backward() is called.
#pragma once

#include <ATen/core/Tensor.h>

#include "network.h"

namespace tributary::train {

// hidden [n, width], weight [vocabulary, width], targets [n] int64 (kIgnore: none); products are computed in `compute`, sums of
// them in fp32. A scalar with a gradient where gradients are on; over all targets that are not ignored; REQUIRES that there is one,
// that weight is a leaf where it has a gradient, and that backward() is called on the result itself.
at::Tensor CrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, at::ScalarType compute);
// The same without gradients, and how many targets were likeliest.
BatchScore EvaluateCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, at::ScalarType compute);
// Log-probability of each target, fp32 [n]; 0 of ignored ones.
at::Tensor LogProbabilities(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, at::ScalarType compute);

}  // namespace tributary::train
