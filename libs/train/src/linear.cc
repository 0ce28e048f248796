#include "linear.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>

#include "tributary/base/random.h"

namespace tributary::train {
namespace {

// The weight as [in, out] in `type`; a view where it is stored so.
at::Tensor Matrix(const Weight& weight, MatrixOrder order, at::ScalarType type) {
  const at::Tensor value = weight.packed != nullptr ? weight.packed->Dequantize(type) : weight.value.detach().to(type);
  return order == MatrixOrder::kInOut ? value : value.t();
}

// x W + b with W widened for this product alone. The weight comes as a pointer, past autograd: its gradient, where it has one, is
// added here, in fp32. `value` and `bias` are there for their gradients; empty where there is none, since an undefined tensor may not come.
struct WidenedLinear : public torch::autograd::Function<WidenedLinear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& value, const at::Tensor& bias,
                            const Weight* weight, MatrixOrder order) {
    const at::Tensor matrix = Matrix(*weight, order, x.scalar_type());
    context->saved_data["weight"] = reinterpret_cast<std::int64_t>(weight);
    context->saved_data["in_out"] = order == MatrixOrder::kInOut;
    context->saved_data["bias"] = bias.requires_grad();
    if (value.requires_grad()) context->save_for_backward({x});
    return bias.numel() > 0 ? at::addmm(bias.detach().to(x.scalar_type()), x, matrix) : at::mm(x, matrix);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto* const weight = reinterpret_cast<const Weight*>(context->saved_data["weight"].toInt());
    const MatrixOrder order = context->saved_data["in_out"].toBool() ? MatrixOrder::kInOut : MatrixOrder::kOutIn;
    const at::Tensor& slope = gradients[0];
    at::Tensor to_x = slope.mm(Matrix(*weight, order, slope.scalar_type()).t());
    at::Tensor to_value;
    at::Tensor to_bias;
    if (const auto saved = context->get_saved_variables(); !saved.empty()) {
      const at::Tensor& x = saved[0];
      to_value = (order == MatrixOrder::kInOut ? x.t().mm(slope) : slope.t().mm(x)).to(at::kFloat);
    }
    if (context->saved_data["bias"].toBool()) to_bias = slope.sum(0, false, at::kFloat);
    return {to_x, to_value, to_bias, at::Tensor(), at::Tensor()};
  }
};

// Multiplies by 0 or 1 / (1 - p), drawn from the seed: a block that is computed again drops the same elements. A GPU draws by itself, other
// elements than the processor.
at::Tensor Dropped(const at::Tensor& x, double p, std::uint64_t seed) {
  if (x.is_cuda()) {
    at::Generator generator = at::globalContext().defaultGenerator(x.device());
    {
      const std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_current_seed(seed);
    }
    return x * at::empty(x.sizes(), x.options()).bernoulli_(1 - p, generator).div_(1 - p);
  }
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const at::Tensor keep = at::empty(x.sizes(), x.options().device(at::kCPU)).bernoulli_(1 - p, generator);
  return x * keep.div_(1 - p).to(x.device());
}

}  // namespace

at::Tensor Linear::operator()(const at::Tensor& input) const {
  const at::ScalarType type = runtime_->compute;
  const at::Tensor x = input.to(type);
  const at::Tensor bias = bias_ != nullptr ? bias_->value : at::Tensor();
  at::Tensor out;
  if (weight_->packed == nullptr && weight_->value.scalar_type() == type) {
    const at::Tensor matrix = order_ == MatrixOrder::kInOut ? weight_->value : weight_->value.t();
    out = bias.defined() ? at::addmm(bias.to(type), x, matrix) : at::mm(x, matrix);
  } else {
    const at::Tensor none = at::empty({0}, x.options().dtype(at::kFloat));
    out = WidenedLinear::apply(x, weight_->packed != nullptr ? none : weight_->value, bias.defined() ? bias : none, weight_, order_);
  }
  if (lora_ == nullptr) return out;
  const bool drops = runtime_->training && lora_->dropout > 0;
  const at::Tensor adapted = drops ? Dropped(x, lora_->dropout, MixSeed(runtime_->seed, lora_->ordinal)) : x;
  const at::Tensor low = at::mm(adapted, lora_->a->value.to(type).t());
  return at::add(out, at::mm(low, lora_->b->value.to(type).t()), lora_->scale);
}

}  // namespace tributary::train
