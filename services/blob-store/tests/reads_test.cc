#include "services/blob-store/reads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tributary/base/units.h"

namespace tributary::service {
namespace {

class ReadsTest : public ::testing::Test {
 protected:
  explicit ReadsTest(std::uint64_t budget = 16_MiB) : pool_(budget) {}
  void Ask(const transport::PeerId& peer, ReadClass kind, std::uint64_t reads) {
    for (std::uint64_t slot = 0; slot < reads; ++slot) {
      ReadRequest request;
      request.object = ObjectName::Trusted("o");
      request.slot = slot;
      scheduler_.Add(peer, kind, book_.Of(peer), request);
    }
  }
  // The reply left: its memory is free again.
  void Sent(std::size_t index) {
    started_[index].second.reset();
    scheduler_.Schedule();
  }
  std::map<std::string, int> CountsOf(std::size_t begin, std::size_t end) const {
    std::map<std::string, int> counts;
    for (std::size_t i = begin; i < end; ++i) ++counts[started_[i].first];
    return counts;
  }

  memory::Pool pool_;
  HeldBook book_;
  std::vector<std::pair<std::string, std::optional<ReadGrant>>> started_;  // in order
  ReadPtr last_;  // started
  ReadScheduler scheduler_{pool_, 48_MiB, 64,
                           [this](ReadPtr read, ReadGrant grant) {
                             started_.emplace_back(read->peer.str(), std::move(grant));
                             last_ = std::move(read);
                           },
                           [](const Read&, const Error& error) { ADD_FAILURE() << error.message(); }};
};

TEST_F(ReadsTest, AnAggregatorReadsAsOftenAsAllTrainersTogether) {
  const transport::PeerId aggregator("agg");
  for (const char* name : {"t1", "t2", "t3", "t4"}) Ask(transport::PeerId(name), ReadClass::kOthers, 32);
  Ask(aggregator, ReadClass::kAggregators, 64);
  scheduler_.Schedule();
  ASSERT_GT(started_.size(), 0u);
  for (std::size_t sent = 0; sent < 40; ++sent) Sent(sent);
  ASSERT_GE(started_.size(), 40u);
  auto counts = CountsOf(0, 40);
  EXPECT_NEAR(counts[transport::PeerId("agg").str()], 20, 2);
  for (const char* name : {"t1", "t2", "t3", "t4"}) EXPECT_NEAR(counts[transport::PeerId(name).str()], 5, 1) << name;
}

TEST_F(ReadsTest, WithoutTheOtherClassAClassHasAllTurns) {
  Ask(transport::PeerId("a"), ReadClass::kAggregators, 16);
  scheduler_.Schedule();
  for (std::size_t sent = 0; sent < 16; ++sent) {
    ASSERT_LT(sent, started_.size());
    Sent(sent);
  }
  EXPECT_EQ(started_.size(), 16u);
}

TEST_F(ReadsTest, ThoseWhoDoNotTakeTheirRepliesDoNotStopTheOtherClass) {
  // Their replies are never sent: each holds its share, and not one of them all of the read side.
  for (int i = 0; i < 3; ++i) Ask(transport::PeerId("stalled" + std::to_string(i)), ReadClass::kOthers, 32);
  scheduler_.Schedule();
  const std::size_t held = started_.size();
  Ask(transport::PeerId("agg"), ReadClass::kAggregators, 8);
  scheduler_.Schedule();
  ASSERT_GT(started_.size(), held);
  for (std::size_t i = held; i < held + 8; ++i) {
    ASSERT_LT(i, started_.size());
    EXPECT_EQ(started_[i].first, transport::PeerId("agg").str());
    Sent(i);
  }
}

TEST_F(ReadsTest, SlowPeersTogetherLeaveHalfOfTheSide) {
  const auto begin = ReadScheduler::TimePoint() + std::chrono::hours(1);
  std::vector<transport::PeerId> slow;
  for (int i = 0; i < 7; ++i) slow.emplace_back("slow" + std::to_string(i));
  for (const auto& peer : slow) Ask(peer, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  // Each takes one reply in five seconds.
  auto now = begin;
  for (const auto& peer : slow) ++book_.Of(peer)->unread;
  EXPECT_TRUE(scheduler_.Stalled(now, std::chrono::seconds(60)).empty());
  now += std::chrono::seconds(5);
  for (const auto& peer : slow) ++book_.Of(peer)->taken;
  EXPECT_TRUE(scheduler_.Stalled(now, std::chrono::seconds(60)).empty());
  // All their first replies leave; what they get now is half of the side, 4 chunks of 1 MiB and their headers less one.
  const std::size_t first = started_.size();
  for (std::size_t i = 0; i < first; ++i) started_[i].second.reset();
  scheduler_.Schedule();
  EXPECT_EQ(started_.size() - first, 3u);
  const transport::PeerId good("good");
  Ask(good, ReadClass::kOthers, 16);
  scheduler_.Schedule();
  for (std::size_t i = first + 3; i < first + 3 + 16; ++i) {
    ASSERT_LT(i, started_.size());
    EXPECT_EQ(started_[i].first, good.str());
    Sent(i);
  }
}

TEST_F(ReadsTest, TellsWhoTookNothingWhileOthersWaitForMemory) {
  for (int i = 0; i < 8; ++i) Ask(transport::PeerId("stalled" + std::to_string(i)), ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_TRUE(scheduler_.short_of_memory());
  started_.front().second.reset();
  scheduler_.Schedule();
  EXPECT_TRUE(scheduler_.short_of_memory()) << "it went to the next one";
  for (auto& [peer, grant] : started_) grant.reset();
  for (int i = 0; i < 8; ++i) scheduler_.Forget(transport::PeerId("stalled" + std::to_string(i)));
  Ask(transport::PeerId("good"), ReadClass::kOthers, 1);
  scheduler_.Schedule();
  EXPECT_FALSE(scheduler_.short_of_memory());
}

TEST_F(ReadsTest, APeerThatIsGoneLeavesItsTurn) {
  Ask(transport::PeerId("a"), ReadClass::kAggregators, 16);
  Ask(transport::PeerId("t"), ReadClass::kOthers, 16);
  scheduler_.Forget(transport::PeerId("a"));
  scheduler_.Schedule();
  ASSERT_GT(started_.size(), 0u);
  EXPECT_EQ(CountsOf(0, started_.size()).count(transport::PeerId("a").str()), 0u);
}

// The default budget, of which near peers use 12 chunks of 1 MiB together.
class NearReadsTest : public ReadsTest {
 protected:
  static constexpr std::size_t kPart = 12;
  NearReadsTest() : ReadsTest(64_MiB) {}
  std::size_t InUse() const {
    return static_cast<std::size_t>(std::ranges::count_if(started_, [](const auto& each) { return each.second.has_value(); }));
  }
  int HeldBy(const transport::PeerId& peer) const {
    return static_cast<int>(std::ranges::count_if(started_, [&](const auto& each) { return each.second && each.first == peer.str(); }));
  }
  const transport::PeerId a_{"a"};
  const transport::PeerId b_{"b"};
  const transport::PeerId c_{"c"};
};

TEST_F(NearReadsTest, TheirPartIsTheSameHoweverManyTheyAre) {
  for (const int peers : {2, 4, 32}) {
    for (int i = 0; i < peers; ++i) Ask(transport::PeerId("p" + std::to_string(i)), ReadClass::kOthers, 8);
    scheduler_.Schedule();
    EXPECT_EQ(InUse(), kPart) << peers << " peers";
    for (auto& [peer, grant] : started_) grant.reset();
    for (int i = 0; i < peers; ++i) scheduler_.Forget(transport::PeerId("p" + std::to_string(i)));
  }
}

TEST_F(NearReadsTest, OneThatIsAloneHasItsWindow) {
  Ask(a_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(InUse(), 8u);
}

TEST_F(NearReadsTest, EachHasItsShareAlsoWhileAnotherTakesNothing) {
  Ask(a_, ReadClass::kOthers, 8);
  Ask(b_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  ASSERT_EQ(HeldBy(a_), 6);
  ASSERT_EQ(HeldBy(b_), 6);
  // The second one's replies go, the first one's do not.
  for (std::size_t i = 0; i < started_.size(); ++i) {
    if (started_[i].first != b_.str()) continue;
    EXPECT_EQ(HeldBy(a_), 6);
    Sent(i);
  }
  EXPECT_EQ(CountsOf(0, started_.size())[b_.str()], 8);
  EXPECT_EQ(HeldBy(a_), 8) << "now it is alone";
}

TEST_F(NearReadsTest, WhoWaitsGoesOnAsSoonAsAReplyIsSent) {
  for (int i = 0; i < 16; ++i) Ask(transport::PeerId("p" + std::to_string(10 + i)), ReadClass::kOthers, 2);
  scheduler_.Schedule();
  ASSERT_EQ(started_.size(), kPart);
  for (std::size_t sent = 0; sent < 4; ++sent) {
    Sent(sent);
    ASSERT_EQ(started_.size(), kPart + sent + 1);
    // In the order in which they came.
    EXPECT_EQ(started_.back().first, transport::PeerId("p" + std::to_string(10 + kPart + sent)).str());
  }
}

TEST_F(NearReadsTest, ThoseOnALongLineAreNotPartOfIt) {
  const auto held = book_.Of(a_);
  held->far = true;
  Ask(a_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(a_), 8);
  Ask(b_, ReadClass::kOthers, 8);
  Ask(c_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(b_) + HeldBy(c_), static_cast<int>(kPart)) << "the near ones have theirs";
  Sent(0);
  Ask(a_, ReadClass::kOthers, 1);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(a_), 8) << "while others wait for the near part";
}

TEST_F(NearReadsTest, ThoseWhoseNetworkIsSlowAreNotPartOfItAndABusyMachineIsNone) {
  for (const auto& peer : {a_, b_}) Ask(peer, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  ASSERT_EQ(InUse(), kPart);
  // 1 MiB at 100 Mbit/s.
  for (const auto& peer : {a_, b_}) {
    book_.Of(peer)->taken += 2;
    book_.Of(peer)->taking += 2 * 84'000;
  }
  EXPECT_TRUE(scheduler_.Stalled(std::chrono::steady_clock::now(), std::chrono::seconds(60)).empty());
  scheduler_.Schedule();
  EXPECT_EQ(InUse(), kPart);
  book_.Of(a_)->network = true;
  Ask(c_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(a_), 8);
  EXPECT_EQ(HeldBy(b_) + HeldBy(c_), static_cast<int>(kPart));
}

TEST_F(NearReadsTest, WhoAsksForMoreThanANearLineTakesHasUpToHalfOfTheSide) {
  // 25 MiB under way is what 500 Mbit/s with 200 ms takes, twice; a quarter of the budget is what one peer has at most.
  Ask(a_, ReadClass::kOthers, 25);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(a_), 15);
  Ask(b_, ReadClass::kOthers, 8);
  Ask(c_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(b_) + HeldBy(c_), static_cast<int>(kPart));
}

TEST_F(NearReadsTest, SlowOnesDoNotKeepTheOthersPart) {
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& peer : {a_, b_}) Ask(peer, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  ASSERT_EQ(InUse(), kPart);
  for (const auto& peer : {a_, b_}) ++book_.Of(peer)->unread;
  for (int i = 0; i < 2; ++i) Ask(transport::PeerId("good" + std::to_string(i)), ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_EQ(InUse(), kPart);
  EXPECT_TRUE(scheduler_.Stalled(begin + std::chrono::seconds(3), std::chrono::seconds(60)).empty());
  scheduler_.Schedule();
  EXPECT_EQ(HeldBy(transport::PeerId("good0")) + HeldBy(transport::PeerId("good1")), static_cast<int>(kPart)) << "without anything that was sent";
}

TEST_F(NearReadsTest, AChunkLargerThanTheSideGoesWhenNothingElseIsUnderWay) {
  Ask(a_, ReadClass::kOthers, 1);
  scheduler_.Schedule();
  ASSERT_EQ(started_.size(), 1u);
  const ReadPtr large = last_;
  Ask(b_, ReadClass::kOthers, 1);
  scheduler_.Schedule();
  ASSERT_EQ(started_.size(), 2u);
  // More than the whole side.
  started_[0].second.reset();
  scheduler_.NeedsMore(large, 40_MiB);
  scheduler_.Schedule();
  EXPECT_EQ(started_.size(), 2u);
  Ask(c_, ReadClass::kOthers, 4);
  scheduler_.Schedule();
  EXPECT_EQ(started_.size(), 2u) << "nobody overtakes it for ever";
  Sent(1);
  ASSERT_EQ(started_.size(), 3u);
  EXPECT_EQ(started_[2].first, a_.str());
  Sent(2);
  EXPECT_EQ(HeldBy(c_), 4);
}

TEST_F(NearReadsTest, AListDoesNotWaitBehindChunks) {
  for (int i = 0; i < 16; ++i) Ask(transport::PeerId("p" + std::to_string(i)), ReadClass::kOthers, 2);
  scheduler_.Schedule();
  ASSERT_EQ(started_.size(), kPart);
  ReadRequest list;
  list.type = wire::Type::kList;
  scheduler_.Add(a_, ReadClass::kOthers, book_.Of(a_), list);
  scheduler_.Schedule();
  ASSERT_EQ(started_.size(), kPart + 1);
  EXPECT_EQ(started_.back().first, a_.str());
}

TEST_F(NearReadsTest, WhatANetworkIsWaitedForLeavesThemTheirPart) {
  const auto hanging = ObjectName::Trusted("remote");
  scheduler_.OnWaits([&](const ObjectName& object) { return object == hanging; });
  for (int i = 0; i < 4; ++i) {
    const transport::PeerId peer("p" + std::to_string(i));
    for (std::uint64_t slot = 0; slot < 8; ++slot) {
      ReadRequest request;
      request.object = hanging;
      request.slot = slot;
      scheduler_.Add(peer, ReadClass::kOthers, book_.Of(peer), request);
    }
  }
  scheduler_.Schedule();
  const std::size_t hang = started_.size();
  ASSERT_GT(hang, 0u);
  Ask(b_, ReadClass::kOthers, 8);
  Ask(c_, ReadClass::kOthers, 8);
  scheduler_.Schedule();
  EXPECT_GE(started_.size() - hang, 4u);
  EXPECT_GT(HeldBy(b_), 0);
  EXPECT_GT(HeldBy(c_), 0);
}

}  // namespace
}  // namespace tributary::service
