#include "tributary/chart/bar_chart.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>

#include "tributary/chart/markup.h"

namespace tributary::chart {
namespace {

constexpr double kWidth = 860, kLeft = 78, kRight = 20, kHead = 44;
constexpr double kPanel = 330, kTop = 74, kPlot = 190;  // of each panel: all of it, above its bars, its bars
// Distinct also to most who do not see all colours.
constexpr const char* kColours[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"};

std::string Number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, value >= 10 ? 1 : 2);
}

std::string Text(double x, double y, const std::string& text, const char* anchor, const char* style = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, style, Escape(text));
}

std::string Bar(double x, double y, double width, double height, std::size_t colour) {
  if (height <= 0) return "";
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n", x, y, width, std::max(height, 0.5),
                     kColours[colour % std::size(kColours)]);
}

// 1, 2 or 5 times a power of ten, so that four to eight lines fit.
double StepOf(double top) {
  const double power = std::pow(10, std::floor(std::log10(top)));
  for (const double step : {0.2, 0.5, 1.0, 2.0}) {
    if (top / (power * step) <= 6) return power * step;
  }
  return power * 2;
}

double Highest(const BarPanel& panel) {
  double highest = 0;
  for (std::size_t i = 0; i < panel.categories.size(); ++i) {
    double sum = 0;
    for (const BarSeries& series : panel.series) {
      sum = panel.stacked ? sum + series.values[i] : std::max(sum, series.values[i]);
    }
    highest = std::max(highest, sum);
  }
  return highest > 0 ? highest : 1;
}

std::string Panel(const BarPanel& panel, double at) {
  const double base = at + kTop + kPlot;
  const double step = StepOf(Highest(panel));
  const double top = std::ceil(Highest(panel) / step) * step;
  const auto height = [&](double value) { return value / top * kPlot; };
  std::string svg = Text(kLeft, at + 20, panel.title, "start", " class=\"title\"");
  double legend = kLeft;
  for (std::size_t s = 0; s < panel.series.size() && panel.series.size() > 1; ++s) {
    svg += Bar(legend, at + 34, 12, 12, s) + Text(legend + 18, at + 45, panel.series[s].name, "start");
    legend += 44 + 8 * static_cast<double>(panel.series[s].name.size());
  }
  for (double value = 0; value <= top * 1.0001; value += step) {
    const double y = base - height(value);
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"grid\"/>\n", kLeft, kWidth - kRight, y, y);
    svg += Text(kLeft - 8, y + 4, fmt::format("{:g}", value), "end");
  }
  svg += fmt::format("<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n", base - kPlot / 2, Escape(panel.unit));
  const double room = (kWidth - kLeft - kRight) / static_cast<double>(panel.categories.size());
  const double bars = panel.stacked ? 1 : static_cast<double>(panel.series.size());
  const double width = std::min(64.0, room * 0.8 / bars);
  for (std::size_t i = 0; i < panel.categories.size(); ++i) {
    const double middle = kLeft + room * (static_cast<double>(i) + 0.5);
    double x = middle - width * bars / 2;
    double sum = 0;
    for (std::size_t s = 0; s < panel.series.size(); ++s) {
      const double value = panel.series[s].values[i];
      sum += value;
      svg += Bar(x, base - height(panel.stacked ? sum : value), panel.stacked ? width : width - 2, height(value), s);
      if (!panel.stacked) svg += Text(x + width / 2 - 1, base - height(value) - 4, Number(value), "middle", " class=\"value\"");
      if (!panel.stacked) x += width;
    }
    if (panel.stacked) svg += Text(middle, base - height(sum) - 4, Number(sum), "middle", " class=\"value\"");
    svg += Text(middle, base + 18, panel.categories[i], "middle");
  }
  return svg;
}

}  // namespace

std::string BarChart(const std::string& title, const std::vector<BarPanel>& panels) {
  const double height = kHead + kPanel * static_cast<double>(panels.size());
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n<title>{2}</title>\n"
      "<style>\n"
      "  text {{ font: 13px system-ui, sans-serif; fill: #222; }} .title {{ font-weight: 600; }} .head {{ font: 600 17px system-ui, sans-serif; }}\n"
      "  .value {{ font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 3px; }} .grid {{ stroke: #ccc; }} .page {{ fill: #fff; }}\n"
      "  @media (prefers-color-scheme: dark) {{ text {{ fill: #eee; }} .value {{ stroke: #181818; }} .grid {{ stroke: #444; }} .page {{ fill: #181818; }} }}\n"
      "</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
      kWidth, height, Escape(title));
  svg += Text(kLeft, 28, title, "start", " class=\"head\"");
  for (std::size_t i = 0; i < panels.size(); ++i) svg += Panel(panels[i], kHead + kPanel * static_cast<double>(i));
  return svg + "</svg>\n";
}

Status WriteChart(const std::string& path, const std::string& svg) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << svg << std::flush;
  if (!out) return ErrnoError(errno, "writing " + path);
  return Ok();
}

}  // namespace tributary::chart
