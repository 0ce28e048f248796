// Training, evaluation and generation through the contract.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fixtures.h"

namespace tributary::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TrainOptions Options(std::uint64_t steps) {
  TrainOptions o;
  o.steps = steps;
  o.learning_rate = 1e-2;
  return o;
}

TrainResult TrainOk(Model& model, std::vector<Batch> batches, const TrainOptions& options) {
  ListSource source(std::move(batches));
  auto result = model.Train(source, options, nullptr, {});
  EXPECT_TRUE(result.ok()) << result.error().message();
  return result.ok() ? *result : TrainResult();
}

Error TrainError(std::vector<Batch> batches, const TrainOptions& options) {
  const auto model = MakeTiny();
  ListSource source(std::move(batches));
  auto result = model->Train(source, options, nullptr, {});
  EXPECT_FALSE(result.ok());
  return result.ok() ? MakeError(Code::kUnknown, "none") : result.error();
}

TEST(Train, ReducesTheLoss) {
  const auto model = MakeTiny();
  const double before = LossOf(*model, CountingBatch(4, 8, 99));
  EXPECT_NEAR(before, std::log(32.0), 0.3);
  const TrainResult result = TrainOk(*model, CountingBatches(150), Options(150));
  EXPECT_EQ(result.steps, 150u);
  EXPECT_EQ(result.tokens, 150u * 32);
  EXPECT_LT(result.mean_loss, before);
  EXPECT_LT(LossOf(*model, CountingBatch(4, 8, 99)), 0.5);
}

TEST(Train, IsReproducibleBitForBit) {
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam, Optimizer::kSgd}) {
    TrainOptions o = Options(10);
    o.optimizer = optimizer;
    o.weight_decay = 0.1;
    const auto first = MakeTiny();
    const auto again = MakeTiny();
    const TrainResult a = TrainOk(*first, CountingBatches(10), o);
    const TrainResult b = TrainOk(*again, CountingBatches(10), o);
    EXPECT_EQ(AllValues(*first), AllValues(*again));
    EXPECT_EQ(a.mean_loss, b.mean_loss);
  }
}

// Keeps the state as a trainer's disk does.
class KeptState final : public OptimizerStore {
 public:
  Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) override {
    ++loads;
    if (kept_.empty()) return std::uint64_t{0};
    for (std::size_t i = 0; i < moments.size(); ++i) std::copy(kept_.at(i).begin(), kept_.at(i).end(), moments[i].begin());
    return steps;
  }
  Status Save(std::uint64_t seen, const std::vector<std::span<float>>& moments) override {
    if (full) return MakeError(Code::kResourceExhausted, "the disk is full");
    kept_.clear();
    for (const auto moment : moments) kept_.emplace_back(moment.begin(), moment.end());
    steps = seen;
    return Ok();
  }
  int loads = 0;
  bool full = false;
  std::uint64_t steps = 0;

 private:
  std::vector<std::vector<float>> kept_;
};

TEST(Train, GoesOnWithAKeptOptimizerAsIfItHadNotStopped) {
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam}) {
    TrainOptions o = Options(5);
    o.optimizer = optimizer;
    o.schedule = Schedule::kConstant;
    const std::vector<Batch> batches = CountingBatches(5);
    const auto whole = MakeTiny();
    TrainOk(*whole, batches, o);
    KeptState kept;
    o.optimizer_store = &kept;
    const auto parts = MakeTiny();
    o.steps = 2;
    TrainOk(*parts, {batches.begin(), batches.begin() + 2}, o);
    EXPECT_EQ(kept.steps, 2u);
    o.steps = 3;
    TrainOk(*parts, {batches.begin() + 2, batches.end()}, o);
    EXPECT_EQ(kept.steps, 5u);
    EXPECT_EQ(kept.loads, 2);
    EXPECT_EQ(AllValues(*parts), AllValues(*whole));
    // Without it the moments begin anew, and the weights come out otherwise.
    const auto fresh = MakeTiny();
    o.optimizer_store = nullptr;
    o.steps = 2;
    TrainOk(*fresh, {batches.begin(), batches.begin() + 2}, o);
    o.steps = 3;
    TrainOk(*fresh, {batches.begin() + 2, batches.end()}, o);
    EXPECT_NE(AllValues(*fresh), AllValues(*whole));
  }
}

