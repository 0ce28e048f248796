#include "training.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/generated/variable_factories.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "batch.h"
#include "loss.h"
#include "optimizer.h"
#include "schedule.h"

namespace tributary::train {
namespace {

Error Stopped() {
  return MakeError(Code::kCancelled, "training was asked to stop");
}

at::Tensor Ids(const std::vector<std::int32_t>& ids, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::kLong);
  std::copy(ids.begin(), ids.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

at::Tensor Loss(Network& network, const Batch& batch) {
  const auto count = static_cast<std::int64_t>(batch.tokens.size());
  const at::Tensor hidden = network.Hidden(Ids(batch.tokens, {batch.rows, batch.columns}));
  return CrossEntropy(hidden, network.OutputWeight(), Ids(batch.targets, {count}));
}

std::span<float> Values(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

Status CheckOptions(const TrainOptions& o) {
  if (o.steps == 0)
    return MakeError(Code::kInvalidArgument,
                     "a training of 0 steps; give train.steps or train.epochs");
  if (o.gradient_accumulation == 0) {
    return MakeError(Code::kInvalidArgument,
                     "train.gradient_accumulation is 0, expected at least 1");
  }
  if (!(std::isfinite(o.learning_rate) && o.learning_rate >= 0 && std::isfinite(o.weight_decay) &&
        o.weight_decay >= 0 && std::isfinite(o.clip_norm) && o.clip_norm >= 0)) {
    return MakeError(Code::kInvalidArgument,
                     "learning_rate {}, weight_decay {} and clip_norm {} have to be 0 or more",
                     o.learning_rate, o.weight_decay, o.clip_norm);
  }
  return Ok();
}

// One local training: its optimizer state and its sums.
class Training {
 public:
  Training(Network& network, const TrainOptions& options)
      : network_(network), options_(options), stepper_(MakeStepper()) {}

  // False when the source has no more batches.
  Result<bool> Step(BatchSource& batches, const std::stop_token& stop) {
    for (Parameter& parameter : network_.parameters())
      parameter.value.mutable_grad() = at::Tensor();
    std::uint32_t microbatches = 0;
    double loss = 0;
    for (; microbatches < options_.gradient_accumulation; ++microbatches) {
      if (stop.stop_requested()) return Stopped();
      TRIBUTARY_ASSIGN(const Batch batch, batches.Next());
      if (batch.rows == 0) break;
      TRIBUTARY_ASSIGN(const double part, Accumulate(batch));
      loss += part;
    }
    if (microbatches == 0) return false;
    loss_ = loss / microbatches;
    std::vector<at::Tensor> kept;
    const auto gradients = Gradients(kept);
    double scale = 1.0 / microbatches;
    const double norm = GlobalNorm(gradients) * scale;
    if (!std::isfinite(loss_) || !std::isfinite(norm)) {
      return MakeError(
          Code::kInvalidArgument,
          "training diverged at step {}: loss {}, gradient norm {}; lower train.learning_rate",
          result_.steps + 1, loss_, norm);
    }
    if (options_.clip_norm > 0) scale *= std::min(1.0, options_.clip_norm / (norm + 1e-6));
    stepper_.Step(gradients, LearningRate(options_, result_.steps), scale);
    ++result_.steps;
    return true;
  }

  double loss() const { return loss_; }
  std::uint64_t steps() const { return result_.steps; }
  std::uint64_t tokens() const { return result_.tokens; }

  TrainResult Finish() {
    for (Parameter& parameter : network_.parameters())
      parameter.value.mutable_grad() = at::Tensor();
    if (result_.tokens > 0) result_.mean_loss = loss_sum_ / static_cast<double>(result_.tokens);
    return result_;
  }

 private:
  Stepper MakeStepper() {
    std::vector<OptimizedArray> arrays;
    for (const Parameter& parameter : network_.parameters()) {
      arrays.push_back({Values(parameter.value), parameter.value.dim() > 1});
    }
    return Stepper(options_.optimizer, options_.weight_decay, std::move(arrays));
  }

  Result<double> Accumulate(const Batch& batch) {
    TRIBUTARY_ASSIGN(const std::uint64_t targets,
                     CheckBatch(batch, network_.positions(), network_.vocabulary()));
    if (targets == 0) return 0.0;
    const at::Tensor loss = Loss(network_, batch);
    const double value = loss.item<float>();
    loss.backward();
    loss_sum_ += value * static_cast<double>(targets);
    result_.tokens += targets;
    return value;
  }

  // `kept` holds what the spans point into.
  std::vector<std::span<const float>> Gradients(std::vector<at::Tensor>& kept) {
    std::vector<std::span<const float>> gradients;
    for (const Parameter& parameter : network_.parameters()) {
      const at::Tensor& gradient = parameter.value.grad();
      if (!gradient.defined()) {
        gradients.emplace_back();
        continue;
      }
      kept.push_back(gradient.contiguous());
      gradients.push_back(Values(kept.back()));
    }
    return gradients;
  }

  Network& network_;
  const TrainOptions& options_;
  Stepper stepper_;
  TrainResult result_;
  double loss_ = 0;
  double loss_sum_ = 0;
};

}  // namespace

Result<TrainResult> TrainNetwork(Network& network, BatchSource& batches,
                                 const TrainOptions& options, const ProgressFn& progress,
                                 std::stop_token stop) {
  TRIBUTARY_TRY(CheckOptions(options));
  const auto begin = std::chrono::steady_clock::now();
  Training training(network, options);
  while (training.steps() < options.steps) {
    TRIBUTARY_ASSIGN(const bool stepped, training.Step(batches, stop));
    if (!stepped) break;
    if (progress) {
      progress({.step = training.steps(),
                .steps = options.steps,
                .tokens = training.tokens(),
                .loss = training.loss()});
    }
  }
  if (training.steps() == 0)
    return MakeError(Code::kInvalidArgument, "the data gave no batch to train on");
  TrainResult result = training.Finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

Result<EvalResult> EvaluateNetwork(Network& network, BatchSource& batches,
                                   const ProgressFn& progress, std::stop_token stop) {
  const at::NoGradGuard no_gradients;
  EvalResult result;
  double sum = 0;
  for (std::uint64_t step = 1;; ++step) {
    if (stop.stop_requested()) return Stopped();
    TRIBUTARY_ASSIGN(const Batch batch, batches.Next());
    if (batch.rows == 0) break;
    TRIBUTARY_ASSIGN(const std::uint64_t targets,
                     CheckBatch(batch, network.positions(), network.vocabulary()));
    if (targets == 0) continue;
    const double loss = Loss(network, batch).item<float>();
    sum += loss * static_cast<double>(targets);
    result.targets += targets;
    if (progress) progress({.step = step, .steps = 0, .tokens = result.targets, .loss = loss});
  }
  if (result.targets == 0) {
    return MakeError(Code::kInvalidArgument,
                     "the data gave no batch to evaluate on; raise data.validation_fraction");
  }
  result.loss = sum / static_cast<double>(result.targets);
  return result;
}

}  // namespace tributary::train
