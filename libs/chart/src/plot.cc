#include "tributary/chart/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tributary/chart/markup.h"

namespace tributary::chart {
namespace {

constexpr std::size_t kColours = 8;
constexpr double kBandHeight = 9;

// Where things are in one drawing of a plot.
struct Frame {
  double width, height, left, right, top, bottom;  // the rectangle of the values lies between the last four
  int x_lines, y_lines;
};
constexpr Frame kWide{760, 300, 74, 744, 14, 250, 9, 6};
constexpr Frame kNarrow{360, 260, 66, 350, 14, 208, 4, 5};

struct Range {
  double low = 0, high = 0;
  double At(double value, double from, double to) const { return from + (value - low) / (high - low) * (to - from); }
};

// The stretch of x that a drawing shows: bars stand between whole numbers.
Range AcrossOf(const Plot& plot) {
  if (plot.kind == Plot::Kind::kLines) {
    Range range{plot.x.front(), plot.x.back()};
    for (const PlotBand& band : plot.bands) range = {std::min(range.low, band.from), std::max(range.high, band.to)};
    if (range.high <= range.low) range = {range.low - 0.5, range.high + 0.5};
    return range;
  }
  const double step = plot.x.size() > 1 ? (plot.x.back() - plot.x.front()) / static_cast<double>(plot.x.size() - 1) : 1;
  return {plot.x.front() - step / 2, plot.x.back() + step / 2};
}

Range ValuesOf(const Plot& plot) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t i = 0; i < plot.x.size(); ++i) {
    double sum = 0;
    for (const PlotSeries& series : plot.series) {
      const double value = series.values[i];
      if (!std::isfinite(value)) continue;
      sum += value;
      const double reaches = plot.kind == Plot::Kind::kStacked ? sum : value;
      low = std::min(low, reaches);
      high = std::max(high, reaches);
    }
  }
  for (const PlotReference& reference : plot.references) high = std::max(high, reference.value);
  if (plot.from_zero) low = std::min(low, 0.0);
  return {low, high};
}

bool HasValues(const Plot& plot) {
  return std::any_of(plot.series.begin(), plot.series.end(), [](const PlotSeries& series) {
    return std::any_of(series.values.begin(), series.values.end(), [](double value) { return std::isfinite(value); });
  });
}

std::string Line(const char* kind, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", kind, Coordinate(x1), Coordinate(y1), Coordinate(x2), Coordinate(y2));
}

std::string Words(double x, double y, const char* anchor, std::string_view text, const char* kind = "") {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", Coordinate(x), Coordinate(y), anchor, kind, Escape(text));
}

// One line with gaps; a value alone between gaps is a dot.
std::string Path(const Plot& plot, std::size_t s, const Range& across, const Range& up, const Frame& frame) {
  const std::vector<double>& values = plot.series[s].values;
  std::string path, dots;
  bool pen = false;
  for (std::size_t i = 0; i < plot.x.size(); ++i) {
    if (!std::isfinite(values[i])) {
      pen = false;
      continue;
    }
    const std::string x = Coordinate(across.At(plot.x[i], frame.left, frame.right)), y = Coordinate(up.At(values[i], frame.bottom, frame.top));
    path += fmt::format("{}{} {}", pen ? "L" : "M", x, y);
    pen = true;
    if (plot.x.size() <= 40) dots += fmt::format("<circle class=\"f{}\" cx=\"{}\" cy=\"{}\" r=\"3\"/>\n", s % kColours, x, y);
  }
  return fmt::format("<path class=\"line l{}\" d=\"{}\"/>\n{}", s % kColours, path, dots);
}

