#include "stepping.h"

#include <ATen/ATen.h>

#include <span>
#include <utility>

#include "device_stepping.h"
#include "optimizer.h"

namespace tributary::train {
namespace {

std::span<float> Values(const at::Tensor& tensor) { return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())}; }

class HostStepping final : public Stepping {
 public:
  HostStepping(Optimizer kind, double weight_decay, std::vector<Weight*> weights)
      : weights_(std::move(weights)), stepper_(kind, weight_decay, ArraysOf(weights_)) {}

  double Norm() override {
    Gather();
    return GlobalNorm(gradients_);
  }

  void Step(double learning_rate, double scale) override {
    stepper_.Step(gradients_, learning_rate, scale);
    gradients_.clear();
    kept_.clear();
  }

  Status Load(OptimizerStore& store) override {
    TRIBUTARY_ASSIGN(const std::uint64_t steps, store.Load(stepper_.Moments()));
    stepper_.Resume(steps);
    return Ok();
  }
  Status Save(OptimizerStore& store) override { return store.Save(stepper_.steps(), stepper_.Moments()); }

 private:
  static std::vector<OptimizedArray> ArraysOf(const std::vector<Weight*>& weights) {
    std::vector<OptimizedArray> arrays;
    for (const Weight* weight : weights) arrays.push_back({Values(weight->value), weight->value.dim() > 1});
    return arrays;
  }

  void Gather() {
    gradients_.clear();
    kept_.clear();
    for (const Weight* weight : weights_) {
      const at::Tensor& gradient = weight->value.grad();
      if (!gradient.defined()) {
        gradients_.emplace_back();
        continue;
      }
      kept_.push_back(gradient.contiguous());
      gradients_.push_back(Values(kept_.back()));
    }
  }

  std::vector<Weight*> weights_;
  Stepper stepper_;
  std::vector<std::span<const float>> gradients_;
  std::vector<at::Tensor> kept_;  // what the spans point into
};

}  // namespace

std::unique_ptr<Stepping> MakeStepping(const Place& place, Optimizer kind, double weight_decay, std::vector<Weight*> weights) {
  if (place.apart) return MakeDeviceStepping(kind, weight_decay, std::move(weights));
  return std::make_unique<HostStepping>(kind, weight_decay, std::move(weights));
}

}  // namespace tributary::train
