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
  std::uint64_t correct = 0;
};

struct Wanted {
  bool gradient = false;
  at::Tensor weight_gradient;  // what the weight's is added to; undefined: it is frozen
  bool correct = false;
};

LossParts Compute(const at::Tensor& full_hidden, const at::Tensor& full_weight, const at::Tensor& targets, at::ScalarType compute,
                  const Wanted& wanted) {
  const at::Tensor hidden = full_hidden.to(compute);
  const at::Tensor weight = full_weight.to(compute);
  const std::int64_t count = hidden.size(0);
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kLogitsAtOnce / weight.size(0));
  const at::Tensor counts = targets.ne(kIgnore).to(at::kFloat).unsqueeze(1);  // [n, 1]
  const at::Tensor inverse = counts.sum().reciprocal();
  const at::Tensor chosen = targets.clamp_min(0).unsqueeze(1);
  const at::Tensor transposed = weight.t();
  LossParts parts;
  if (wanted.gradient) parts.hidden_gradient = at::empty_like(hidden);
  // Two buffers for all parts: fresh ones would cost as much in page faults as what is computed in them.
  const std::int64_t most_rows = std::min(rows_at_once, count);
  const at::Tensor all_logits = at::empty({most_rows, weight.size(0)}, weight.options().requires_grad(false));
  const at::Tensor all_probabilities = at::empty({most_rows, weight.size(0)}, weight.options().dtype(at::kFloat).requires_grad(false));
  at::Tensor sum = at::zeros({}, hidden.options().dtype(at::kDouble).requires_grad(false));
  for (std::int64_t begin = 0; begin < count; begin += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, count - begin);
    const at::Tensor part = hidden.narrow(0, begin, rows);
    const at::Tensor index = chosen.narrow(0, begin, rows);
    const at::Tensor counted = counts.narrow(0, begin, rows);
    at::Tensor logits = all_logits.narrow(0, 0, rows);
    at::mm_out(logits, part, transposed);
    at::Tensor log_probability = all_probabilities.narrow(0, 0, rows);
    at::log_softmax_out(log_probability, logits, 1, at::kFloat);
    sum -= (log_probability.gather(1, index) * counted).sum(at::kDouble);
    if (wanted.correct) {
      const at::Tensor right = log_probability.argmax(1, /*keepdim=*/true).eq(index).to(at::kFloat) * counted;
      parts.correct += static_cast<std::uint64_t>(right.sum(at::kDouble).item<double>());
    }
    if (!wanted.gradient) continue;
    // d loss / d logits = (softmax - one-hot) / targets
    at::Tensor slope = log_probability.exp_();
    slope.scatter_add_(1, index, at::full_like(counted, -1));
    slope.mul_(counted * inverse);
    slope = slope.to(compute);
    at::Tensor out = parts.hidden_gradient.narrow(0, begin, rows);
    at::mm_out(out, slope, weight);
    if (!wanted.weight_gradient.defined()) continue;
    if (compute == at::kFloat) {
      wanted.weight_gradient.addmm_(slope.t(), part);
    } else {
      wanted.weight_gradient.add_(slope.t().mm(part));
    }
  }
  parts.loss = (sum * inverse.to(at::kDouble)).to(at::kFloat);
  return parts;
}

// The slope of the loss is at hand here alone, so the gradient of the weight is added to the weight's own at once, for a loss whose gradient is 1: no
// second matrix of the vocabulary's size is held until the backward pass, nor added up there.
struct CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const at::Tensor& targets, std::int64_t compute) {
    Wanted wanted;
    wanted.gradient = true;
    if (weight.requires_grad()) {
      if (!weight.grad().defined()) weight.mutable_grad() = at::zeros(weight.sizes(), weight.options().requires_grad(false));
      wanted.weight_gradient = weight.grad();
    }
    LossParts parts = Compute(hidden, weight, targets, static_cast<at::ScalarType>(compute), wanted);
    context->saved_data["hidden_type"] = static_cast<std::int64_t>(hidden.scalar_type());
    context->save_for_backward({parts.hidden_gradient});
    return parts.loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto type = static_cast<at::ScalarType>(context->saved_data["hidden_type"].toInt());
    return {saved[0].to(type) * gradients[0], at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor CrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, at::ScalarType compute) {
  if (!at::GradMode::is_enabled()) return Compute(hidden, weight, targets, compute, {}).loss;
  return CrossEntropyFunction::apply(hidden, weight, targets, static_cast<std::int64_t>(compute));
}

BatchScore EvaluateCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets, at::ScalarType compute) {
  const LossParts parts = Compute(hidden, weight, targets, compute, {.gradient = false, .weight_gradient = {}, .correct = true});
  return {parts.loss.item<float>(), parts.correct};
}

at::Tensor LogProbabilities(const at::Tensor& full_hidden, const at::Tensor& full_weight, const at::Tensor& targets,
                            at::ScalarType compute) {
  const at::Tensor hidden = full_hidden.to(compute);
  const at::Tensor transposed = full_weight.to(compute).t();
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kLogitsAtOnce / full_weight.size(0));
  const at::Tensor counts = targets.ne(kIgnore).to(at::kFloat);
  const at::Tensor chosen = targets.clamp_min(0).unsqueeze(1);
  at::Tensor out = at::empty({hidden.size(0)}, hidden.options().dtype(at::kFloat));
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, hidden.size(0) - begin);
    const at::Tensor log_probability = at::log_softmax(hidden.narrow(0, begin, rows).mm(transposed), 1, at::kFloat);
    out.narrow(0, begin, rows).copy_(log_probability.gather(1, chosen.narrow(0, begin, rows)).squeeze(1));
  }
  return out.mul_(counts);
}

}  // namespace tributary::train
