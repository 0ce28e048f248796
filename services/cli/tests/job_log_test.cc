#include "services/cli/job_log.h"

#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

TEST(LogText, HasTheTimeAndNotTheJob) {
  EXPECT_EQ(LogText({7, 1'700'000'000'123, true, "job demo round 2: seat b/1 is left out"}, "demo"), "2023-11-14 22:13:20.123 ! round 2: seat b/1 is left out");
  EXPECT_EQ(LogText({8, 1'700'000'000'000, false, "job demo: seat a/0 is taken"}, "demo"), "2023-11-14 22:13:20.000   seat a/0 is taken");
  EXPECT_EQ(LogText({8, 0, false, "task demo.r1.seal.0 is done"}, "demo"), "1970-01-01 00:00:00.000   task demo.r1.seal.0 is done");
}

TEST(LogText, GivesATerminalNothingToObey) {
  EXPECT_EQ(LogText({1, 0, false, "a\x1b[2J\xC2\x9B" "b ü"}, "demo"), "1970-01-01 00:00:00.000   a [2J  b ü");
}

TEST(ParseRounds, TakesRoundsAlone) {
  EXPECT_EQ(*ParseRounds("rounds", "12", 100), 12u);
  for (const char* value : {"", "0", "-1", "101", "3x", "99999999999"}) EXPECT_EQ(ParseRounds("rounds", value, 100).error().code(), Code::kInvalidArgument) << value;
  EXPECT_NE(ParseRounds("train.steps", "3", 100).error().message().find("submit another job"), std::string::npos);
}

}  // namespace
}  // namespace tributary::cli
