#include "tributary/base/suggest.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

const std::vector<std::string> kNames = {"memory-budget", "metrics-address", "log-level", "r"};

TEST(NearestName, FindsSwapsLossesAndAdditions) {
  EXPECT_EQ(NearestName("memory-bugdet", kNames), "memory-budget");
  EXPECT_EQ(NearestName("memorybudget", kNames), "memory-budget");
  EXPECT_EQ(NearestName("log_levell", kNames), "log-level");
  EXPECT_EQ(NearestName("memory-budget", kNames), "memory-budget");
}

TEST(NearestName, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(NearestName("quota", kNames), "");
  EXPECT_EQ(NearestName("", kNames), "");
  EXPECT_EQ(NearestName("log-level", {}), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'a'), kNames), "");
}

TEST(DidYouMean, IsReadyToAppend) {
  EXPECT_EQ(DidYouMean("log-leve", kNames), "; did you mean 'log-level'?");
  EXPECT_EQ(DidYouMean("quota", kNames), "");
}

}  // namespace
}  // namespace tributary
