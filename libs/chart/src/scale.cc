#include "tributary/chart/scale.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "tributary/base/units.h"

namespace tributary::chart {
namespace {

// 1, 2 or 5 times a power of ten, at least `least`.
double RoundStep(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (power * step >= least * 0.999) return power * step;
  }
  return power * 10;
}

// Steps of a clock; above days as other numbers.
double SecondsStep(double least) {
  constexpr std::array<double, 15> kSteps = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400};
  if (least < 1) return RoundStep(least);
  const auto step = std::find_if(kSteps.begin(), kSteps.end(), [&](double s) { return s >= least; });
  return step != kSteps.end() ? *step : RoundStep(least / 86400) * 86400;
}

double BytesStep(double least) {
  double unit = 1;
  while (least >= unit * 1024 && unit < 0x1p50) unit *= 1024;
  return std::max(RoundStep(std::max(least / unit, 1e-9)) * unit, 1.0);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 0) return "-" + FormatSeconds(-seconds);
  if (seconds < 60) return fmt::format("{:.{}f} s", seconds, seconds < 10 && seconds != std::floor(seconds) ? 1 : 0);
  const auto whole = static_cast<std::uint64_t>(std::min(seconds, 1e15));
  if (whole < 3600) return whole % 60 == 0 ? fmt::format("{} min", whole / 60) : fmt::format("{} min {} s", whole / 60, whole % 60);
  if (whole < 86400) return whole / 60 % 60 == 0 ? fmt::format("{} h", whole / 3600) : fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return whole / 3600 % 24 == 0 ? fmt::format("{} d", whole / 86400) : fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

std::string TickLabel(double value, double step, Unit unit) {
  if (unit == Unit::kSeconds && step < 1) return fmt::format("{:g} s", value);
  if (unit != Unit::kBytes) return unit == Unit::kSeconds ? FormatSeconds(value) : fmt::format("{:g}", value);
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t i = 0;
  double scaled = value;
  for (; scaled >= 1024 && i + 1 < std::size(kUnits); ++i) scaled /= 1024;
  return fmt::format("{:.4g} {}", scaled, kUnits[i]);
}

}  // namespace

std::string FormatValue(double value, Unit unit) {
  switch (unit) {
    case Unit::kBytes: return FormatBytes(static_cast<std::uint64_t>(std::clamp(value, 0.0, 0x1p63)));
    case Unit::kSeconds: return FormatSeconds(value);
    case Unit::kRound: return fmt::format("{:.0f}", value);
    case Unit::kNumber: return fmt::format("{:.4g}", value);
  }
  return "";
}

Ticks MakeTicks(double low, double high, Unit unit, int wanted) {
  if (high <= low) high = low + (low != 0 ? std::fabs(low) * 0.1 : 1);
  const double least = (high - low) / std::max(wanted, 1);
  double step = unit == Unit::kSeconds ? SecondsStep(least) : unit == Unit::kBytes ? BytesStep(least) : RoundStep(least);
  if (unit == Unit::kRound) step = std::max(step, 1.0);
  Ticks ticks;
  const double first = std::ceil(low / step - 1e-9) + 0.0;  // no -0
  for (double i = first;; ++i) {
    const double value = i * step;
    ticks.at.push_back(value);
    ticks.labels.push_back(TickLabel(value, step, unit));
    if (value >= high - step * 1e-9 || ticks.at.size() > 50) break;
  }
  return ticks;
}

}  // namespace tributary::chart
