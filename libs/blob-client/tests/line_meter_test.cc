#include "libs/blob-client/src/line_meter.h"

#include <gtest/gtest.h>

namespace tributary::blob_client {
namespace {

using std::chrono::milliseconds;

class LineMeterTest : public testing::Test {
 protected:
  // `bytes` more come over so long a time, in steps of 20 ms.
  void Pass(milliseconds time, std::uint64_t bytes) {
    const auto steps = time.count() / 20;
    for (std::int64_t i = 1; i <= steps; ++i) meter_.Look(now_ + milliseconds(20 * i), bytes_ + bytes * static_cast<std::uint64_t>(i) / static_cast<std::uint64_t>(steps));
    now_ += time;
    bytes_ += bytes;
  }
  LineMeter meter_;
  LineMeter::Time now_{std::chrono::hours(1)};
  std::uint64_t bytes_ = 0;
};

TEST_F(LineMeterTest, KnowsTheRateOfASteadyLineAfterHalfASecond) {
  Pass(milliseconds(400), 400'000);
  EXPECT_FALSE(meter_.Rate().has_value());
  Pass(milliseconds(600), 600'000);
  ASSERT_TRUE(meter_.Rate().has_value());
  EXPECT_NEAR(*meter_.Rate(), 1e6, 5e4);
}

TEST_F(LineMeterTest, SmallTalkTellsNothing) {
  Pass(milliseconds(20'000), 40'000);
  EXPECT_FALSE(meter_.Rate().has_value());
}

TEST_F(LineMeterTest, ALineThatStandsStillKeepsItsRate) {
  Pass(milliseconds(5'000), 500'000);
  const double rate = *meter_.Rate();
  Pass(milliseconds(600'000), 0);
  EXPECT_NEAR(*meter_.Rate(), rate, rate / 100);  // the last bytes of a step are counted late
}

TEST_F(LineMeterTest, APauseCountsForFiveSecondsAtMost) {
  Pass(milliseconds(10'000), 1'000'000);
  Pass(milliseconds(3'000), 0);
  Pass(milliseconds(1'000), 100'000);
  EXPECT_NEAR(*meter_.Rate(), 1'100'000 / 14.0, 3'000);
  Pass(milliseconds(60'000), 0);
  Pass(milliseconds(1'000), 100'000);
  EXPECT_NEAR(*meter_.Rate(), 1'200'000 / 20.0, 3'000);
}

TEST_F(LineMeterTest, SignsOfLifeDoNotMakeALineSlow) {
  Pass(milliseconds(5'000), 5'000'000);
  const double rate = *meter_.Rate();
  for (int i = 0; i < 10; ++i) {
    now_ += std::chrono::seconds(5);
    meter_.Look(now_, bytes_ += 40);
  }
  EXPECT_NEAR(*meter_.Rate(), rate, rate / 100);
}

TEST_F(LineMeterTest, FollowsALineThatChanges) {
  Pass(milliseconds(60'000), 60'000'000);
  Pass(milliseconds(31'000), 3'100'000);
  EXPECT_NEAR(*meter_.Rate(), 1e5, 5e3);
}

TEST_F(LineMeterTest, AnotherConnectionBeginsAnew) {
  Pass(milliseconds(2'000), 2'000'000);
  bytes_ = 0;
  Pass(milliseconds(100), 1'000);
  EXPECT_NEAR(*meter_.Rate(), 1e6, 5e4) << "until the new one has one of its own";
  Pass(milliseconds(2'000), 200'000);
  EXPECT_NEAR(*meter_.Rate(), 1e5, 1e4);
}

TEST_F(LineMeterTest, WhileNobodyListenedItIsNotTheLine) {
  Pass(milliseconds(2'000), 2'000'000);
  now_ += std::chrono::minutes(10);
  meter_.Pause();
  Pass(milliseconds(2'000), 2'000'000);
  EXPECT_NEAR(*meter_.Rate(), 1e6, 5e4);
}

}  // namespace
}  // namespace tributary::blob_client
