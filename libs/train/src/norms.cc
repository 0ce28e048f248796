#include "norms.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tributary::train {
namespace {

struct RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    const auto width = static_cast<double>(x.size(1));
    const at::Tensor norm = at::linalg_vector_norm(x, 2, at::IntArrayRef{1}, /*keepdim=*/true);
    const at::Tensor inverse = norm.square_().div_(width).add_(epsilon).rsqrt_();
    context->save_for_backward({x, inverse, weight});
    context->saved_data["weight"] = weight.requires_grad();
    return at::mul(x, inverse).mul_(weight);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& inverse = saved[1];  // [n, 1]
    const at::Tensor weight = saved[2].detach();
    const at::Tensor& slope = gradients[0];
    const at::Tensor product = slope * x;
    at::Tensor to_weight;
    if (context->saved_data["weight"].toBool()) to_weight = inverse.t().mm(product).squeeze(0);
    // The slope of the root of the mean square, of each row.
    const at::Tensor pull = product.mv(weight).unsqueeze(1).mul_(inverse).mul_(inverse).mul_(inverse).div_(static_cast<double>(x.size(1)));
    at::Tensor to_x = (slope * weight).mul_(inverse).addcmul_(x, pull, -1);
    return {to_x, to_weight, at::Tensor()};
  }
};

}  // namespace

LayerNorm LayerNorm::Add(WeightSet& weights, const std::string& name, std::int64_t width, double epsilon) {
  const Weight& weight = weights.Add(name + ".weight", {width}, Init::Constant(1));
  const Weight& bias = weights.Add(name + ".bias", {width}, Init::Constant(0));
  return {&weight, &bias, width, epsilon};
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  if (weight == nullptr) return at::layer_norm(x, {width}, {}, {}, epsilon);
  return at::layer_norm(x, {width}, weight->value, bias->value, epsilon);
}

RmsNorm RmsNorm::Add(WeightSet& weights, const std::string& name, std::int64_t width, double epsilon) {
  return {&weights.Add(name + ".weight", {width}, Init::Constant(1)), epsilon};
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const { return RmsNormFunction::apply(x, weight->value, epsilon); }

}  // namespace tributary::train
