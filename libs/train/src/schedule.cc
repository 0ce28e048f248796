#include "schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tributary::train {

double LearningRate(const TrainOptions& options, std::uint64_t step) {
  const std::uint64_t at = options.schedule_begin + step;
  if (at < options.warmup_steps) {
    return options.learning_rate * static_cast<double>(at + 1) /
           static_cast<double>(options.warmup_steps);
  }
  if (options.schedule == Schedule::kConstant) return options.learning_rate;
  const std::uint64_t end =
      std::max(options.schedule_steps, options.schedule_begin + options.steps);
  if (end <= options.warmup_steps) return options.learning_rate;
  const double done = static_cast<double>(at - options.warmup_steps) /
                      static_cast<double>(end - options.warmup_steps);
  return options.learning_rate_min +
         (options.learning_rate - options.learning_rate_min) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(done, 1.0)));
}

}  // namespace tributary::train
