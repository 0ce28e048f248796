#include <cmath>

#include "tributary/aggregate/reducer.h"

namespace tributary::aggregate {
namespace {

// Far more than doubles lose over any number of participants, far less than a forgotten participant's share.
constexpr double kTolerance = 1e-6;

}  // namespace

Result<std::vector<float>> RoundedWeights(std::span<const double> shares) {
  double sum = 0;
  std::vector<float> weights;
  weights.reserve(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (!std::isfinite(shares[i]) || shares[i] < 0) {
      return MakeError(Code::kInvalidArgument, "the weight of participant {} is {}: expected a number from 0 to 1", i,
                       shares[i]);
    }
    sum += shares[i];
    weights.push_back(static_cast<float>(shares[i]));
  }
  if (!(std::abs(sum - 1.0) <= kTolerance)) {
    return MakeError(Code::kInvalidArgument, "the weights of {} participants add up to {}: expected 1", shares.size(), sum);
  }
  return weights;
}

}  // namespace tributary::aggregate
