// Likelihoods of rows against log-softmax of transformers' logits, and what scoring shares between rows.
#include <gtest/gtest.h>

#include <cmath>

#include "family_golden.h"

namespace tributary::train {
namespace {

class Score : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string name = GetParam();
    golden_ = ReadGolden(name + "_golden.json");
    batch_ = {.rows = golden_["rows"], .columns = golden_["columns"], .tokens = golden_["tokens"], .targets = golden_["targets"]};
    logits_ = ReadTensors(name + "_expected.safetensors").at("logits");
    auto model = LoadedModule().CreateModel({golden_["config"].dump()});
    ASSERT_TRUE(model.ok()) << model.error().message();
    model_ = std::move(*model);
    LoadWeights(*model_, name + "_golden.safetensors");
  }

  // Out of the golden logits, in double.
  double Expected(std::uint32_t row, std::uint32_t column, std::int32_t target) const {
    const std::size_t vocabulary = logits_.size() / batch_.tokens.size();
    const float* const logits = logits_.data() + (row * batch_.columns + column) * vocabulary;
    double sum = 0;
    for (std::size_t i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(logits[i]));
    return static_cast<double>(logits[target]) - std::log(sum);
  }
  std::vector<Model::RowScore> ScoresOf(const Batch& batch) {
    auto scores = model_->Score(batch, 1);
    EXPECT_TRUE(scores.ok()) << scores.error().message();
    return scores.ok() ? *scores : std::vector<Model::RowScore>(batch.rows);
  }

  Json golden_;
  Batch batch_;
  std::vector<float> logits_;
  std::unique_ptr<Model> model_;
};

TEST_P(Score, SumsOfEachRow) {
  const auto scores = ScoresOf(batch_);
  ASSERT_EQ(scores.size(), batch_.rows);
  for (std::uint32_t row = 0; row < batch_.rows; ++row) {
    double expected = 0;
    std::uint64_t targets = 0;
    for (std::uint32_t column = 0; column < batch_.columns; ++column) {
      const std::int32_t target = batch_.targets[row * batch_.columns + column];
      if (target == kIgnore) continue;
      expected += Expected(row, column, target);
      ++targets;
    }
    EXPECT_NEAR(scores[row].log_probability, expected, 1e-3);
    EXPECT_EQ(scores[row].targets, targets);
  }
}

// One row of tokens with four last targets, twice: what a multiple-choice question asks.
TEST_P(Score, RowsOfTheSameTokens) {
  Batch choices{.rows = 0, .columns = batch_.columns, .tokens = {}, .targets = {}};
  for (const std::uint32_t row : {0u, 1u}) {
    for (std::int32_t target = 5; target < 9; ++target) {
      choices.tokens.insert(choices.tokens.end(), batch_.tokens.begin() + row * batch_.columns, batch_.tokens.begin() + (row + 1) * batch_.columns);
      choices.targets.insert(choices.targets.end(), batch_.columns - 1, kIgnore);
      choices.targets.push_back(target);
      ++choices.rows;
    }
  }
  const auto scores = ScoresOf(choices);
  for (std::uint32_t i = 0; i < choices.rows; ++i) {
    EXPECT_NEAR(scores[i].log_probability, Expected(i / 4, batch_.columns - 1, 5 + static_cast<std::int32_t>(i % 4)), 1e-4) << i;
    EXPECT_EQ(scores[i].targets, 1u);
  }
}

TEST_P(Score, NoTargetsScoreNothing) {
  std::fill(batch_.targets.begin(), batch_.targets.end(), kIgnore);
  for (const auto& score : ScoresOf(batch_)) {
    EXPECT_EQ(score.log_probability, 0);
    EXPECT_EQ(score.targets, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Score, ::testing::Values("gpt2", "llama", "opt", "gpt_neo"));

}  // namespace
}  // namespace tributary::train
