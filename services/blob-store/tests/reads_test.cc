#include "services/blob-store/reads.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "tributary/base/units.h"

namespace tributary::service {
namespace {

class ReadsTest : public ::testing::Test {
 protected:
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

  memory::Pool pool_{16_MiB};
  HeldBook book_;
  std::vector<std::pair<std::string, std::optional<ReadGrant>>> started_;  // in order
  ReadScheduler scheduler_{pool_, wire::kMaxPayload, 64,
                           [this](ReadPtr read, ReadGrant grant) { started_.emplace_back(read->peer.str(), std::move(grant)); },
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

}  // namespace
}  // namespace tributary::service