std::string Bars(const Plot& plot, const Range& across, const Range& up, const Frame& frame) {
  const bool stacked = plot.kind == Plot::Kind::kStacked;
  const double room = (frame.right - frame.left) / static_cast<double>(plot.x.size());
  const double beside = stacked ? 1 : static_cast<double>(plot.series.size());
  const double width = std::min(48.0, room * (plot.x.size() > 60 ? 1.0 : 0.8) / beside);
  std::string svg;
  for (std::size_t i = 0; i < plot.x.size(); ++i) {
    double x = across.At(plot.x[i], frame.left, frame.right) - width * beside / 2;
    double sum = 0;
    for (std::size_t s = 0; s < plot.series.size(); ++s) {
      const double value = std::isfinite(plot.series[s].values[i]) ? std::max(plot.series[s].values[i], 0.0) : 0;
      const double base = stacked ? sum : 0;
      sum += value;
      const double top = up.At(base + value, frame.bottom, frame.top), bottom = up.At(base, frame.bottom, frame.top);
      if (value > 0) {
        svg += fmt::format("<rect class=\"bar f{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", s % kColours, Coordinate(x), Coordinate(top),
                           Coordinate(width), Coordinate(std::max(bottom - top, 0.4)));
      }
      if (!stacked) x += width;
    }
  }
  return svg;
}

std::string Drawing(const Plot& plot, const Frame& frame, const char* kind) {
  const Range across = AcrossOf(plot);
  Range up = ValuesOf(plot);
  const Ticks y = MakeTicks(up.low, up.high, plot.y_unit, frame.y_lines);
  // The highest line is the top; the lowest value may lie below the first line.
  up = {std::min(up.low, y.at.front()), y.at.back()};
  std::string svg = fmt::format(
      "<svg class=\"{0}\" viewBox=\"0 0 {1} {2}\" role=\"img\" aria-labelledby=\"{3}-{0}-title {3}-{0}-about\" data-left=\"{4}\" data-right=\"{5}\">\n"
      "<title id=\"{3}-{0}-title\">{6}</title>\n<desc id=\"{3}-{0}-about\">{7}</desc>\n",
      kind, frame.width, frame.height, plot.id, frame.left, frame.right, Escape(plot.title), Escape(plot.about));
  for (std::size_t i = 0; i < y.at.size(); ++i) {
    const double at = up.At(y.at[i], frame.bottom, frame.top);
    svg += Line("grid", frame.left, at, frame.right, at) + Words(frame.left - 6, at + 4, "end", y.labels[i]);
  }
  const Ticks x = MakeTicks(across.low, across.high, plot.x_unit, frame.x_lines);
  for (std::size_t i = 0; i < x.at.size(); ++i) {
    if (x.at[i] > across.high) continue;
    const double at = across.At(x.at[i], frame.left, frame.right);
    svg += Line("axis", at, frame.bottom, at, frame.bottom + 4) + Words(std::min(at, frame.right - 8), frame.bottom + 30, "middle", x.labels[i]);
  }
  svg += Line("axis", frame.left, frame.bottom, frame.right, frame.bottom);
  svg += Words((frame.left + frame.right) / 2, frame.bottom + 47, "middle", plot.x_name, "name");
  for (const PlotBand& band : plot.bands) {
    const double from = across.At(band.from, frame.left, frame.right), to = across.At(band.to, frame.left, frame.right);
    svg += fmt::format("<rect class=\"f{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>\n", band.colour % kColours, Coordinate(from),
                       Coordinate(frame.bottom + 6), Coordinate(std::max(to - from, 0.4)), kBandHeight, Escape(band.name));
  }
  if (plot.kind == Plot::Kind::kLines) {
    for (std::size_t s = 0; s < plot.series.size(); ++s) svg += Path(plot, s, across, up, frame);
  } else {
    svg += Bars(plot, across, up, frame);
  }
  for (const PlotReference& reference : plot.references) {
    const double at = up.At(reference.value, frame.bottom, frame.top);
    svg += Line("limit", frame.left, at, frame.right, at);
    svg += Words(frame.right - 4, at - 6 < frame.top + 8 ? at + 16 : at - 6, "end", reference.name, "limit");
  }
  return svg + fmt::format("<line class=\"cursor\" x1=\"0\" y1=\"{}\" x2=\"0\" y2=\"{}\"/>\n</svg>\n", frame.top, frame.bottom);
}

