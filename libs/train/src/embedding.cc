#include "embedding.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tributary::train {
namespace {

// Adds to the weight's gradient itself, past autograd: where the weight is the output weight too, its gradient is there already.
struct EmbeddingFunction : public torch::autograd::Function<EmbeddingFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& weight, const at::Tensor& ids, std::int64_t padding) {
    context->save_for_backward({weight, ids});
    context->saved_data["padding"] = padding;
    return at::embedding(weight, ids);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& weight = saved[0];
    const at::Tensor ids = saved[1].contiguous();
    const at::Tensor slope = gradients[0].contiguous();
    const std::int64_t padding = context->saved_data["padding"].toInt();
    if (!weight.grad().defined()) weight.mutable_grad() = at::zeros(weight.sizes(), weight.options().requires_grad(false));
    if (!weight.device().is_cpu()) {
      const at::Tensor counted = padding < 0 ? slope : slope.masked_fill(ids.eq(padding).unsqueeze(-1), 0);
      weight.mutable_grad().index_put_({ids}, counted.to(weight.scalar_type()), /*accumulate=*/true);
      return {at::Tensor(), at::Tensor(), at::Tensor()};
    }
    const std::int64_t width = weight.size(1);
    float* const sums = weight.grad().data_ptr<float>();
    const float* from = slope.data_ptr<float>();
    const std::int64_t* const id = ids.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < ids.numel(); ++i, from += width) {
      if (id[i] == padding) continue;
      float* const to = sums + id[i] * width;
      for (std::int64_t k = 0; k < width; ++k) to[k] += from[k];
    }
    return {at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Embedded(const at::Tensor& weight, const at::Tensor& ids, std::int64_t padding) {
  const bool by_rows = weight.requires_grad() && weight.scalar_type() == at::kFloat;
  return by_rows ? EmbeddingFunction::apply(weight, ids, padding) : at::embedding(weight, ids, padding);
}

}  // namespace tributary::train