TEST(Train, AStateThatCannotBeKeptIsSaid) {
  KeptState kept;
  kept.full = true;
  TrainOptions o = Options(2);
  o.optimizer_store = &kept;
  EXPECT_THAT(TrainError(CountingBatches(2), o).message(), HasSubstr("the disk is full"));
}

TEST(Train, AccumulationEqualsALargerBatch) {
  std::vector<Batch> small = CountingBatches(10);
  std::vector<Batch> large;
  for (std::size_t i = 0; i < small.size(); i += 2) {
    Batch both = small[i];
    both.rows += small[i + 1].rows;
    both.tokens.insert(both.tokens.end(), small[i + 1].tokens.begin(), small[i + 1].tokens.end());
    both.targets.insert(both.targets.end(), small[i + 1].targets.begin(),
                        small[i + 1].targets.end());
    large.push_back(std::move(both));
  }
  TrainOptions o = Options(5);
  o.optimizer = Optimizer::kSgd;
  o.learning_rate = 0.1;
  const auto whole = MakeTiny();
  TrainOk(*whole, large, o);
  o.gradient_accumulation = 2;
  const auto parts = MakeTiny();
  TrainOk(*parts, small, o);
  const auto a = AllValues(*whole);
  const auto b = AllValues(*parts);
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5) << i;
}

TEST(Train, ASourceThatEndsEarlyEndsTheTraining) {
  const auto model = MakeTiny();
  TrainOptions o = Options(10);
  o.gradient_accumulation = 2;
  EXPECT_EQ(TrainOk(*model, CountingBatches(3), o).steps, 2u);
}

TEST(Train, TellsProgressOfEachStep) {
  const auto model = MakeTiny();
  ListSource source(CountingBatches(3));
  std::vector<std::uint64_t> steps;
  auto result = model->Train(source, Options(3),
                             [&](const Progress& p) {
                               steps.push_back(p.step);
                               EXPECT_EQ(p.steps, 3u);
                               EXPECT_EQ(p.tokens, p.step * 32);
                               EXPECT_GT(p.loss, 0);
                             },
                             {});
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(steps, ElementsAre(1, 2, 3));
}

TEST(Train, StopsWhenAsked) {
  const auto model = MakeTiny();
  ListSource source(CountingBatches(10));
  std::stop_source stop;
  auto result = model->Train(
      source, Options(10),
      [&](const Progress& p) {
        if (p.step == 2) stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kCancelled);
}

TEST(Train, ClippingBoundsAStepOfSgd) {
  TrainOptions o = Options(1);
  o.optimizer = Optimizer::kSgd;
  o.learning_rate = 1;
  o.clip_norm = 1e-3;
  o.schedule = Schedule::kConstant;
  const auto model = MakeTiny();
  const auto before = AllValues(*model);
  TrainOk(*model, CountingBatches(1), o);
  const auto after = AllValues(*model);
  double squares = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    squares += std::pow(static_cast<double>(after[i]) - before[i], 2);
  EXPECT_NEAR(std::sqrt(squares), 1e-3, 1e-5);
}

TEST(TrainErrors, NoBatch) {
  EXPECT_THAT(TrainError({}, Options(1)).message(), HasSubstr("no batch"));
}

TEST(TrainErrors, NoSteps) {
  EXPECT_THAT(TrainError(CountingBatches(1), Options(0)).message(), HasSubstr("0 steps"));
}

TEST(TrainErrors, NoAccumulation) {
  TrainOptions o = Options(1);
  o.gradient_accumulation = 0;
  EXPECT_THAT(TrainError(CountingBatches(1), o).message(), HasSubstr("gradient_accumulation"));
}

TEST(TrainErrors, NegativeOrNonFiniteRates) {
  TrainOptions o = Options(1);
  o.learning_rate = NAN;
  EXPECT_THAT(TrainError(CountingBatches(1), o).message(), HasSubstr("learning_rate"));
}

TEST(TrainErrors, BatchLongerThanThePositions) {
  EXPECT_THAT(TrainError({CountingBatch(1, 17, 1)}, Options(1)).message(),
              HasSubstr("16 positions"));
}

TEST(TrainErrors, IdOutsideTheVocabulary) {
  for (const std::int32_t id : {32, -1, -100}) {
    Batch batch = CountingBatch(1, 8, 1);
    batch.tokens[3] = id;
    EXPECT_THAT(TrainError({batch}, Options(1)).message(), HasSubstr("vocabulary of 32"));
  }
  Batch batch = CountingBatch(1, 8, 1);
  batch.targets[3] = 32;
  EXPECT_THAT(TrainError({batch}, Options(1)).message(), HasSubstr("vocabulary of 32"));
}

TEST(TrainErrors, SizesThatDoNotFit) {
  Batch batch = CountingBatch(1, 8, 1);
  batch.rows = 2;
  EXPECT_THAT(TrainError({batch}, Options(1)).message(), HasSubstr("2 x 8"));
}

TEST(TrainErrors, Divergence) {
  TrainOptions o = Options(60);
  o.optimizer = Optimizer::kSgd;
  o.learning_rate = 1e30;
  o.clip_norm = 0;
  EXPECT_THAT(TrainError(CountingBatches(60), o).message(), HasSubstr("diverged"));
}

TEST(Evaluate, WeightsBatchesByTheirTargets) {
  const auto model = MakeTiny();
  Batch first = CountingBatch(2, 8, 1);
  Batch second = CountingBatch(1, 8, 2);
  std::fill(second.targets.begin() + 3, second.targets.end(), kIgnore);
  const double a = LossOf(*model, first);
  const double b = LossOf(*model, second);
  Batch ignored = CountingBatch(1, 8, 3);
  std::fill(ignored.targets.begin(), ignored.targets.end(), kIgnore);
  ListSource source({first, second, ignored});
  auto result = model->Evaluate(source, 1, nullptr, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->targets, 19u);
  EXPECT_NEAR(result->loss, (16 * a + 3 * b) / 19, 1e-6);
}

TEST(Evaluate, LeavesTheWeights) {
  const auto model = MakeTiny();
  const auto before = AllValues(*model);
  LossOf(*model, CountingBatch(2, 8, 1));
  EXPECT_EQ(AllValues(*model), before);
}

TEST(EvaluateErrors, NoBatch) {
  const auto model = MakeTiny();
  ListSource source({});
  auto result = model->Evaluate(source, 1, nullptr, {});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("validation_fraction"));
}

