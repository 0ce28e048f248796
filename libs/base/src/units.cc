#include "tributary/base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace tributary {
namespace {

struct Number {
  double value;
  std::string_view unit;
};

Result<Number> SplitNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) {
    return MakeError(Code::kInvalidArgument, "'{}' does not begin with a number", text);
  }
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return Number{value, unit};
}

// A whole number of units in integers: a double would lose the last digits above 2^53.
bool WholeBytes(std::string_view text, std::string_view unit, double factor, std::uint64_t& bytes) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || (end != unit.data() && *end != ' ')) return false;
  return !__builtin_mul_overflow(count, static_cast<std::uint64_t>(factor), &bytes);
}

}  // namespace

Result<std::uint64_t> ParseBytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 10> kUnits = {{
      {"", 1}, {"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
      {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0},
  }};
  TRIBUTARY_ASSIGN(const Number number, SplitNumber(text));
  for (const auto& [name, factor] : kUnits) {
    if (number.unit != name) continue;
    const double bytes = number.value * factor;
    if (bytes > 9e18) return MakeError(Code::kInvalidArgument, "size '{}' is too large", text);
    std::uint64_t exact = 0;
    if (WholeBytes(text, number.unit, factor, exact)) return exact;
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return MakeError(Code::kInvalidArgument, "size '{}': unknown unit '{}', write 64MiB or 1GB", text,
                   number.unit);
}

Result<Duration> ParseDuration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {{
      {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
  }};
  TRIBUTARY_ASSIGN(const Number number, SplitNumber(text));
  if (number.unit.empty() && number.value == 0) return Duration(0);
  for (const auto& [name, factor] : kUnits) {
    if (number.unit != name) continue;
    const double ms = number.value * factor;
    if (ms > 1e15) return MakeError(Code::kInvalidArgument, "duration '{}' is too long", text);
    return Duration(static_cast<Duration::rep>(std::llround(ms)));
  }
  return MakeError(Code::kInvalidArgument, "duration '{}': write a unit, as in 30s, 5m, 250ms", text);
}

std::string FormatBytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

std::string FormatDuration(Duration duration) {
  const auto ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  if (ms < 3600000) return fmt::format("{} m {} s", ms / 60000, ms % 60000 / 1000);
  return fmt::format("{} h {} m", ms / 3600000, ms % 3600000 / 60000);
}

}  // namespace tributary
