#include "checkpointing.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/custom_class.h>

#include <utility>

namespace tributary::train {
namespace {

struct Block : public torch::CustomClassHolder {
  explicit Block(std::function<at::Tensor(const at::Tensor&)> b) : body(std::move(b)) {}
  std::function<at::Tensor(const at::Tensor&)> body;
};

// `root` has a gradient and makes the result have one: the input of a frozen model's first block has none, its adapters do.
struct CheckpointFunction : public torch::autograd::Function<CheckpointFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& /*root*/,
                            c10::intrusive_ptr<Block> block) {
    context->save_for_backward({x});
    context->saved_data["x_has_gradient"] = x.requires_grad();
    at::Tensor out = block->body(x);
    context->saved_data["block"] = c10::IValue::make_capsule(std::move(block));
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto block = c10::static_intrusive_pointer_cast<Block>(context->saved_data["block"].toCapsule());
    const at::Tensor x = context->get_saved_variables()[0].detach();
    x.requires_grad_(context->saved_data["x_has_gradient"].toBool());
    at::Tensor out;
    {
      const at::AutoGradMode with_gradients(true);
      out = block->body(x);
    }
    // Gradients of the block's weights are added to them here.
    torch::autograd::backward({out}, {gradients[0]});
    return {x.grad(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Checkpointed(const Runtime& runtime, const at::Tensor& x, std::function<at::Tensor(const at::Tensor&)> block) {
  if (!runtime.checkpointing || !at::GradMode::is_enabled()) return block(x);
  const at::Tensor root = at::zeros({1}, x.options().dtype(at::kFloat)).requires_grad_(true);
  return CheckpointFunction::apply(x, root, c10::make_intrusive<Block>(std::move(block)));
}

}  // namespace tributary::train
