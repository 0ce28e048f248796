#include "services/blob-store/credit.h"

#include <gtest/gtest.h>

#include "tributary/base/units.h"

namespace tributary::service {
namespace {

using std::chrono::seconds;

class CreditTest : public ::testing::Test {
 protected:
  void Ask(const transport::PeerId& peer, std::uint64_t bytes, std::uint64_t unit, std::uint64_t window = 0) {
    ASSERT_TRUE(ledger_.Request(peer, book_.Of(peer), 1, {bytes, unit, window}, now_).ok());
    ledger_.Grant(now_);
  }

  memory::Pool pool_{16_MiB};
  HeldBook book_;
  std::map<transport::PeerId, std::uint64_t> granted_;
  CreditLedger ledger_{pool_, wire::kMaxPayload, [this](const transport::PeerId& peer, std::uint64_t, std::uint64_t bytes) { granted_[peer] += bytes; }};
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
  Ask(a_, 64_MiB, 64_KiB, 3_MiB);
  EXPECT_EQ(granted_[a_], 3_MiB);
  const transport::PeerId c("c");
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

}  // namespace
}  // namespace tributary::service
