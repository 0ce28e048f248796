// Dirichlet(alpha): independent Gamma(alpha, 1) draws over their sum, kept as logarithms, since
// small alphas draw numbers that a double cannot hold.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

constexpr int kTries = 100;

double NextNormal(SplitMix64& random) {
  for (;;) {  // Marsaglia's polar method
    const double x = 2 * random.NextUnit() - 1;
    const double y = 2 * random.NextUnit() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1) return x * std::sqrt(-2 * std::log(square) / square);
  }
}

// log of a Gamma(shape, 1) draw: Marsaglia and Tsang (2000), with their boost below shape 1.
double NextLogGamma(double shape, SplitMix64& random) {
  if (shape < 1) {
    const double uniform = 1 - random.NextUnit();  // in (0, 1]
    return NextLogGamma(shape + 1, random) + std::log(uniform) / shape;
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double normal = NextNormal(random);
    const double root = 1 + c * normal;
    if (root <= 0) continue;
    const double cube = root * root * root;
    const double uniform = 1 - random.NextUnit();
    if (std::log(uniform) < 0.5 * normal * normal + d - d * cube + d * std::log(cube)) {
      return std::log(d * cube);
    }
  }
}

std::vector<double> Draw(std::uint32_t partitions, double alpha, SplitMix64& random) {
  std::vector<double> shares(partitions);
  for (double& share : shares) share = NextLogGamma(alpha, random);
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& share : shares) sum += share = std::exp(share - largest);
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace

std::vector<std::vector<double>> DrawShares(const std::vector<std::uint64_t>& per_label,
                                            std::uint32_t partitions, double alpha,
                                            std::uint64_t seed) {
  std::vector<std::vector<double>> shares(per_label.size());
  const std::uint64_t all = std::accumulate(per_label.begin(), per_label.end(), std::uint64_t{0});
  // Two each: rounding and the validation part take their share. Where there are not enough, no draw
  // helps.
  const int tries = all / 2 >= partitions ? kTries : 1;
  for (int attempt = 0; attempt < tries; ++attempt) {
    std::vector<double> items(partitions);
    for (std::size_t label = 0; label < per_label.size(); ++label) {
      SplitMix64 random(MixSeed(seed, attempt, label));
      shares[label] = Draw(partitions, alpha, random);
      for (std::uint32_t i = 0; i < partitions; ++i) {
        items[i] += shares[label][i] * static_cast<double>(per_label[label]);
      }
    }
    if (*std::min_element(items.begin(), items.end()) >= 2) break;
  }
  return shares;
}

}  // namespace tributary::corpus
