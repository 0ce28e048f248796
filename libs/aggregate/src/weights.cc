#include <cmath>

#include "tributary/aggregate/reducer.h"

namespace tributary::aggregate {

Result<std::vector<float>> NormalizedWeights(std::span<const double> counts) {
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (!std::isfinite(counts[i]) || counts[i] < 0) {
      return MakeError(Code::kInvalidArgument, "the weight of participant {} is {}: expected a finite number, 0 or more",
                       i, counts[i]);
    }
    sum += counts[i];
  }
  if (!(sum > 0) || !std::isfinite(sum)) {
    return MakeError(Code::kInvalidArgument, "the weights of {} participants add up to {}: nothing can be averaged",
                     counts.size(), sum);
  }
  std::vector<float> weights;
  weights.reserve(counts.size());
  for (const double count : counts) weights.push_back(static_cast<float>(count / sum));
  return weights;
}

}  // namespace tributary::aggregate