std::string Legend(const Plot& plot) {
  std::string html = "<ul class=\"legend\">\n";
  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const std::string sample = plot.kind == Plot::Kind::kLines
                                   ? fmt::format("<path class=\"line l{}\" d=\"M0 6L26 6\"/>", s % kColours)
                                   : fmt::format("<rect class=\"f{}\" width=\"26\" height=\"12\"/>", s % kColours);
    html += fmt::format("<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">{}</svg>{}</li>\n", sample, Escape(plot.series[s].name));
  }
  std::vector<std::string> named;
  for (const PlotBand& band : plot.bands) {
    if (std::find(named.begin(), named.end(), band.name) != named.end()) continue;
    named.push_back(band.name);
    html += fmt::format("<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\"><rect class=\"f{}\" y=\"2\" width=\"26\" height=\"9\"/></svg>{}</li>\n",
                        band.colour % kColours, Escape(band.name));
  }
  return html + "</ul>\n";
}

// What the script shows: texts as they are read, and where across they belong.
std::string Values(const Plot& plot) {
  const Range across = AcrossOf(plot);
  std::string at, labels, series;
  for (const double x : plot.x) {
    at += fmt::format("{}{:.5f}", at.empty() ? "" : ",", across.At(x, 0, 1));
    labels += fmt::format("{}{}", labels.empty() ? "" : ",",
                          JsonText(plot.x_unit == Unit::kRound ? fmt::format("{} {}", plot.x_name, FormatValue(x, plot.x_unit)) : FormatValue(x, plot.x_unit)));
  }
  for (const PlotSeries& one : plot.series) {
    std::string values;
    for (const double value : one.values) {
      values += fmt::format("{}{}", values.empty() ? "" : ",", std::isfinite(value) ? JsonText(FormatValue(value, plot.y_unit)) : "null");
    }
    series += fmt::format("{}{{\"name\":{},\"values\":[{}]}}", series.empty() ? "" : ",", JsonText(one.name), values);
  }
  return fmt::format("<script type=\"application/json\">{{\"at\":[{}],\"labels\":[{}],\"series\":[{}]}}</script>\n", at, labels, series);
}

double Merged(const std::vector<double>& values, std::size_t from, std::size_t to, Merge merge) {
  double sum = 0, largest = -std::numeric_limits<double>::infinity();
  std::size_t count = 0;
  for (std::size_t i = from; i < to; ++i) {
    if (!std::isfinite(values[i])) continue;
    sum += values[i];
    largest = std::max(largest, values[i]);
    ++count;
  }
  if (count == 0) return std::numeric_limits<double>::quiet_NaN();
  return merge == Merge::kMean ? sum / static_cast<double>(count) : largest;
}

}  // namespace

std::size_t Thin(Plot& plot, std::size_t limit, Merge merge) {
  const std::size_t each = (plot.x.size() + limit - 1) / std::max<std::size_t>(limit, 1);
  if (each <= 1) return 1;
  std::vector<double> x;
  for (std::size_t i = 0; i < plot.x.size(); i += each) x.push_back(plot.x[i]);
  for (PlotSeries& series : plot.series) {
    std::vector<double> values;
    for (std::size_t i = 0; i < plot.x.size(); i += each) values.push_back(Merged(series.values, i, std::min(i + each, plot.x.size()), merge));
    series.values = std::move(values);
  }
  plot.x = std::move(x);
  return each;
}

std::string Figure(const Plot& plot) {
  std::string html = fmt::format("<figure class=\"plot\" id=\"{}\" aria-labelledby=\"{}-name\">\n<figcaption><h3 id=\"{}-name\">{}</h3><p>{}</p></figcaption>\n",
                                 plot.id, plot.id, plot.id, Escape(plot.title), Escape(plot.about));
  if (plot.x.empty() || !HasValues(plot)) return html + "<p class=\"none\">There is nothing to draw yet.</p>\n</figure>\n";
  html += Legend(plot);
  html += fmt::format("<div class=\"canvas\" tabindex=\"0\" role=\"group\" aria-label=\"{}: arrow keys tell the values\">\n", Escape(plot.title));
  html += Drawing(plot, kWide, "wide") + Drawing(plot, kNarrow, "narrow");
  return html + "<div class=\"tip\" role=\"status\" hidden></div>\n</div>\n" + Values(plot) + "</figure>\n";
}

}  // namespace tributary::chart
