#include "libs/transport/src/complaints.h"

#include <gtest/gtest.h>

namespace tributary::transport {
namespace {

using std::chrono::seconds;

const Complaints::TimePoint kStart{seconds(1'000'000)};

TEST(Complaints, OncePerPeerAndMinuteAndTheRestIsCounted) {
  Complaints complaints;
  EXPECT_EQ(complaints.Admit("a", kStart), 0u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(complaints.Admit("a", kStart + seconds(i % 60)), std::nullopt);
  EXPECT_EQ(complaints.Admit("b", kStart + seconds(1)), 0u);
  EXPECT_EQ(complaints.Admit("a", kStart + seconds(60)), 500u);
  EXPECT_EQ(complaints.Admit("a", kStart + seconds(61)), std::nullopt);
  EXPECT_EQ(complaints.Admit("a", kStart + seconds(120)), 1u);
}

TEST(Complaints, ManyPeersShareOneLine) {
  Complaints complaints;
  std::size_t lines = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (complaints.Admit(std::to_string(i), kStart)) ++lines;
  }
  EXPECT_EQ(lines, Complaints::kMaxPeers + 1);
  // A minute later there is room again, and those that were not told of are not forgotten.
  lines = 0;
  std::uint64_t hidden = 0;
  for (int i = 200'000; i < 300'000; ++i) {
    if (const auto earlier = complaints.Admit(std::to_string(i), kStart + seconds(60))) {
      ++lines;
      hidden += *earlier;
    }
  }
  EXPECT_EQ(lines, Complaints::kMaxPeers + 1);
  EXPECT_EQ(hidden, 100'000 - Complaints::kMaxPeers - 1);
}

}  // namespace
}  // namespace tributary::transport
