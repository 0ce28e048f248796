// Normally distributed numbers, the same bytes on every machine.
//
// Marsaglia's polar method on SplitMix64. The only functions that it needs are a square root, which
// IEEE 754 rounds exactly, and a logarithm, which is computed here from + - * / alone: libm's
// differ between versions.
#pragma once

#include <cstdint>
#include <span>

#include "tributary/base/random.h"

namespace tributary::train {

class Gaussian {
 public:
  explicit Gaussian(std::uint64_t seed) : random_(seed) {}
  double Next();

 private:
  SplitMix64 random_;
  double spare_ = 0;
  bool has_spare_ = false;
};

// Natural logarithm of a positive normal number, within a few units in the last place.
double PortableLog(double x);

void FillNormal(std::span<float> out, double stddev, std::uint64_t seed);
// Uniform in [-bound, bound).
void FillUniform(std::span<float> out, double bound, std::uint64_t seed);

}  // namespace tributary::train
