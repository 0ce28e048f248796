#include "tributary/base/clock.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

class HandClock final : public Clock {
 public:
  TimePoint Now() const override { return now_; }
  void Move(Duration by) { now_ += by; }

 private:
  TimePoint now_{};
};

TEST(Deadline, ExpiresWithoutProgressAndProgressRenewsIt) {
  HandClock clock;
  Deadline deadline(clock, Duration(100));
  clock.Move(Duration(99));
  EXPECT_FALSE(deadline.Expired());
  EXPECT_EQ(deadline.Left(), Duration(1));
  deadline.Renew();
  clock.Move(Duration(99));
  EXPECT_FALSE(deadline.Expired());
  clock.Move(Duration(1));
  EXPECT_TRUE(deadline.Expired());
  clock.Move(Duration(50));
  EXPECT_EQ(deadline.Left(), Duration(0));
  EXPECT_EQ(deadline.limit(), Duration(100));
}

TEST(Deadline, ZeroMeansForEver) {
  HandClock clock;
  const Deadline deadline(clock, Duration(0));
  clock.Move(std::chrono::hours(24 * 365));
  EXPECT_FALSE(deadline.Expired());
  EXPECT_GT(deadline.Left(), std::chrono::hours(1));
}

TEST(Clock, SteadyDoesNotGoBack) {
  const auto first = Clock::Steady().Now();
  EXPECT_GE(Clock::Steady().Now(), first);
}

}  // namespace
}  // namespace tributary
