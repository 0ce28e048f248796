#include "gated.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tributary::train {
namespace {

struct SiluGatedFunction : public torch::autograd::Function<SiluGatedFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    context->save_for_backward({gate, up});
    return at::silu(gate).mul_(up);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& slope = gradients[0];
    at::Tensor to_up = at::silu(saved[0]).mul_(slope);
    at::Tensor to_gate = at::silu_backward(slope * saved[1], saved[0]);
    return {to_gate, to_up};
  }
};

}  // namespace

at::Tensor SiluGated(const at::Tensor& gate, const at::Tensor& up) { return SiluGatedFunction::apply(gate, up); }

}  // namespace tributary::train
