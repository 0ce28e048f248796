// The pretrained stories260K against the numbers that come with it, where the test data are at hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "family_golden.h"

namespace tributary::train {
namespace {

class Stories : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("TRIBUTARY_TEST_DATA");
    const std::string directory = root == nullptr ? "" : std::string(root) + "/stories260k/hf";
    if (root == nullptr || !std::filesystem::exists(directory)) {
      GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with stories260k/hf";
    }
    auto config = ReadJsonFile(directory + "/config.json");
    ASSERT_TRUE(config.ok()) << config.error().message();
    auto expected = ReadJsonFile(directory + "/expected.json");
    ASSERT_TRUE(expected.ok()) << expected.error().message();
    expected_ = *expected;
    auto model = LoadedModule().CreateModel({config->dump()});
    ASSERT_TRUE(model.ok()) << model.error().message();
    model_ = std::move(model).value();
    LoadWeights(*model_, directory + "/model.safetensors");
  }

  Json expected_;
  std::unique_ptr<Model> model_;
};

TEST_F(Stories, GreedyIds) {
  const std::vector<std::int32_t> prompt = expected_["prompt_ids"];
  const std::vector<std::int32_t> all = expected_["greedy_ids"];
  const auto ids = GreedyIds(*model_, prompt, static_cast<std::uint32_t>(all.size() - prompt.size()));
  EXPECT_EQ(ids, std::vector<std::int32_t>(all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end()));
}

TEST_F(Stories, Logits) {
  const std::vector<std::int32_t> ids = expected_["logits_ids"];
  const auto logits = model_->Logits({.rows = 1, .columns = static_cast<std::uint32_t>(ids.size()), .tokens = ids, .targets = ids});
  ASSERT_TRUE(logits.ok()) << logits.error().message();
  ASSERT_EQ(logits->size(), ids.size() * 512);
  const std::vector<double> wanted = expected_["logits_last_first8"];
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR((*logits)[(ids.size() - 1) * 512 + i], wanted[i], 1e-4);
}

}  // namespace
}  // namespace tributary::train
