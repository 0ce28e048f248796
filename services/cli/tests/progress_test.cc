#include "services/cli/progress.h"

#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

TEST(Bar, FillsFromLeftToRight) {
  EXPECT_EQ(Bar(0, 10, 10), "[----------]");
  EXPECT_EQ(Bar(5, 10, 10), "[#####-----]");
  EXPECT_EQ(Bar(10, 10, 10), "[##########]");
}

TEST(Bar, StaysWithinItsWidthForOddNumbers) {
  EXPECT_EQ(Bar(20, 10, 4), "[####]") << "more done than planned";
  EXPECT_EQ(Bar(3, 0, 4), "[----]") << "nothing planned";
}

}  // namespace
}  // namespace tributary::cli
