#include "services/cli/watch.h"

#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

using std::chrono::seconds;

wire::JobStatus Running(const std::string& state, std::uint64_t done, const std::string& unit = "bytes") {
  wire::JobStatus status;
  status.state = "running";
  status.phase = "train";
  status.round = 2;
  status.rounds = 5;
  status.seats.push_back({"a/0", "trainer-0", state, done, 1u << 30, unit, {}});
  return status;
}

TEST(SpeedMeter, TellsWhatASeatDidInTheLastSeconds) {
  SpeedMeter meter;
  SpeedMeter::Time now{};
  EXPECT_TRUE(meter.Update(Running("download", 0), now).empty()) << "nothing to compare with";
  EXPECT_EQ(meter.Update(Running("download", 8u << 20), now += seconds(4)).at("a/0"), "2.0 MiB/s");
  for (int i = 1; i <= 20; ++i) (void)meter.Update(Running("download", (8u << 20) + (static_cast<std::uint64_t>(i) << 20)), now += seconds(1));
  EXPECT_EQ(meter.Update(Running("download", 29u << 20), now += seconds(1)).at("a/0"), "1.0 MiB/s") << "what was long ago does not count";
  EXPECT_TRUE(meter.Update(Running("upload", 30u << 20), now += seconds(1)).empty()) << "another phase";
  EXPECT_EQ(meter.Update(Running("upload", 31u << 20), now += seconds(1)).at("a/0"), "1.0 MiB/s");
  EXPECT_TRUE(meter.Update(Running("upload", 0), now += seconds(1)).empty()) << "it began anew";
  EXPECT_TRUE(meter.Update(Running("train", 3, "steps"), now += seconds(1)).empty());
  EXPECT_EQ(meter.Update(Running("train", 10, "steps"), now += seconds(2)).at("a/0"), "3.5 steps/s");
}

TEST(RoundsLeft, IsByTheNewestRounds) {
  auto status = Running("train", 0);
  EXPECT_EQ(RoundsLeft(status, {}), "") << "no round has ended: nobody knows";
  std::vector<wire::RoundStatus> finished(1);
  finished[0].round = 1;
  finished[0].seconds = 40;
  EXPECT_EQ(RoundsLeft(status, finished), "4 rounds left with this one, about 40.0 s each as the last one: 2 m 40 s");
  for (std::uint32_t round = 2; round <= 4; ++round) {
    finished.emplace_back().round = round;
    finished.back().seconds = 10;
  }
  EXPECT_EQ(RoundsLeft(status, finished), "1 round left with this one, about 10.0 s each as the last 3: 10.0 s");
  status.phase = "wait";
  EXPECT_EQ(RoundsLeft(status, finished), "") << "for as long as nobody comes";
  status.phase = "train";
  status.rounds = 4;
  EXPECT_EQ(RoundsLeft(status, finished), "");
}

}  // namespace
}  // namespace tributary::cli
