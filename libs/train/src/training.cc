#include "training.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/generated/variable_factories.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "schedule.h"
#include "stepping.h"
#include "tributary/base/random.h"

namespace tributary::train {
namespace {

Error Stopped() {
  return MakeError(Code::kCancelled, "training was asked to stop");
}

std::vector<Weight*> TrainedWeights(Network& network) {
  std::vector<Weight*> trained;
  for (Weight& weight : network.weights().travelling()) {
    if (weight.trained) trained.push_back(&weight);
  }
  return trained;
}

// Dropout and batch statistics are on for as long as it lives.
class TrainingMode {
 public:
  explicit TrainingMode(Network& network) : runtime_(network.weights().runtime()) { runtime_.training = true; }
  ~TrainingMode() { runtime_.training = false; }
  TrainingMode(const TrainingMode&) = delete;
  TrainingMode& operator=(const TrainingMode&) = delete;

 private:
  Runtime& runtime_;
};

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
      : network_(network),
        options_(options),
        trained_(TrainedWeights(network)),
        stepping_(MakeStepping(network.weights().place(), options.optimizer, options.weight_decay, trained_)) {}
  ~Training() { DropGradients(); }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  Status Resume() { return options_.optimizer_store == nullptr ? Ok() : stepping_->Load(*options_.optimizer_store); }
  Status Keep() { return options_.optimizer_store == nullptr ? Ok() : stepping_->Save(*options_.optimizer_store); }

  // False when the source has no more batches.
  Result<bool> Step(BatchSource& batches, const std::stop_token& stop) {
    DropGradients();
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
    double scale = 1.0 / microbatches;
    const double norm = stepping_->Norm() * scale;
    if (!std::isfinite(loss_) || !std::isfinite(norm)) {
      return MakeError(
          Code::kInvalidArgument,
          "training diverged at step {}: loss {}, gradient norm {}; lower train.learning_rate",
          result_.steps + 1, loss_, norm);
    }
    if (options_.clip_norm > 0) scale *= std::min(1.0, options_.clip_norm / (norm + 1e-6));
    stepping_->Step(LearningRate(options_, result_.steps), scale);
    ++result_.steps;
    return true;
  }

  double loss() const { return loss_; }
  std::uint64_t steps() const { return result_.steps; }
  std::uint64_t tokens() const { return result_.tokens; }

  TrainResult Finish() {
    if (result_.tokens > 0) result_.mean_loss = loss_sum_ / static_cast<double>(result_.tokens);
    return result_;
  }

 private:
  void DropGradients() {
    for (Weight* weight : trained_) weight->value.mutable_grad() = at::Tensor();
  }

  Result<double> Accumulate(const Batch& batch) {
    TRIBUTARY_ASSIGN(const std::uint64_t targets, network_.Check(batch));
    if (targets == 0) return 0.0;
    network_.weights().runtime().seed = MixSeed(options_.seed, passes_++);
    const at::Tensor loss = network_.Loss(batch);
    // A device has all of the pass to do before it is asked for a number.
    loss.backward();
    const double value = loss.item<float>();
    loss_sum_ += value * static_cast<double>(targets);
    result_.tokens += targets;
    return value;
  }

  Network& network_;
  const TrainOptions& options_;
  std::vector<Weight*> trained_;
  std::uint64_t passes_ = 0;
  std::unique_ptr<Stepping> stepping_;
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
  const TrainingMode mode(network);
  Training training(network, options);
  TRIBUTARY_TRY(training.Resume());
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
  TRIBUTARY_TRY(training.Keep());
  TrainResult result = training.Finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

Result<EvalResult> EvaluateNetwork(Network& network, BatchSource& batches,
                                   const ProgressFn& progress, std::stop_token stop) {
  const at::NoGradGuard no_gradients;
  EvalResult result;
  result.counts_correct = network.CountsCorrect();
  double sum = 0;
  for (std::uint64_t step = 1;; ++step) {
    if (stop.stop_requested()) return Stopped();
    TRIBUTARY_ASSIGN(const Batch batch, batches.Next());
    if (batch.rows == 0) break;
    TRIBUTARY_ASSIGN(const std::uint64_t targets, network.Check(batch));
    if (targets == 0) continue;
    const BatchScore score = network.Evaluate(batch);
    sum += score.loss * static_cast<double>(targets);
    result.targets += targets;
    result.correct += score.correct;
    if (progress) progress({.step = step, .steps = 0, .tokens = result.targets, .loss = score.loss});
  }
  if (result.targets == 0) {
    return MakeError(Code::kInvalidArgument,
                     "the data gave no batch to evaluate on; raise data.validation_fraction");
  }
  result.loss = sum / static_cast<double>(result.targets);
  return result;
}

}  // namespace tributary::train
