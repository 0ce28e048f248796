#include "tributary/chart/scale.h"

#include <gtest/gtest.h>

namespace tributary::chart {
namespace {

TEST(Ticks, OfBytesAreRoundInTheirUnit) {
  const Ticks ticks = MakeTicks(0, 90.0 * (1 << 20), Unit::kBytes, 6);
  EXPECT_EQ(ticks.labels, (std::vector<std::string>{"0 B", "20 MiB", "40 MiB", "60 MiB", "80 MiB", "100 MiB"}));
}

TEST(Ticks, OfTimeAreThoseOfAClock) {
  EXPECT_EQ(MakeTicks(0, 170, Unit::kSeconds, 6).labels, (std::vector<std::string>{"0 s", "30 s", "1 min", "1 min 30 s", "2 min", "2 min 30 s", "3 min"}));
  EXPECT_EQ(MakeTicks(0, 0.5, Unit::kSeconds, 5).labels.at(1), "0.1 s");
  EXPECT_EQ(MakeTicks(0, 7 * 86400.0, Unit::kSeconds, 7).labels.back(), "7 d");
}

TEST(Ticks, OfRoundsAreWholeNumbers) {
  EXPECT_EQ(MakeTicks(0.5, 2.5, Unit::kRound, 9).labels, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(MakeTicks(1, 1000, Unit::kRound, 9).labels.at(0), "200");
}

TEST(Ticks, OfOneValueAloneHaveRoom) {
  for (const double value : {0.0, 2.5, -3.0, 1e300}) {
    const Ticks ticks = MakeTicks(value, value, Unit::kNumber, 5);
    EXPECT_GE(ticks.at.size(), 2u) << value;
    EXPECT_GT(ticks.at.back(), value);
  }
}

TEST(FormatValue, IsHowPeopleSayIt) {
  EXPECT_EQ(FormatValue(64.0 * (1 << 20), Unit::kBytes), "64.0 MiB");
  EXPECT_EQ(FormatValue(3.25, Unit::kSeconds), "3.2 s");
  EXPECT_EQ(FormatValue(80, Unit::kSeconds), "1 min 20 s");
  EXPECT_EQ(FormatValue(90000, Unit::kSeconds), "1 d 1 h");
  EXPECT_EQ(FormatValue(2.34567, Unit::kNumber), "2.346");
  EXPECT_EQ(FormatValue(7, Unit::kRound), "7");
}

}  // namespace
}  // namespace tributary::chart
