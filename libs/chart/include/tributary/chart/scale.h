// Axes: which values get a line, and how a value is written.
//
// Pure functions, any thread. Values are finite.
#pragma once

#include <string>
#include <vector>

namespace tributary::chart {

enum class Unit {
  kNumber,
  kBytes,
  kSeconds,
  kRound,  // whole numbers from 1
};

// As people read it alone: "64.0 MiB", "1 min 20 s", "2.346", "7".
std::string FormatValue(double value, Unit unit);

struct Ticks {
  std::vector<double> at;           // ascending, from the first at or above `low` to the first at or above `high`
  std::vector<std::string> labels;  // beside each; the unit is said in them
};
// About `wanted` lines at round values of the unit. REQUIRES: low <= high.
Ticks MakeTicks(double low, double high, Unit unit, int wanted);

}  // namespace tributary::chart
