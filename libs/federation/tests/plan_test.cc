#include "tributary/federation/plan.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tributary::federation {
namespace {

std::set<std::uint32_t> All(std::uint32_t count) {
  std::set<std::uint32_t> all;
  for (std::uint32_t i = 0; i < count; ++i) all.insert(i);
  return all;
}

TEST(SelectSeats, TakesTheCeilingOfTheFraction) {
  job::Participants participants;
  participants.fraction = 0.1;
  EXPECT_EQ(SelectSeats(participants, 30, 1, All(30)).size(), 3u);
  EXPECT_EQ(SelectSeats(participants, 31, 1, All(31)).size(), 4u);
  EXPECT_EQ(SelectSeats(participants, 1, 1, All(1)).size(), 1u);
}

TEST(SelectSeats, TakesAtLeastTheQuorum) {
  job::Participants participants;
  participants.fraction = 0.1;
  participants.quorum = 5;
  EXPECT_EQ(SelectSeats(participants, 10, 1, All(10)).size(), 5u);
}

TEST(SelectSeats, IsTheSameForSeedAndRoundAndDiffersBetweenRounds) {
  job::Participants participants;
  participants.fraction = 0.5;
  EXPECT_EQ(SelectSeats(participants, 100, 3, All(100)), SelectSeats(participants, 100, 3, All(100)));
  EXPECT_NE(SelectSeats(participants, 100, 3, All(100)), SelectSeats(participants, 100, 4, All(100)));
  participants.seed = 2;
  EXPECT_NE(SelectSeats(participants, 100, 3, All(100)), SelectSeats(job::Participants{}, 100, 3, All(100)));
}

TEST(SelectSeats, PassesOverFreeSeats) {
  job::Participants participants;
  EXPECT_EQ(SelectSeats(participants, 4, 1, {1, 3}), (std::vector<std::uint32_t>{1, 3}));
}

TEST(SplitSlots, CoversAllSlotsOnce) {
  for (std::uint64_t slots : {1u, 2u, 7u, 100u}) {
    for (std::uint64_t workers : {0u, 1u, 3u, 8u}) {
      const auto ranges = SplitSlots(slots, workers);
      EXPECT_EQ(ranges.size(), std::min<std::uint64_t>(slots, std::max<std::uint64_t>(workers, 1)));
      std::uint64_t next = 0;
      for (const auto& range : ranges) {
        EXPECT_EQ(range.begin, next);
        EXPECT_GT(range.end, range.begin);
        next = range.end;
      }
      EXPECT_EQ(next, slots);
    }
  }
}

TEST(Weights, AreSharesOfSamplesOrEqual) {
  EXPECT_EQ(Weights({1, 3}, true), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(Weights({1, 3}, false), (std::vector<double>{0.5, 0.5}));
  const auto weights = Weights({1, 2, 3, 4, 5}, true);
  EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1.0, 1e-15);
}

TEST(KeepsModel, KeepsTheNewestAndTheLastCheckpoints) {
  EXPECT_TRUE(KeepsModel({0, 1}, 4, 4));
  EXPECT_FALSE(KeepsModel({0, 1}, 3, 4));
  EXPECT_TRUE(KeepsModel({2, 2}, 4, 7));
  EXPECT_TRUE(KeepsModel({2, 2}, 6, 7));
  EXPECT_FALSE(KeepsModel({2, 2}, 2, 7));
  EXPECT_FALSE(KeepsModel({2, 2}, 0, 1));
}

TEST(Names, AreStable) {
  EXPECT_EQ(ModelObject("j", 3), "jobs/j/models/3");
  EXPECT_EQ(UpdateObject("j", 3, "s", 1, 0), "jobs/j/rounds/3/updates/s/1");
  EXPECT_EQ(UpdateObject("j", 3, "s", 1, 2), "jobs/j/rounds/3/updates/s/1.g2");
  EXPECT_EQ(TaskName("j", 3, wire::TaskKind::kTrain, 1, 0), "j.r3.train.1");
  EXPECT_EQ(TaskName("j", 3, wire::TaskKind::kTrain, 1, 2), "j.r3.train.1.g2");
}

}  // namespace
}  // namespace tributary::federation
