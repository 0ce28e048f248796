#include "rotary.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace tributary::train {
namespace {

// The halves of the last axis as (a, b): a cos - b sin and b cos + a sin.
void Turn(const at::Tensor& from, const at::Tensor& to, const at::Tensor& cosines, const at::Tensor& sines, int direction) {
  const at::Tensor a = from.select(-2, 0);
  const at::Tensor b = from.select(-2, 1);
  at::Tensor turned_a = to.select(-2, 0);
  at::Tensor turned_b = to.select(-2, 1);
  at::mul_out(turned_a, a, cosines);
  turned_a.addcmul_(b, sines, -direction);
  at::mul_out(turned_b, b, cosines);
  turned_b.addcmul_(a, sines, direction);
}

// [rows * columns, heads * width] as [rows, heads, columns, 2, width / 2], a view.
at::Tensor Halves(const at::Tensor& x, std::int64_t rows, std::int64_t columns, std::int64_t half) {
  return x.view({rows, columns, x.size(1) / (2 * half), 2, half}).transpose(1, 2);
}

// Keeps nothing of x: the gradient is turned back.
struct RotaryFunction : public torch::autograd::Function<RotaryFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cosines,
                            const at::Tensor& sines, std::int64_t rows, std::int64_t columns) {
    const std::int64_t half = cosines.size(1);
    const std::int64_t heads = x.size(1) / (2 * half);
    context->save_for_backward({cosines, sines});
    at::Tensor out = at::empty({rows, heads, columns, 2 * half}, x.options().requires_grad(false));
    Turn(Halves(x, rows, columns, half), out.view({rows, heads, columns, 2, half}), cosines, sines, 1);
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& slope = gradients[0];
    const std::int64_t half = saved[0].size(1);
    const std::int64_t rows = slope.size(0);
    const std::int64_t heads = slope.size(1);
    const std::int64_t columns = slope.size(2);
    at::Tensor to_x = at::empty({rows * columns, heads * 2 * half}, slope.options().requires_grad(false));
    Turn(slope.reshape({rows, heads, columns, 2, half}), Halves(to_x, rows, columns, half), saved[0], saved[1], -1);
    return {to_x, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

void Rotary::Prepare(std::int64_t columns, const at::Tensor& like) {
  if (cosines_.defined() && cosines_.size(0) >= columns && cosines_.scalar_type() == like.scalar_type() &&
      cosines_.device() == like.device()) {
    return;
  }
  // A text that grows by a token at a time asks seldom.
  std::int64_t positions = 64;
  while (positions < columns) positions *= 2;
  const std::vector<float> frequencies = rope_.Frequencies(width_);
  at::Tensor row = at::empty({1, width_ / 2}, at::kFloat);
  std::copy(frequencies.begin(), frequencies.end(), row.data_ptr<float>());
  const at::Tensor angles = at::arange(positions, at::kFloat).unsqueeze(1) * row;
  cosines_ = angles.cos().to(like.device(), like.scalar_type());
  sines_ = angles.sin().to(like.device(), like.scalar_type());
}

at::Tensor Rotary::operator()(const at::Tensor& x, std::int64_t rows, std::int64_t columns) {
  Prepare(columns, x);
  return RotaryFunction::apply(x, cosines_.narrow(0, 0, columns), sines_.narrow(0, 0, columns), rows, columns);
}

}  // namespace tributary::train
