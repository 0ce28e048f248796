// The same numbers as Hugging Face's GPT2LMHeadModel; the data is made by
// golden/make_gpt2_golden.py.
#include <gtest/gtest.h>

#include "fixtures.h"
#include "golden_files.h"

namespace tributary::train {
namespace {

class GoldenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    golden_ = ReadGolden("gpt2_golden.json");
    batch_ = {.rows = golden_["rows"], .columns = golden_["columns"], .tokens = golden_["tokens"], .targets = golden_["targets"]};
  }

  std::unique_ptr<Model> Load() const {
    auto model = MakeTiny(golden_["config"]);
    LoadParameters(*model, "gpt2_golden.safetensors");
    return model;
  }

  Json golden_;
  Batch batch_;
};

TEST_F(GoldenTest, Loss) {
  EXPECT_NEAR(LossOf(*Load(), batch_), golden_["loss"].get<double>(), 1e-5);
}

TEST_F(GoldenTest, GreedyTokens) {
  std::vector<std::int32_t> ids;
  const auto model = Load();
  ASSERT_TRUE(model
                  ->Generate(golden_["prompt"], {.max_tokens = 8, .greedy = true},
                             [&](std::int32_t id) {
                               ids.push_back(id);
                               return true;
                             })
                  .ok());
  EXPECT_EQ(ids, golden_["greedy"].get<std::vector<std::int32_t>>());
}

TEST_F(GoldenTest, StepsOfEachOptimizer) {
  const std::pair<const char*, Optimizer> optimizers[] = {
      {"adamw", Optimizer::kAdamW}, {"adam", Optimizer::kAdam}, {"sgd", Optimizer::kSgd}};
  for (const auto& [name, optimizer] : optimizers) {
    const auto model = Load();
    TrainOptions o;
    o.steps = 4;
    o.optimizer = optimizer;
    o.schedule = Schedule::kConstant;
    o.learning_rate = golden_["learning_rate"];
    o.weight_decay = golden_["weight_decay"];
    std::vector<double> losses;
    ListSource source({batch_, batch_, batch_, batch_});
    auto result = model->Train(source, o, [&](const Progress& p) { losses.push_back(p.loss); }, {});
    ASSERT_TRUE(result.ok()) << result.error().message();
    const std::vector<double> expected = golden_["training"][name];
    ASSERT_EQ(losses.size(), expected.size());
    for (std::size_t i = 0; i < losses.size(); ++i)
      EXPECT_NEAR(losses[i], expected[i], 1e-4) << name << " step " << i;
  }
}

}  // namespace
}  // namespace tributary::train
