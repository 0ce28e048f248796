// The parts of the module that need no libtorch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "gaussian.h"
#include "optimizer.h"
#include "sampler.h"
#include "schedule.h"

namespace tributary::train {
namespace {

TEST(Gaussian, LogarithmAgreesWithTheLibrary) {
  for (double x : {1e-300, 1e-12, 0.1, 0.5, 0.70710678, 0.9999999, 1.0, 1.5, 3.0, 1e10}) {
    EXPECT_NEAR(PortableLog(x), std::log(x), 4e-16 * std::max(1.0, std::abs(std::log(x)))) << x;
  }
}

TEST(Gaussian, MomentsAreNormal) {
  Gaussian gaussian(3);
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = gaussian.Next();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
  EXPECT_NEAR(fourth / kCount, 3, 0.1);
}

// First models are the same bytes on every machine: these bits must never change (computed apart,
// with Python's math.log).
TEST(Gaussian, BitsAreFixed) {
  std::vector<float> values(4);
  FillNormal(values, 0.02, 1);
  std::uint32_t bits[4];
  std::memcpy(bits, values.data(), sizeof bits);
  EXPECT_EQ(bits[0], 0x3c0cb910u);
  EXPECT_EQ(bits[1], 0x3d01e80fu);
  EXPECT_EQ(bits[2], 0x3c15923du);
  EXPECT_EQ(bits[3], 0xba8d5a9bu);
}

TEST(LearningRate, CosineOverTheWholeJob) {
  TrainOptions o;
  o.learning_rate = 1;
  o.steps = 10;
  o.schedule_steps = 20;
  o.warmup_steps = 4;
  EXPECT_DOUBLE_EQ(LearningRate(o, 0), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(o, 3), 1);
  EXPECT_DOUBLE_EQ(LearningRate(o, 4), 1);
  o.schedule_begin = 10;
  EXPECT_DOUBLE_EQ(LearningRate(o, 2), 0.5);  // step 12 of 20, 4 of them warm-up
  EXPECT_NEAR(LearningRate(o, 9), 0, 0.01);
  EXPECT_GT(LearningRate(o, 9), 0);
}

TEST(LearningRate, ConstantAfterTheWarmUp) {
  TrainOptions o;
  o.learning_rate = 1;
  o.schedule = Schedule::kConstant;
  o.warmup_steps = 2;
  o.steps = 10;
  EXPECT_DOUBLE_EQ(LearningRate(o, 0), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(o, 9), 1);
}

TEST(Stepper, WeightDecayIsForMatricesAlone) {
  std::vector<float> matrix = {1, 2};
  std::vector<float> bias = {1, 2};
  const std::vector<float> zero = {0, 0};
  Stepper stepper(Optimizer::kAdamW, 0.5, {{matrix, true}, {bias, false}});
  stepper.Step({zero, zero}, 0.1, 1);
  EXPECT_FLOAT_EQ(matrix[0], 0.95f);
  EXPECT_FLOAT_EQ(matrix[1], 1.9f);
  EXPECT_EQ(bias, (std::vector<float>{1, 2}));
}

TEST(Stepper, TheFirstStepOfAdamIsTheLearningRate) {
  std::vector<float> values = {1, 1};
  const std::vector<float> gradient = {4, -0.001f};
  Stepper stepper(Optimizer::kAdam, 0, {{values, true}});
  stepper.Step({gradient}, 0.1, 1);
  EXPECT_NEAR(values[0], 0.9, 1e-4);
  EXPECT_NEAR(values[1], 1.1, 1e-4);
}

TEST(Stepper, AnArrayWithoutGradientStays) {
  std::vector<float> values = {1};
  Stepper stepper(Optimizer::kAdamW, 0.5, {{values, true}});
  stepper.Step({{}}, 0.1, 1);
  EXPECT_EQ(values[0], 1);
}

// What a kept state is for: five steps are the same bits as two and three.
TEST(Stepper, GoesOnFromItsStateWithTheSameBits) {
  const auto gradient = [](std::size_t step) {
    std::vector<float> values;
    FillNormal(values = std::vector<float>(9), 0.1, step);
    return values;
  };
  for (const Optimizer kind : {Optimizer::kAdamW, Optimizer::kAdam}) {
    std::vector<float> straight(9, 1.0f), parted(9, 1.0f);
    Stepper whole(kind, 0.1, {{straight, true}});
    for (std::size_t i = 0; i < 5; ++i) whole.Step({gradient(i)}, 0.01, 1);
    std::vector<std::vector<float>> kept;
    std::uint64_t steps = 0;
    {
      Stepper first(kind, 0.1, {{parted, true}});
      for (std::size_t i = 0; i < 2; ++i) first.Step({gradient(i)}, 0.01, 1);
      for (const auto moment : first.Moments()) kept.emplace_back(moment.begin(), moment.end());
      steps = first.steps();
    }
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(steps, 2u);
    Stepper second(kind, 0.1, {{parted, true}});
    const auto moments = second.Moments();
    for (std::size_t i = 0; i < kept.size(); ++i) std::copy(kept[i].begin(), kept[i].end(), moments[i].begin());
    second.Resume(steps);
    for (std::size_t i = 2; i < 5; ++i) second.Step({gradient(i)}, 0.01, 1);
    EXPECT_EQ(parted, straight);
    EXPECT_EQ(second.steps(), 5u);
  }
}

TEST(Stepper, AStateOfNoStepsIsFresh) {
  std::vector<float> a = {1, 2}, b = {1, 2};
  const std::vector<float> gradient = {0.3f, -0.2f};
  Stepper fresh(Optimizer::kAdam, 0, {{a, true}});
  Stepper broken(Optimizer::kAdam, 0, {{b, true}});
  for (const auto moment : broken.Moments()) std::fill(moment.begin(), moment.end(), 9.0f);
  broken.Resume(0);
  fresh.Step({gradient}, 0.1, 1);
  broken.Step({gradient}, 0.1, 1);
  EXPECT_EQ(a, b);
}

TEST(Stepper, SgdHasNoMoments) {
  std::vector<float> values = {1};
  EXPECT_TRUE(Stepper(Optimizer::kSgd, 0, {{values, true}}).Moments().empty());
}

TEST(GlobalNorm, IsEuclideanOverAll) {
  const std::vector<float> a(9, 1.0f);
  const std::vector<float> b = {4};
  EXPECT_DOUBLE_EQ(GlobalNorm({a, b}), 5);
}

TEST(SampleToken, GreedyTakesTheFirstOfTheLargest) {
  const std::vector<float> logits = {0, 3, 3, 1};
  SplitMix64 random(1);
  EXPECT_EQ(SampleToken(logits, {.greedy = true}, random), 1);
}

TEST(SampleToken, FollowsTheDistributionOfTheTopK) {
  const std::vector<float> logits = {std::log(1.0f), std::log(6.0f), std::log(3.0f)};
  SplitMix64 random(1);
  std::vector<int> seen(3);
  for (int i = 0; i < 9000; ++i)
    ++seen[SampleToken(logits, {.temperature = 1, .top_k = 2}, random)];
  EXPECT_EQ(seen[0], 0);
  EXPECT_NEAR(seen[1], 6000, 200);
  EXPECT_NEAR(seen[2], 3000, 200);
}

}  // namespace
}  // namespace tributary::train