std::vector<std::int32_t> GenerateOk(Model& model, const GenerateOptions& o,
                                     std::vector<std::int32_t> prompt = {3}) {
  std::vector<std::int32_t> ids;
  const Status status = model.Generate(prompt, o, [&](std::int32_t id) {
    ids.push_back(id);
    return true;
  });
  EXPECT_TRUE(status.ok());
  return ids;
}

TEST(Generate, ATrainedModelCountsOn) {
  const auto model = MakeTiny();
  TrainOk(*model, CountingBatches(200), Options(200));
  EXPECT_THAT(GenerateOk(*model, {.max_tokens = 5, .greedy = true}), ElementsAre(4, 5, 6, 7, 8));
  EXPECT_EQ(GenerateOk(*model, {.max_tokens = 40, .greedy = true}).size(),
            40u);  // beyond the positions
  EXPECT_THAT(GenerateOk(*model, {.max_tokens = 5, .greedy = true, .stop_token = 6}),
              ElementsAre(4, 5));
}

TEST(Generate, SamplingFollowsItsSeed) {
  const auto model = MakeTiny();
  const auto first =
      GenerateOk(*model, {.max_tokens = 30, .temperature = 1, .top_k = 0, .seed = 4});
  EXPECT_EQ(first, GenerateOk(*model, {.max_tokens = 30, .temperature = 1, .top_k = 0, .seed = 4}));
  EXPECT_NE(first, GenerateOk(*model, {.max_tokens = 30, .temperature = 1, .top_k = 0, .seed = 5}));
}

TEST(Generate, TheReaderMayStop) {
  const auto model = MakeTiny();
  int seen = 0;
  EXPECT_TRUE(model->Generate({1}, {}, [&](std::int32_t) { return ++seen < 3; }).ok());
  EXPECT_EQ(seen, 3);
}

TEST(GenerateErrors, EmptyOrForeignPrompt) {
  const auto model = MakeTiny();
  const auto emit = [](std::int32_t) { return true; };
  EXPECT_THAT(model->Generate({}, {}, emit).error().message(), HasSubstr("prompt"));
  EXPECT_THAT(model->Generate({32}, {}, emit).error().message(), HasSubstr("vocabulary of 32"));
}

}  // namespace
}  // namespace tributary::train
