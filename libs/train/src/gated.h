// The gated unit of Llama's feed-forward layers (Shazeer 2020): silu(gate) * up, keeping its two inputs alone for the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

namespace tributary::train {

at::Tensor SiluGated(const at::Tensor& gate, const at::Tensor& up);

}  // namespace tributary::train
