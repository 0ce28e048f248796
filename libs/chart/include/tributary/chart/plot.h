// Lines and bars over time or rounds, as a figure of an HTML page: title, what it shows, legend, SVG, values under the pointer.
//
// A figure needs nothing from anywhere: PlotStyle() and PlotScript() go once into its page. Each is drawn twice, for wide and for narrow
// screens, and the page's style shows one. Names in it may come from anybody; they are escaped. Pure functions, any thread. A value that
// is not finite is a gap.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tributary/chart/scale.h"

namespace tributary::chart {

struct PlotSeries {
  std::string name;
  std::vector<double> values;  // one for each x; NaN: none there
  bool operator==(const PlotSeries&) const = default;
};

// A horizontal line that values are held against.
struct PlotReference {
  std::string name;
  double value = 0;
};

// A stretch of the x axis that has a name: a strip below the lines.
struct PlotBand {
  std::string name;
  double from = 0;
  double to = 0;
  std::size_t colour = 0;
};

struct Plot {
  enum class Kind { kLines, kStacked, kBars };
  std::string id;     // of the figure's elements, unique in its page: letters, digits, '-'
  std::string title;
  std::string about;  // a sentence: what is seen and how to read it
  Kind kind = Kind::kLines;
  std::string x_name;  // "time since the start", "round"
  Unit x_unit = Unit::kRound;
  std::string y_name;
  Unit y_unit = Unit::kNumber;
  bool from_zero = true;  // the y axis begins at 0
  std::vector<double> x;  // ascending
  std::vector<PlotSeries> series;
  std::vector<PlotReference> references;
  std::vector<PlotBand> bands;
};

enum class Merge { kMean, kLargest };
// At most `limit` values of x, each the first of as many neighbours as needed, with the mean or the largest of their values. Returns how many
// neighbours one stands for.
std::size_t Thin(Plot& plot, std::size_t limit, Merge merge);

// <figure>…</figure>; a plot without any value says so in words.
std::string Figure(const Plot& plot);
std::string_view PlotStyle();   // CSS
std::string_view PlotScript();  // JavaScript: values under the pointer, and by arrow keys

}  // namespace tributary::chart
