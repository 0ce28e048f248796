#include "gaussian.h"

#include <cmath>

namespace tributary::train {

double PortableLog(double x) {
  constexpr double kLn2 = 0.693147180559945309417232;
  constexpr double kSqrtHalf = 0.707106781186547524400844;
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < kSqrtHalf) {
    mantissa *= 2;
    --exponent;
  }
  // log(m) = 2 atanh((m - 1) / (m + 1)); |z| < 0.172, so twelve terms are enough.
  const double z = (mantissa - 1) / (mantissa + 1);
  const double z2 = z * z;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * z2 + 1.0 / k;
  return exponent * kLn2 + 2 * z * sum;
}

double Gaussian::Next() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  while (true) {
    const double u = 2 * random_.NextUnit() - 1;
    const double v = 2 * random_.NextUnit() - 1;
    const double s = u * u + v * v;
    if (s >= 1 || s == 0) continue;
    const double factor = std::sqrt(-2 * PortableLog(s) / s);
    spare_ = v * factor;
    has_spare_ = true;
    return u * factor;
  }
}

void FillNormal(std::span<float> out, double stddev, std::uint64_t seed) {
  Gaussian gaussian(seed);
  for (float& value : out) value = static_cast<float>(stddev * gaussian.Next());
}

void FillUniform(std::span<float> out, double bound, std::uint64_t seed) {
  SplitMix64 random(seed);
  for (float& value : out) value = static_cast<float>((2 * random.NextUnit() - 1) * bound);
}

}  // namespace tributary::train
