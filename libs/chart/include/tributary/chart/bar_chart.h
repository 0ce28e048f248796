// Bar charts as SVG, for the benchmarks' --plot: one file without anything outside it, readable on light and dark pages.
//
// Pure; values are in the unit that the axis names.
#pragma once

#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::chart {

struct BarSeries {
  std::string name;            // in the legend
  std::vector<double> values;  // one for each category
};

struct BarPanel {
  std::string title;
  std::string unit;  // at the axis: "MiB"
  std::vector<std::string> categories;
  std::vector<BarSeries> series;
  bool stacked = false;  // else side by side
};

std::string BarChart(const std::string& title, const std::vector<BarPanel>& panels);
Status WriteChart(const std::string& path, const std::string& svg);

}  // namespace tributary::chart
