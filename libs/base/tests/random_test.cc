// Seeds are part of what a job computes: these numbers must never change.
#include "tributary/base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace tributary {
namespace {

TEST(SplitMix64, GoldenValuesOfThePublishedAlgorithm) {
  SplitMix64 random(1234567);
  for (const std::uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                       4593380528125082431u, 16408922859458223821u}) {
    EXPECT_EQ(random.Next(), expected);
  }
  EXPECT_EQ(SplitMix64(0).Next(), 0xE220A8397B1DCDAFu);
}

TEST(SplitMix64, UnitAndBelowStayInTheirRange) {
  SplitMix64 random(7);
  std::array<int, 10> counts{};
  for (int i = 0; i < 10'000; ++i) {
    const double unit = random.NextUnit();
    ASSERT_GE(unit, 0.0);
    ASSERT_LT(unit, 1.0);
    const auto below = random.NextBelow(10);
    ASSERT_LT(below, 10u);
    ++counts[below];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(random.NextBelow(1), 0u);
  EXPECT_LT(random.NextBelow(~0ULL), ~0ULL);
}

TEST(MixSeed, GoldenAndSensitiveToOrderAndEachPart) {
  EXPECT_EQ(MixSeed(1), SplitMix64(1).Next());
  EXPECT_EQ(MixSeed(1, 2, 3), MixSeed(1, 2, 3));
  EXPECT_NE(MixSeed(1, 2, 3), MixSeed(1, 3, 2));
  EXPECT_NE(MixSeed(1, 2, 3), MixSeed(2, 2, 3));
  EXPECT_NE(MixSeed(1, 0), MixSeed(1));
  EXPECT_EQ(MixSeed(1, 2, 3), 2275154965636046662u);
}

}  // namespace
}  // namespace tributary
