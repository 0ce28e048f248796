#include "tributary/chart/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tributary::chart {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

Plot Losses(std::size_t rounds) {
  Plot plot;
  plot.id = "loss";
  plot.title = "Loss";
  plot.about = "Lower is better.";
  plot.x_name = "round";
  plot.series = {{"training", {}}, {"validation", {}}};
  for (std::size_t i = 1; i <= rounds; ++i) {
    plot.x.push_back(static_cast<double>(i));
    plot.series[0].values.push_back(10.0 / static_cast<double>(i));
    plot.series[1].values.push_back(i % 2 == 0 ? kNone : 12.0 / static_cast<double>(i));
  }
  return plot;
}

std::size_t Count(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Figure, IsDrawnForWideAndForNarrowScreens) {
  const std::string html = Figure(Losses(5));
  EXPECT_EQ(Count(html, "role=\"img\""), 2u);
  EXPECT_THAT(html, HasSubstr("<title id=\"loss-wide-title\">Loss</title>"));
  EXPECT_THAT(html, HasSubstr("<desc id=\"loss-narrow-about\">Lower is better.</desc>"));
  EXPECT_THAT(html, HasSubstr("\"labels\":[\"round 1\",\"round 2\""));
  EXPECT_THAT(html, HasSubstr("\"values\":[\"12\",null,\"4\",null"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_THAT(html, Not(HasSubstr("inf")));
}

TEST(Figure, OfNothingSaysSo) {
  Plot plot = Losses(0);
  EXPECT_THAT(Figure(plot), HasSubstr("nothing to draw"));
  plot.x = {1};
  plot.series[0].values = plot.series[1].values = {kNone};
  EXPECT_THAT(Figure(plot), HasSubstr("nothing to draw"));
}

TEST(Figure, OfOneRoundHasFiniteCoordinates) {
  for (const auto kind : {Plot::Kind::kLines, Plot::Kind::kStacked, Plot::Kind::kBars}) {
    Plot plot = Losses(1);
    plot.kind = kind;
    const std::string html = Figure(plot);
    EXPECT_THAT(html, Not(HasSubstr("nan")));
    EXPECT_THAT(html, Not(HasSubstr("inf")));
    EXPECT_THAT(html, HasSubstr(kind == Plot::Kind::kLines ? "<circle" : "<rect class=\"bar f0\""));
  }
}

TEST(Figure, EscapesEveryName) {
  Plot plot = Losses(3);
  const std::string evil = "</script><img src=x onerror=alert(1)>";
  plot.title = plot.about = plot.x_name = plot.series[0].name = evil;
  plot.references = {{evil, 1}};
  plot.bands = {{evil, 1, 2, 3}};
  const std::string html = Figure(plot);
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_EQ(Count(html, "</script>"), 1u) << "the one that ends the values";
}

TEST(Figure, AReferenceAboveAllValuesIsInside) {
  Plot plot = Losses(3);
  plot.references = {{"budget", 64}};
  const std::string html = Figure(plot);
  EXPECT_THAT(html, HasSubstr(">budget</text>"));
  EXPECT_THAT(html, HasSubstr(">80</text>")) << "the highest line";
}

TEST(Figure, StacksBars) {
  Plot plot = Losses(2);
  plot.kind = Plot::Kind::kStacked;
  plot.series[0].values = {6, 6};
  plot.series[1].values = {6, kNone};
  const std::string html = Figure(plot);
  EXPECT_EQ(Count(html, "class=\"bar f0\""), 4u);
  EXPECT_EQ(Count(html, "class=\"bar f1\""), 2u);
  EXPECT_THAT(html, HasSubstr(">12</text>"));
}

TEST(Thin, KeepsMeansOrPeaks) {
  Plot plot = Losses(1000);
  plot.series[0].values[517] = 99;
  Plot mean = plot;
  EXPECT_EQ(Thin(plot, 300, Merge::kLargest), 4u);
  EXPECT_EQ(plot.x.size(), 250u);
  EXPECT_EQ(plot.x[1], 5);
  EXPECT_EQ(plot.series[0].values[129], 99);
  Thin(mean, 300, Merge::kMean);
  EXPECT_NEAR(mean.series[0].values[129], 99 / 4.0, 0.1);
  EXPECT_LT(Figure(plot).size(), 80'000u);
}

TEST(Thin, LeavesWhatIsShortAsItIs) {
  Plot plot = Losses(300);
  const Plot before = plot;
  EXPECT_EQ(Thin(plot, 300, Merge::kMean), 1u);
  EXPECT_EQ(plot.x, before.x);
}

}  // namespace
}  // namespace tributary::chart
