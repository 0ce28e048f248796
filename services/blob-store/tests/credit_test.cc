#include "services/blob-store/credit.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "tributary/base/units.h"

namespace tributary::service {
namespace {

using std::chrono::seconds;

class CreditTest : public ::testing::Test {
 protected:
  explicit CreditTest(std::uint64_t budget = 16_MiB) : pool_(budget) {}
  void Ask(const transport::PeerId& peer, std::uint64_t bytes, std::uint64_t unit, std::uint64_t window = 0) {
    ASSERT_TRUE(ledger_.Request(peer, book_.Of(peer), 1, {bytes, unit, window}, now_).ok());
    ledger_.Grant(now_);
  }

  memory::Pool pool_;
  HeldBook book_;
  std::map<transport::PeerId, std::uint64_t> granted_;
  int grants_ = 0;
  CreditLedger ledger_{pool_, wire::kMaxPayload, [this](const transport::PeerId& peer, std::uint64_t, std::uint64_t bytes) {
                         granted_[peer] += bytes;
                         ++grants_;
                       }};
  CreditLedger::TimePoint now_;
  const transport::PeerId a_{"a"};
  const transport::PeerId b_{"b"};
};

TEST_F(CreditTest, APeerThatIsAloneLeavesHalfOfTheWriteSide) {
  Ask(a_, 64_MiB, 1_MiB);
  EXPECT_EQ(granted_[a_], 4_MiB);
  EXPECT_EQ(ledger_.Unspent(a_), 4_MiB);
  EXPECT_EQ(ledger_.Unspent(b_), 0u);
  Ask(b_, 1_MiB, 1_MiB);
  EXPECT_EQ(granted_[b_], 1_MiB);
}

TEST_F(CreditTest, ALongLineGetsAWiderWindowWhileHalfOfTheSideIsFree) {
  Ask(a_, 64_MiB, 64_KiB);
  EXPECT_EQ(granted_[a_], 512_KiB);  // 8 of its chunks
  ledger_.Forget(a_);
  granted_.clear();
  const transport::PeerId c("c");
  std::vector<std::shared_ptr<Held>> held;
  for (const auto& peer : {a_, b_, c}) held.push_back(book_.Of(peer));
  for (const auto& each : held) each->far = true;
  Ask(a_, 64_MiB, 64_KiB, 3_MiB);
  EXPECT_EQ(granted_[a_], 3_MiB);
  Ask(b_, 64_MiB, 64_KiB, 3_MiB);
  Ask(c, 64_MiB, 64_KiB, 3_MiB);
  // More than half is taken: the last one gets the usual window.
  EXPECT_EQ(granted_[b_], 3_MiB);
  EXPECT_EQ(granted_[c], 512_KiB);
}

TEST_F(CreditTest, AskingForMoreDoesNotKeepCreditThatIsNotUsed) {
  Ask(a_, 64_MiB, 4_MiB);
  for (int i = 0; i < 5; ++i) {
    now_ += seconds(2);
    Ask(a_, 64_MiB, 4_MiB);
  }
  EXPECT_EQ(ledger_.Idle(now_, Duration(10'000)), std::vector<transport::PeerId>{a_});
  EXPECT_TRUE(ledger_.Spend(a_, 1_MiB, now_).has_value());
  EXPECT_TRUE(ledger_.Idle(now_, Duration(10'000)).empty());
}

TEST(CreditOfLargeMessages, LiesUnusedAsMuchLonger) {
  memory::Pool pool(64_MiB);
  CreditLedger ledger(pool, 32_MiB, [](const transport::PeerId&, std::uint64_t, std::uint64_t) {});
  const transport::PeerId peer{"p"};
  HeldBook book;
  const CreditLedger::TimePoint now{};
  ASSERT_TRUE(ledger.Request(peer, book.Of(peer), 1, {16_MiB, 16_MiB, 0}, now).ok());
  ledger.Grant(now);
  ASSERT_EQ(ledger.Unspent(peer), 16_MiB);
  EXPECT_TRUE(ledger.Idle(now + Duration(39'000), Duration(10'000)).empty());
  EXPECT_FALSE(ledger.Idle(now + Duration(40'000), Duration(10'000)).empty());
  EXPECT_EQ(ledger.Request(peer, book.Of(peer), 2, {33_MiB, 33_MiB, 0}, now).error().code(), Code::kResourceExhausted);
}

TEST_F(CreditTest, WhatIsBeingStagedCountsInTheNextSessionToo) {
  Ask(a_, 64_MiB, 4_MiB);
  auto spent = ledger_.Spend(a_, 4_MiB, now_);
  ASSERT_TRUE(spent);
  EXPECT_EQ(book_.Of(a_)->puts, 1u);
  ledger_.Forget(a_);
  Ask(a_, 64_MiB, 4_MiB);
  EXPECT_EQ(granted_[a_], 4_MiB);
  spent.reset();
  EXPECT_EQ(book_.Of(a_)->puts, 0u);
  ledger_.Staged(a_, now_);
  ledger_.Grant(now_);
  EXPECT_EQ(granted_[a_], 8_MiB);
}

TEST_F(CreditTest, NothingIsLeftInThePoolWhenAllIsCleared) {
  Ask(a_, 1_MiB, 1_MiB);
  EXPECT_EQ(pool_.Use().used[1], 1_MiB);
  ledger_.Clear();
  EXPECT_EQ(pool_.Use().used[1], 0u);
}

// The default budget, of which near peers use 12 MiB together.
class NearCreditTest : public CreditTest {
 protected:
  NearCreditTest() : CreditTest(64_MiB) {}
  std::uint64_t Granted() const {
    std::uint64_t bytes = 0;
    for (const auto& [peer, each] : granted_) bytes += each;
    return bytes;
  }
  // Sends so much, and it is staged.
  void Use(const transport::PeerId& peer, std::uint64_t bytes) {
    ASSERT_TRUE(ledger_.Spend(peer, bytes, now_).has_value());
    ledger_.Staged(peer, now_);
    ledger_.Grant(now_);
  }
  const transport::PeerId c_{"c"};
};

TEST_F(NearCreditTest, TheirPartIsTheSameHoweverManyTheyAre) {
  for (const int peers : {2, 4, 32}) {
    granted_.clear();
    std::vector<transport::PeerId> ids;
    for (int i = 0; i < peers; ++i) ids.emplace_back("p" + std::to_string(i));
    // All ask before anything is granted.
    for (const auto& peer : ids) ASSERT_TRUE(ledger_.Request(peer, book_.Of(peer), 1, {64_MiB, 1_MiB, 6_MiB}, now_).ok());
    ledger_.Grant(now_);
    EXPECT_EQ(Granted(), 12_MiB) << peers << " peers";
    for (const auto& peer : ids) ledger_.Forget(peer);
  }
}

TEST_F(NearCreditTest, OneThatIsAloneHasItsWindow) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  EXPECT_EQ(granted_[a_], 8_MiB);
}

TEST_F(NearCreditTest, WhoWaitsGoesOnAsSoonAsAChunkIsStaged) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  ASSERT_EQ(Granted(), 12_MiB) << "8 of the first, and what was left";
  ASSERT_EQ(granted_[c_], 0u);
  // The first one has more than its share now, and the second one asked earlier.
  Use(a_, 1_MiB);
  Use(a_, 1_MiB);
  EXPECT_EQ(granted_[a_], 8_MiB);
  EXPECT_EQ(granted_[c_], 2_MiB);
  ledger_.Forget(b_);
  ledger_.Grant(now_);
  EXPECT_EQ(granted_[c_], 6_MiB);
}

TEST_F(NearCreditTest, ThoseOnALongLineAreNotPartOfItAndDoNotWaitForIt) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  ASSERT_EQ(Granted(), 12_MiB);
  const transport::PeerId near("near");
  Ask(near, 64_MiB, 1_MiB, 6_MiB);
  EXPECT_EQ(granted_[near], 0u);
  const auto held = book_.Of(c_);
  held->far = true;
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  EXPECT_EQ(granted_[c_], 8_MiB);
  Use(a_, 1_MiB);
  EXPECT_EQ(granted_[near], 1_MiB);
}

TEST_F(NearCreditTest, ThoseWhoseNetworkIsSlowAreNotPartOfItAndABusyMachineIsNone) {
  for (const auto& peer : {a_, b_}) Ask(peer, 64_MiB, 1_MiB, 6_MiB);
  ASSERT_EQ(Granted(), 12_MiB);
  for (int i = 0; i < 4; ++i) {
    now_ += std::chrono::milliseconds(84);  // 1 MiB at 100 Mbit/s
    for (const auto& peer : {a_, b_}) Use(peer, 1_MiB);
  }
  const auto unspent = [&] { return ledger_.Unspent(a_) + ledger_.Unspent(b_); };
  EXPECT_EQ(unspent(), 12_MiB);
  book_.Of(a_)->network = true;
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  EXPECT_EQ(granted_[c_], 6_MiB);
  EXPECT_LE(ledger_.Unspent(b_) + ledger_.Unspent(c_), 12_MiB);
}

TEST_F(NearCreditTest, WhoAsksForMoreThanANearLineTakesHasUpToHalfOfTheSide) {
  // 25 MiB under way is what 500 Mbit/s with 200 ms takes, twice; a quarter of the budget is what one peer has at most.
  Ask(a_, 64_MiB, 1_MiB, 25_MiB);
  EXPECT_EQ(granted_[a_], 16_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  EXPECT_EQ(granted_[b_] + granted_[c_], 12_MiB);
}

TEST_F(NearCreditTest, WhoDoesNotUseItsCreditDoesNotKeepTheOthersPart) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  ASSERT_EQ(granted_[c_], 0u);
  now_ += seconds(2);
  ledger_.Grant(now_);
  EXPECT_EQ(granted_[c_], 4_MiB);
  EXPECT_TRUE(ledger_.Spend(a_, 1_MiB, now_).has_value()) << "and still has it";
}

TEST_F(NearCreditTest, ASpecDoesNotWaitBehindChunksOfOthers) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  ASSERT_EQ(Granted(), 12_MiB);
  const transport::PeerId d("d");
  Ask(d, 700, 700, 700);
  EXPECT_EQ(granted_[d], 700u);
}

TEST_F(NearCreditTest, AChunkLargerThanTheSideGoesWhenNothingElseIsUnderWay) {
  memory::Pool pool(64_MiB);
  std::map<transport::PeerId, std::uint64_t> granted;
  CreditLedger ledger(pool, 48_MiB, [&](const transport::PeerId& peer, std::uint64_t, std::uint64_t bytes) { granted[peer] += bytes; });
  ASSERT_TRUE(ledger.Request(a_, book_.Of(a_), 1, {1_MiB, 1_MiB, 0}, now_).ok());
  ledger.Grant(now_);
  // More than the whole side.
  ASSERT_TRUE(ledger.Request(b_, book_.Of(b_), 1, {80_MiB, 40_MiB, 0}, now_).ok());
  ledger.Grant(now_);
  EXPECT_EQ(granted[b_], 0u);
  ASSERT_TRUE(ledger.Request(c_, book_.Of(c_), 1, {4_MiB, 1_MiB, 0}, now_).ok());
  ledger.Grant(now_);
  EXPECT_EQ(granted[c_], 0u) << "nobody overtakes it for ever";
  ASSERT_TRUE(ledger.Spend(a_, 1_MiB, now_).has_value());
  ledger.Grant(now_);
  EXPECT_EQ(granted[b_], 40_MiB);
}

// A frame for each of them is more than a peer's queue takes, which ends its session.
TEST_F(NearCreditTest, ManySmallChunksComeInOneGrant) {
  Ask(a_, 64_MiB, 4_KiB, 6_MiB);
  Ask(b_, 64_MiB, 4_KiB, 6_MiB);
  Ask(c_, 64_MiB, 4_KiB, 6_MiB);
  EXPECT_LE(grants_, 6);
  EXPECT_EQ(Granted(), 12_MiB);
  grants_ = 0;
  // The same where it is the pool that has no more.
  const auto rest = pool_.TryReserve(memory::Side::kWrite, 32_MiB - 12_MiB - 3 * 4_KiB);
  ASSERT_TRUE(rest);
  const auto held = book_.Of(transport::PeerId("far"));
  held->far = true;
  Ask(transport::PeerId("far"), 64_MiB, 4_KiB, 6_MiB);
  EXPECT_EQ(granted_[transport::PeerId("far")], 12_KiB);
  EXPECT_EQ(grants_, 1);
}

TEST_F(NearCreditTest, SessionsThatEndWhileTheyWaitLeaveNothingInTheQueue) {
  Ask(a_, 64_MiB, 1_MiB, 6_MiB);
  Ask(b_, 64_MiB, 1_MiB, 6_MiB);
  for (int i = 0; i < 100; ++i) {
    Ask(c_, 64_MiB, 1_MiB, 6_MiB);
    ledger_.Forget(c_);
  }
  Ask(c_, 64_MiB, 1_MiB, 6_MiB);
  Use(a_, 1_MiB);
  EXPECT_EQ(granted_[c_], 1_MiB);
}

}  // namespace
}  // namespace tributary::service
