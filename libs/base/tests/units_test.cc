#include "tributary/base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary {
namespace {

using testing::HasSubstr;

TEST(ParseBytes, EveryUnit) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},          {"4096", 4096},       {"7B", 7},           {"2KB", 2000},         {"2KiB", 2048},
      {"3MB", 3000000},  {"64MiB", 64u << 20}, {"1GB", 1000000000}, {"1GiB", 1u << 30},    {"1.5GiB", 3u << 29},
      {"2TB", 2000000000000}, {"1TiB", 1ULL << 40}, {"64 MiB", 64u << 20}, {"0.5KiB", 512}};
  for (const auto& [text, bytes] : cases) {
    const auto parsed = ParseBytes(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

// 2^53 + 1 and above are no doubles: a plain count of bytes must not lose its last digit.
TEST(ParseBytes, PlainCountsAreExact) {
  EXPECT_EQ(ParseBytes("9007199254740993").value(), 9007199254740993u);
}

TEST(ParseBytes, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"", "x", "MiB", "-1", "-1MiB", "+1", "nan", "inf", "1e300GiB", "64mib", "64 MiB x", "1,5GiB",
                          " 64MiB", "64MiB ", "0x10", "99999999TiB", "NaNGiB"}) {
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
  }
  EXPECT_THAT(ParseBytes("64mb").error().message(), AllOf(HasSubstr("'64mb'"), HasSubstr("64MiB")));
}

TEST(ParseDuration, EveryUnit) {
  const std::pair<const char*, std::int64_t> cases[] = {{"250ms", 250}, {"30s", 30000},   {"5m", 300000}, {"2h", 7200000},
                                                        {"1.5s", 1500}, {"0", 0},         {"0s", 0},      {"10 s", 10000}};
  for (const auto& [text, ms] : cases) {
    const auto parsed = ParseDuration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->count(), ms) << text;
  }
}

TEST(ParseDuration, RefusesBareNumbersAndUnknownUnits) {
  for (const char* bad : {"", "30", "5min", "-5s", "s", "1d", "1e30h", "nan", "infs", "5 m s"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
  EXPECT_THAT(ParseDuration("30").error().message(), AllOf(HasSubstr("'30'"), HasSubstr("30s")));
}

TEST(Format, BytesAndDurations) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(3u << 29), "1.5 GiB");
  EXPECT_EQ(FormatBytes(1ULL << 60), "1048576.0 TiB");
  EXPECT_EQ(FormatDuration(Duration(250)), "250 ms");
  EXPECT_EQ(FormatDuration(Duration(3200)), "3.2 s");
  EXPECT_EQ(FormatDuration(Duration(250000)), "4 m 10 s");
  EXPECT_EQ(FormatDuration(Duration(7260000)), "2 h 1 m");
}

TEST(Literals, AreBinary) {
  EXPECT_EQ(1_KiB, 1024u);
  EXPECT_EQ(1_MiB, 1048576u);
  EXPECT_EQ(1_GiB, 1073741824u);
}

}  // namespace
}  // namespace tributary
