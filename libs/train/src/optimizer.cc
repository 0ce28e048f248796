#include "optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace tributary::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

}  // namespace

Stepper::Stepper(Optimizer kind, double weight_decay, std::vector<OptimizedArray> arrays)
    : kind_(kind), weight_decay_(weight_decay), arrays_(std::move(arrays)) {
  if (kind_ == Optimizer::kSgd) return;
  for (const OptimizedArray& array : arrays_) {
    first_.emplace_back(array.values.size());
    second_.emplace_back(array.values.size());
  }
}

void Stepper::Step(const std::vector<std::span<const float>>& gradients, double learning_rate,
                   double scale) {
  ++steps_;
  for (std::size_t i = 0; i < arrays_.size(); ++i) {
    if (gradients[i].empty()) continue;
    if (kind_ != Optimizer::kSgd) {
      StepAdam(i, gradients[i], learning_rate, static_cast<float>(scale));
      continue;
    }
    const auto rate = static_cast<float>(learning_rate);
    const auto factor = static_cast<float>(scale);
    const auto decay = static_cast<float>(arrays_[i].decays ? weight_decay_ : 0.0);
    float* __restrict value = arrays_[i].values.data();
    const float* __restrict gradient = gradients[i].data();
    const std::size_t count = gradients[i].size();
    for (std::size_t k = 0; k < count; ++k)
      value[k] -= rate * (factor * gradient[k] + decay * value[k]);
  }
}

std::vector<std::span<float>> Stepper::Moments() {
  std::vector<std::span<float>> moments;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    moments.emplace_back(first_[i]);
    moments.emplace_back(second_[i]);
  }
  return moments;
}

void Stepper::Resume(std::uint64_t steps) {
  steps_ = steps;
  if (steps > 0) return;
  for (const std::span<float> moment : Moments()) std::fill(moment.begin(), moment.end(), 0.0f);
}

void Stepper::StepAdam(std::size_t index, std::span<const float> gradient, double learning_rate,
                       float scale) {
  const double decay = arrays_[index].decays ? weight_decay_ : 0.0;
  // AdamW takes the decay off the weights; Adam adds it to the gradient.
  const auto keep =
      static_cast<float>(kind_ == Optimizer::kAdamW ? 1.0 - learning_rate * decay : 1.0);
  const auto l2 = static_cast<float>(kind_ == Optimizer::kAdam ? decay : 0.0);
  const double correction1 = 1.0 - std::pow(kBeta1, static_cast<double>(steps_));
  const double correction2 = 1.0 - std::pow(kBeta2, static_cast<double>(steps_));
  const auto rate = static_cast<float>(learning_rate / correction1);
  const auto inverse_root = static_cast<float>(1.0 / std::sqrt(correction2));
  constexpr auto beta1 = static_cast<float>(kBeta1);
  constexpr auto beta2 = static_cast<float>(kBeta2);
  constexpr auto epsilon = static_cast<float>(kEpsilon);
  float* __restrict value = arrays_[index].values.data();
  float* __restrict first = first_[index].data();
  float* __restrict second = second_[index].data();
  const float* __restrict g = gradient.data();
  const std::size_t count = gradient.size();
  for (std::size_t k = 0; k < count; ++k) {
    const float slope = scale * g[k] + l2 * value[k];
    const float m = beta1 * first[k] + (1.0f - beta1) * slope;
    const float v = beta2 * second[k] + (1.0f - beta2) * (slope * slope);
    first[k] = m;
    second[k] = v;
    value[k] = keep * value[k] - rate * m / (std::sqrt(v) * inverse_root + epsilon);
  }
}

double GlobalNorm(const std::vector<std::span<const float>>& gradients) {
  double total = 0;
  for (const auto gradient : gradients) {
    // Eight sums side by side: one alone would wait for every addition.
    std::array<double, 8> lanes{};
    std::size_t k = 0;
    for (; k + 8 <= gradient.size(); k += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) {
        lanes[lane] += static_cast<double>(gradient[k + lane]) * gradient[k + lane];
      }
    }
    for (; k < gradient.size(); ++k) lanes[0] += static_cast<double>(gradient[k]) * gradient[k];
    for (const double lane : lanes) total += lane;
  }
  return std::sqrt(total);
}

}  // namespace tributary::train
