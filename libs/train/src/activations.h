// The activations of feed-forward layers, by the names that a config.json has for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tributary::train {

// "relu" (overwrites x, which no product keeps), "gelu" or "gelu_new".
at::Tensor Activated(const at::Tensor& x, const std::string& name);

}  // namespace tributary::train
