#include "services/trainer/training_plan.h"

#include <gtest/gtest.h>

namespace tributary::trainer {
namespace {

constexpr Plan kPlan{.steps = 5, .batches = 5};
constexpr std::uint32_t kRounds = 4;

train::TrainOptions OfRound(const std::string& schedule, std::uint32_t round) {
  job::Job job;
  job.rounds = kRounds;
  job.train.learning_rate = 1e-3;
  job.train.learning_rate_min = 1e-4;
  job.train.schedule = schedule;
  const auto options = OptionsOf(job, kPlan, round, 0, 1);
  EXPECT_TRUE(options.ok());
  return options.ok() ? *options : train::TrainOptions();
}

// FlowerTune: lrate_min + 0.5 * (lrate_max - lrate_min) * (1 + cos(pi * current_round / total_round)), rounds counted from 1; the figures are that formula's.
TEST(TrainingPlan, CosineByRoundIsFlowerTunesFormulaAndConstantWithinARound) {
  const double rates[kRounds] = {0.0008681980515339464, 0.00055, 0.00023180194846605363, 0.0001};
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto options = OfRound("cosine-by-round", round);
    EXPECT_EQ(options.schedule, train::Schedule::kConstant) << round;
    EXPECT_NEAR(options.learning_rate, rates[round - 1], 1e-18) << round;
  }
}

TEST(TrainingPlan, CosineInRoundBeginsAnewWithEachRound) {
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto options = OfRound("cosine-in-round", round);
    EXPECT_EQ(options.schedule, train::Schedule::kCosine) << round;
    EXPECT_EQ(options.schedule_begin, 0u) << round;
    EXPECT_EQ(options.schedule_steps, kPlan.steps) << round;
    EXPECT_EQ(options.learning_rate, 1e-3) << round;
    EXPECT_EQ(options.learning_rate_min, 1e-4) << round;
  }
}

TEST(TrainingPlan, CosineGoesOverTheStepsOfAllRoundsAndConstantStays) {
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto options = OfRound("cosine", round);
    EXPECT_EQ(options.schedule, train::Schedule::kCosine) << round;
    EXPECT_EQ(options.schedule_begin, (round - 1) * kPlan.steps) << round;
    EXPECT_EQ(options.schedule_steps, kRounds * kPlan.steps) << round;
    const auto constant = OfRound("constant", round);
    EXPECT_EQ(constant.schedule, train::Schedule::kConstant) << round;
    EXPECT_EQ(constant.learning_rate, 1e-3) << round;
  }
}

}  // namespace
}  // namespace tributary::trainer
