#include "loss.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "tributary/train/module.h"

namespace tributary::train {
namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{4} << 20;

struct LossParts {
  at::Tensor loss;
  at::Tensor hidden_gradient;
  at::Tensor weight_gradient;
};

LossParts Compute(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                  bool with_gradient) {
  const std::int64_t count = hidden.size(0);
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kLogitsAtOnce / weight.size(0));
  const at::Tensor counts = targets.ne(kIgnore).to(at::kFloat).unsqueeze(1);  // [n, 1]
  const at::Tensor inverse = counts.sum().reciprocal();
  const at::Tensor chosen = targets.clamp_min(0).unsqueeze(1);
  const at::Tensor transposed = weight.t();
  LossParts parts;
  if (with_gradient) {
    parts.hidden_gradient = at::empty_like(hidden);
    parts.weight_gradient = at::zeros_like(weight);
  }
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (std::int64_t begin = 0; begin < count; begin += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, count - begin);
    const at::Tensor part = hidden.narrow(0, begin, rows);
    const at::Tensor index = chosen.narrow(0, begin, rows);
    const at::Tensor counted = counts.narrow(0, begin, rows);
    at::Tensor log_probability = at::log_softmax(part.mm(transposed), 1);
    sum -= (log_probability.gather(1, index) * counted).sum(at::kDouble);
    if (!with_gradient) continue;
    // d loss / d logits = (softmax - one-hot) / targets
    at::Tensor slope = log_probability.exp_();
    slope.scatter_add_(1, index, at::full_like(counted, -1));
    slope.mul_(counted * inverse);
    at::Tensor out = parts.hidden_gradient.narrow(0, begin, rows);
    at::mm_out(out, slope, weight);
    parts.weight_gradient.addmm_(slope.t(), part);
  }
  parts.loss = (sum * inverse.to(at::kDouble)).to(at::kFloat);
  return parts;
}

struct CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& targets) {
    LossParts parts = Compute(hidden, weight, targets, true);
    context->save_for_backward({parts.hidden_gradient, parts.weight_gradient});
    return parts.loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {saved[0] * gradients[0], saved[1] * gradients[0], at::Tensor()};
  }
};

}  // namespace

at::Tensor CrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                        const at::Tensor& targets) {
  if (!at::GradMode::is_enabled()) return Compute(hidden, weight, targets, false).loss;
  return CrossEntropyFunction::apply(hidden, weight, targets);
}

}  // namespace tributary::train
