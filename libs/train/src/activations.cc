#include "activations.h"

#include <ATen/ATen.h>

namespace tributary::train {

at::Tensor Activated(const at::Tensor& x, const std::string& name) {
  if (name == "relu") {
    at::Tensor in_place = x;
    return at::relu_(in_place);
  }
  return at::gelu(x, name == "gelu" ? "none" : "tanh");
}

}  // namespace tributary::train
