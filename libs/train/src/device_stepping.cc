#include "device_stepping.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>
#include <span>
#include <utility>

namespace tributary::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

class DeviceStepping final : public Stepping {
 public:
  DeviceStepping(Optimizer kind, double weight_decay, std::vector<Weight*> weights)
      : kind_(kind), weight_decay_(weight_decay), weights_(std::move(weights)) {
    if (kind_ == Optimizer::kSgd) return;
    for (const Weight* weight : weights_) {
      first_.push_back(at::zeros(weight->value.sizes(), weight->value.options().requires_grad(false)));
      second_.push_back(at::zeros_like(first_.back()));
    }
  }

  double Norm() override {
    const at::NoGradGuard no_gradients;
    std::vector<at::Tensor> gradients;
    for (const Weight* weight : weights_) {
      if (weight->value.grad().defined()) gradients.push_back(weight->value.grad());
    }
    if (gradients.empty()) return 0;
    const at::Tensor norms = at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble);
    return std::sqrt((norms * norms).sum().item<double>());
  }

  void Step(double learning_rate, double scale) override {
    const at::NoGradGuard no_gradients;
    ++steps_;
    for (const bool matrices : {false, true}) {
      const Group group = GroupOf(matrices);
      if (group.values.empty()) continue;
      at::_foreach_mul_(group.gradients, scale);
      const double decay = matrices ? weight_decay_ : 0.0;
      if (kind_ == Optimizer::kSgd) {
        if (decay != 0) at::_foreach_add_(group.gradients, group.values, decay);
        at::_foreach_add_(group.values, group.gradients, -learning_rate);
      } else {
        StepAdam(group, learning_rate, decay);
      }
    }
  }

  Status Load(OptimizerStore& store) override {
    const at::NoGradGuard no_gradients;
    const std::vector<at::Tensor> rooms = Rooms();
    TRIBUTARY_ASSIGN(steps_, store.Load(SpansOf(rooms)));
    for (std::size_t i = 0; i < rooms.size(); ++i) {
      at::Tensor& moment = i % 2 == 0 ? first_[i / 2] : second_[i / 2];
      if (steps_ > 0) {
        moment.copy_(rooms[i]);
      } else {
        moment.zero_();
      }
    }
    return Ok();
  }

  Status Save(OptimizerStore& store) override {
    const at::NoGradGuard no_gradients;
    const std::vector<at::Tensor> rooms = Rooms();
    for (std::size_t i = 0; i < rooms.size(); ++i) rooms[i].copy_(i % 2 == 0 ? first_[i / 2] : second_[i / 2]);
    return store.Save(steps_, SpansOf(rooms));
  }

 private:
  // Of the weights that the loss reaches: matrices, which decay, or the others.
  struct Group {
    std::vector<at::Tensor> values, gradients, first, second;
  };

  Group GroupOf(bool matrices) const {
    Group group;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      const at::Tensor& value = weights_[i]->value;
      if ((value.dim() > 1) != matrices || !value.grad().defined()) continue;
      group.values.push_back(value);
      group.gradients.push_back(value.grad());
      if (kind_ == Optimizer::kSgd) continue;
      group.first.push_back(first_[i]);
      group.second.push_back(second_[i]);
    }
    return group;
  }

  void StepAdam(const Group& group, double learning_rate, double decay) const {
    // AdamW takes the decay off the weights; Adam adds it to the gradient.
    if (decay != 0 && kind_ == Optimizer::kAdam) at::_foreach_add_(group.gradients, group.values, decay);
    if (decay != 0 && kind_ == Optimizer::kAdamW) at::_foreach_mul_(group.values, 1.0 - learning_rate * decay);
    const double correction1 = 1.0 - std::pow(kBeta1, static_cast<double>(steps_));
    const double correction2 = 1.0 - std::pow(kBeta2, static_cast<double>(steps_));
    at::_foreach_mul_(group.first, kBeta1);
    at::_foreach_add_(group.first, group.gradients, 1.0 - kBeta1);
    at::_foreach_mul_(group.second, kBeta2);
    at::_foreach_addcmul_(group.second, group.gradients, group.gradients, 1.0 - kBeta2);
    // The gradients are in the moments: their memory takes the divisors.
    at::_foreach_zero_(group.gradients);
    at::_foreach_add_(group.gradients, group.second, 1.0 / correction2);
    at::_foreach_sqrt_(group.gradients);
    at::_foreach_add_(group.gradients, kEpsilon);
    at::_foreach_addcdiv_(group.values, group.first, group.gradients, -learning_rate / correction1);
  }

  // Memory of this process for first and second moments of each weight in turn.
  std::vector<at::Tensor> Rooms() const {
    std::vector<at::Tensor> rooms;
    for (const at::Tensor& moment : first_) {
      for (int i = 0; i < 2; ++i) rooms.push_back(at::empty(moment.sizes(), at::kFloat));
    }
    return rooms;
  }

  static std::vector<std::span<float>> SpansOf(const std::vector<at::Tensor>& rooms) {
    std::vector<std::span<float>> spans;
    for (const at::Tensor& room : rooms) spans.emplace_back(room.data_ptr<float>(), static_cast<std::size_t>(room.numel()));
    return spans;
  }

  Optimizer kind_;
  double weight_decay_;
  std::vector<Weight*> weights_;
  std::vector<at::Tensor> first_;  // moments, of Adam and AdamW
  std::vector<at::Tensor> second_;
  std::uint64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<Stepping> MakeDeviceStepping(Optimizer kind, double weight_decay, std::vector<Weight*> weights) {
  return std::make_unique<DeviceStepping>(kind, weight_decay, std::move(weights));
}

}  // namespace tributary::train
