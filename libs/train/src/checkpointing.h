// Gradient checkpointing (Chen et al. 2016): a block keeps its input alone and is computed again in the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "weights.h"

namespace tributary::train {

// block(x); where the runtime says so and gradients are on, without keeping what is computed inside. `block` is called a second
// time in the backward pass and must compute the same (dropout comes from the runtime's seed, which stays until then); what it
// captures by reference must live until then.
at::Tensor Checkpointed(const Runtime& runtime, const at::Tensor& x, std::function<at::Tensor(const at::Tensor&)> block);

}  // namespace tributary::train
