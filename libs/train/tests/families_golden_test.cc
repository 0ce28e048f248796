// Every language family against Hugging Face transformers on the same tiny weights; the data is made by the scripts in golden/.
#include <gtest/gtest.h>

#include "family_golden.h"

namespace tributary::train {
namespace {

class FamilyGolden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    golden_ = ReadGolden(File("_golden.json"));
    batch_ = {.rows = golden_["rows"], .columns = golden_["columns"], .tokens = golden_["tokens"], .targets = golden_["targets"]};
    expected_ = ReadTensors(File("_expected.safetensors"));
  }

  std::string File(const char* tail) const { return std::string(GetParam()) + tail; }

  std::unique_ptr<Model> Load(bool checkpointing = false) const {
    auto model = LoadedModule().CreateModel({.config_json = golden_["config"].dump(), .gradient_checkpointing = checkpointing});
    if (!model.ok()) {
      ADD_FAILURE() << model.error().message();
      std::abort();
    }
    LoadWeights(**model, File("_golden.safetensors"));
    return std::move(model).value();
  }

  Json golden_;
  Batch batch_;
  Tensors expected_;
};

TEST_P(FamilyGolden, Logits) {
  const auto logits = Load()->Logits(batch_);
  ASSERT_TRUE(logits.ok()) << logits.error().message();
  const double error = LargestDifference(*logits, expected_.at("logits"));
  RecordProperty("logits_error", std::to_string(error));
  EXPECT_LE(error, 1e-4);
}

TEST_P(FamilyGolden, Loss) { EXPECT_NEAR(LossOf(*Load(), batch_), golden_["loss"].get<double>(), 1e-5); }

TEST_P(FamilyGolden, Gradients) {
  const auto model = Load();
  const Tensors gradients = StepOfSgd(*model, batch_);
  double largest = 0;
  for (const auto& [name, values] : gradients) largest = std::max(largest, Largest(expected_.at("gradient." + name)));
  double worst = 0;
  for (const auto& [name, values] : gradients) {
    const auto& wanted = expected_.at("gradient." + name);
    // A gradient that is zero but for rounding (a key's bias) is measured by the others.
    const double error = LargestDifference(values, wanted) / std::max(Largest(wanted), 1e-3 * largest);
    worst = std::max(worst, error);
    EXPECT_LE(error, 1e-3) << name;
  }
  RecordProperty("gradient_error", std::to_string(worst));
}

TEST_P(FamilyGolden, CheckpointingGivesTheSameGradients) {
  const Tensors plain = StepOfSgd(*Load(), batch_);
  const Tensors checkpointed = StepOfSgd(*Load(/*checkpointing=*/true), batch_);
  for (const auto& [name, values] : plain) EXPECT_LE(LargestDifference(values, checkpointed.at(name)), 1e-6) << name;
}

TEST_P(FamilyGolden, GreedyTokens) {
  const std::vector<std::int32_t> wanted = golden_["greedy"];
  EXPECT_EQ(GreedyIds(*Load(), golden_["prompt"], static_cast<std::uint32_t>(wanted.size())), wanted);
}

TEST_P(FamilyGolden, ItsOwnConfigJsonMakesTheSameModel) {
  const auto model = Load();
  auto again = LoadedModule().CreateModel({model->ConfigJson()});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ((*again)->ConfigJson(), model->ConfigJson());
  LoadWeights(**again, File("_golden.safetensors"));
  EXPECT_EQ(*(*again)->Logits(batch_), *model->Logits(batch_));
}

TEST_P(FamilyGolden, AdaptersOfTheUsualTargetsBeginAsTheBase) {
  ModelSpec spec{.config_json = golden_["config"].dump()};
  spec.lora.rank = 2;
  auto model = LoadedModule().CreateModel(spec);
  ASSERT_TRUE(model.ok()) << model.error().message();
  LoadWeights(**model, File("_golden.safetensors"));
  ASSERT_TRUE((*model)->InitAdapter(1).ok());
  EXPECT_GT((*model)->Parameters().size(), 0u);
  EXPECT_EQ(*(*model)->Logits(batch_), *Load()->Logits(batch_));
}

// What the job may ask for beside fp32 works in every family; bf16 has 8 bits, of tiny random weights NF4 keeps little.
TEST_P(FamilyGolden, TrainsInBf16AndOnA4BitBase) {
  for (const bool packed : {false, true}) {
    for (const std::uint32_t rank : {0u, 2u}) {
      if (packed && rank == 0) continue;
      ModelSpec spec{.config_json = golden_["config"].dump()};
      spec.precision = Precision::kBf16;
      spec.gradient_checkpointing = packed;
      spec.lora.rank = rank;
      spec.quantization = packed ? Quantization::kNf4Double : Quantization::kNone;
      auto model = LoadedModule().CreateModel(spec);
      ASSERT_TRUE(model.ok()) << model.error().message();
      LoadWeights(**model, File("_golden.safetensors"));
      ASSERT_TRUE((*model)->InitAdapter(1).ok());
      const double before = LossOf(**model, batch_);
      EXPECT_NEAR(before, golden_["loss"].get<double>(), packed ? 0.5 : 0.05);
      TrainOptions o;
      o.steps = 8;
      o.learning_rate = 0.02;
      o.schedule = Schedule::kConstant;
      ListSource source(std::vector<Batch>(8, batch_));
      const auto result = (*model)->Train(source, o, nullptr, {});
      ASSERT_TRUE(result.ok()) << result.error().message();
      EXPECT_LT(LossOf(**model, batch_), before) << "rank " << rank << (packed ? ", 4 bits" : "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyGolden,
                         ::testing::Values("gpt2", "llama", "llama_biased", "mistral", "opt", "opt_post_norm", "opt_bare", "gpt_neo"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tributary::train
