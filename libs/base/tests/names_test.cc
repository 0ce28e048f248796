#include "tributary/base/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unordered_set>

namespace tributary {
namespace {

using testing::HasSubstr;

TEST(CheckSegment, AcceptsNamesAndRefusesWhatAPathCouldMisread) {
  for (const std::string good : {"a", "7", "hospital-a", "A.b_c-9", "a..b"}) {
    EXPECT_TRUE(CheckSegment(good, "name").ok()) << good;
  }
  EXPECT_TRUE(CheckSegment(std::string(63, 'x'), "name").ok());
  EXPECT_FALSE(CheckSegment(std::string(64, 'x'), "name").ok());
  for (const std::string bad : {"", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n", "a\\b", "\xC3\xA9", "a:b", "~"}) {
    EXPECT_FALSE(CheckSegment(bad, "name").ok()) << bad;
  }
  EXPECT_FALSE(CheckSegment(std::string_view("a\0b", 3), "name").ok());
}

TEST(CheckSegment, ErrorNamesKindAndCutsTheText) {
  const auto status = CheckSegment(std::string(5000, '/'), "site name");
  EXPECT_THAT(status.error().message(), HasSubstr("site name '////"));
  EXPECT_LT(status.error().message().size(), 300u);
}

TEST(CheckPath, SegmentsJoinedBySlashes) {
  EXPECT_TRUE(CheckPath("jobs/quickstart-1/rounds/3/updates/site/0", "object name").ok());
  for (const std::string bad : {"", "/", "/a", "a/", "a//b", "a/../b", "../a", "a/./b"}) {
    EXPECT_FALSE(CheckPath(bad, "object name").ok()) << bad;
  }
  std::string longest = std::string(63, 'a');
  longest += '/' + std::string(63, 'b') + '/' + std::string(63, 'c') + '/' + std::string(63, 'd');
  EXPECT_EQ(longest.size(), 255u);
  EXPECT_TRUE(CheckPath(longest, "object name").ok());
  EXPECT_THAT(CheckPath(longest + "e", "object name").error().message(), HasSubstr("over 255 bytes"));
}

TEST(Name, ParsesToItsOwnType) {
  const auto site = SiteName::Parse("hospital-a");
  ASSERT_TRUE(site.ok());
  EXPECT_EQ(site->str(), "hospital-a");
  EXPECT_FALSE(SiteName::Parse("hospital/a").ok());
  EXPECT_TRUE(ObjectName::Parse("hospital/a").ok());
  EXPECT_TRUE(JobId().empty());
  EXPECT_THAT(JobId::Parse("/").error().message(), HasSubstr("job id"));
  EXPECT_THAT(InstanceName::Parse("").error().message(), HasSubstr("instance name"));
}

TEST(Name, OrdersAndHashesByText) {
  EXPECT_LT(SiteName::Trusted("a"), SiteName::Trusted("b"));
  const std::unordered_set<SiteName> set = {SiteName::Trusted("a"), SiteName::Trusted("a"), SiteName::Trusted("b")};
  EXPECT_EQ(set.size(), 2u);
}

TEST(Seat, OrdersBySiteThenOrdinal) {
  const Seat a2{SiteName::Trusted("a"), 2};
  const Seat a10{SiteName::Trusted("a"), 10};
  const Seat b0{SiteName::Trusted("b"), 0};
  EXPECT_EQ(a10.str(), "a/10");
  EXPECT_LT(a2, a10);
  EXPECT_LT(a10, b0);
}

}  // namespace
}  // namespace tributary
