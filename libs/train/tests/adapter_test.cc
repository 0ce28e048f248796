// LoRA, a base in NF4, bf16 and gradient checkpointing; golden values of PEFT and bitsandbytes by golden/make_adapter_golden.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "family_golden.h"
#include "fixtures.h"
#include "golden_files.h"

namespace tributary::train {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Model> Make(const ModelSpec& spec) {
  auto model = LoadedModule().CreateModel(spec);
  if (!model.ok()) {
    ADD_FAILURE() << model.error().message();
    std::abort();
  }
  return std::move(model).value();
}

std::string CreateError(const ModelSpec& spec) {
  auto model = LoadedModule().CreateModel(spec);
  EXPECT_FALSE(model.ok());
  return model.ok() ? "" : model.error().message();
}

class AdapterGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = ReadGolden("gpt2_golden.json");
    golden_ = ReadGolden("lora_golden.json");
    batch_ = {.rows = base_["rows"], .columns = base_["columns"], .tokens = base_["tokens"], .targets = base_["targets"]};
  }

  ModelSpec Spec() const {
    ModelSpec spec;
    spec.config_json = base_["config"].dump();
    spec.lora = {.rank = golden_["rank"], .alpha = golden_["alpha"], .dropout = 0, .targets = golden_["targets"], .pattern = false};
    return spec;
  }

  std::unique_ptr<Model> Load(const ModelSpec& spec) const {
    auto model = Make(spec);
    LoadWeights(*model, "gpt2_golden.safetensors");
    LoadParameters(*model, "lora_golden.safetensors");
    return model;
  }

  std::vector<double> Losses(Model& model, std::uint64_t steps = 4) const {
    TrainOptions o;
    o.steps = steps;
    o.schedule = Schedule::kConstant;
    o.learning_rate = golden_["learning_rate"];
    o.weight_decay = golden_["weight_decay"];
    std::vector<double> losses;
    ListSource source(std::vector<Batch>(steps, batch_));
    auto result = model.Train(source, o, [&](const Progress& p) { losses.push_back(p.loss); }, {});
    EXPECT_TRUE(result.ok()) << result.error().message();
    return losses;
  }

  void Compare(const ModelSpec& spec, const char* key, double logit_tolerance) const {
    const auto model = Load(spec);
    const std::vector<double> expected = golden_[key]["logits"];
    const auto logits = model->Logits(batch_);
    ASSERT_TRUE(logits.ok()) << logits.error().message();
    ASSERT_EQ(logits->size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs((*logits)[i] - expected[i]));
    EXPECT_LT(worst, logit_tolerance);
    const std::vector<double> losses = golden_[key]["losses"];
    const auto ours = Losses(*model);
    ASSERT_EQ(ours.size(), losses.size());
    for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(ours[i], losses[i], 1e-4) << "step " << i;
  }

  Json base_;
  Json golden_;
  Batch batch_;
};

TEST_F(AdapterGolden, LoraEqualsPeft) { Compare(Spec(), "native", 1e-4); }

TEST_F(AdapterGolden, OverABaseInNf4) {
  ModelSpec spec = Spec();
  spec.quantization = Quantization::kNf4;
  Compare(spec, "nf4", 1e-4);
}

TEST_F(AdapterGolden, OverADoublyQuantizedBase) {
  ModelSpec spec = Spec();
  spec.quantization = Quantization::kNf4Double;
  Compare(spec, "nf4_double", 1e-4);
}

TEST_F(AdapterGolden, OnlyTheAdaptersTravelAndChange) {
  const auto model = Load(Spec());
  EXPECT_EQ(model->Parameters().size(), 2u * 2 * 2);  // A and B of two layers in two blocks
  EXPECT_EQ(model->Weights().size(), 4u + 2 * 12);
  EXPECT_EQ(model->Parameters()[0].name, "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight");
  const auto before = AllValues(*model);
  Losses(*model);
  EXPECT_NE(AllValues(*model), before);
  const Json config = *ParseJson(model->AdapterConfigJson(), "adapter_config.json");
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["fan_in_fan_out"], true);
  EXPECT_EQ(config["target_modules"], golden_["targets"]);
}

TEST_F(AdapterGolden, AFreshAdapterComputesWhatItsBaseDoes) {
  const auto model = Make(Spec());
  LoadWeights(*model, "gpt2_golden.safetensors");
  ASSERT_TRUE(model->InitAdapter(7).ok());
  EXPECT_NEAR(LossOf(*model, batch_), base_["loss"].get<double>(), 1e-5);
  float greatest = 0;
  for (const float value : AllValues(*model)) greatest = std::max(greatest, std::abs(value));
  EXPECT_GT(greatest, 0.1f);                            // A is not zero
  EXPECT_LE(greatest, 1 / std::sqrt(8.0f) + 1e-6f);     // and within Kaiming's bound
}

TEST_F(AdapterGolden, CheckpointingChangesNoBit) {
  for (const bool lora : {false, true}) {
    for (const double dropout : {0.0, 0.5}) {
      ModelSpec spec = Spec();
      spec.lora.dropout = dropout;
      if (!lora) spec.lora = {};
      std::vector<std::vector<float>> values;
      for (const bool checkpointing : {false, true}) {
        spec.gradient_checkpointing = checkpointing;
        const auto model = Make(spec);
        LoadWeights(*model, "gpt2_golden.safetensors");
        if (lora) LoadParameters(*model, "lora_golden.safetensors");
        Losses(*model);
        values.push_back(AllValues(*model));
      }
      EXPECT_EQ(values[0], values[1]) << "lora " << lora << " dropout " << dropout;
    }
  }
}

TEST_F(AdapterGolden, DropoutIsSeededAndOffInEvaluation) {
  ModelSpec spec = Spec();
  const auto plain = Load(spec);
  spec.lora.dropout = 0.5;
  const auto dropping = Load(spec);
  EXPECT_EQ(LossOf(*plain, batch_), LossOf(*dropping, batch_));
  const auto first = Losses(*dropping);
  EXPECT_NE(first, Losses(*plain));
  EXPECT_EQ(first, Losses(*Load(spec)));
}

TEST_F(AdapterGolden, Bf16IsNearFp32) {
  for (const bool lora : {false, true}) {
    for (const Quantization quantization : {Quantization::kNone, Quantization::kNf4}) {
      ModelSpec spec = Spec();
      spec.quantization = lora ? quantization : Quantization::kNone;
      if (!lora) spec.lora = {};
      const auto wide = Make(spec);
      spec.precision = Precision::kBf16;
      const auto narrow = Make(spec);
      for (Model* model : {wide.get(), narrow.get()}) {
        LoadWeights(*model, "gpt2_golden.safetensors");
        if (lora) LoadParameters(*model, "lora_golden.safetensors");
      }
      for (const auto& parameter : narrow->Parameters()) EXPECT_EQ(parameter.dtype, tensor::DType::kF32);
      const auto a = Losses(*wide);
      const auto b = Losses(*narrow);
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.03 * a[i]) << "lora " << lora << " step " << i;
      EXPECT_NE(a, b);
    }
  }
}

TEST_F(AdapterGolden, RefusesTargetsThatNoLayerHas) {
  ModelSpec spec = Spec();
  spec.lora.targets = {"c_attn", "q_proj"};
  EXPECT_THAT(CreateError(spec), HasSubstr("'q_proj'; it has: c_attn, c_proj, c_fc"));
  spec.lora.targets = {".*nothing"};
  spec.lora.pattern = true;
  EXPECT_THAT(CreateError(spec), HasSubstr("'.*nothing'"));
  spec.lora.targets = {"(unclosed"};
  EXPECT_THAT(CreateError(spec), HasSubstr("adapter.lora.targets: '(unclosed' is no regular expression"));
}

TEST_F(AdapterGolden, TargetsByPatternAndByWholeName) {
  ModelSpec spec = Spec();
  spec.lora.pattern = true;
  spec.lora.targets = {R"(transformer\.h\.1\..*c_proj)"};
  EXPECT_EQ(Make(spec)->Parameters().size(), 4u);
  spec.lora.pattern = false;
  spec.lora.targets = {"transformer.h.0.attn.c_attn"};
  EXPECT_EQ(Make(spec)->Parameters().size(), 2u);
  spec.lora.targets = {};
  EXPECT_EQ(Make(spec)->Parameters().size(), 4u);  // c_attn of both blocks
}

TEST_F(AdapterGolden, QuantizationNeedsAnAdapter) {
  ModelSpec spec = Spec();
  spec.lora = {};
  spec.quantization = Quantization::kNf4;
  EXPECT_THAT(CreateError(spec), HasSubstr("a base in nf4 is not trained: it needs adapter.lora"));
}

TEST_F(AdapterGolden, WeightsAreReadInNarrowDtypes) {
  const auto model = Make({.config_json = base_["config"].dump()});
  const auto room = model->WeightRoom(0, tensor::DType::kBF16);
  ASSERT_TRUE(room.ok());
  EXPECT_EQ(room->size(), model->ParameterBytes(0).size() / 2);
  for (std::size_t i = 0; i < room->size(); i += 2) {
    (*room)[i] = std::byte{0x40};
    (*room)[i + 1] = std::byte{0x3f};  // 0x3f40: 0.75
  }
  ASSERT_TRUE(model->WeightStored(0).ok());
  EXPECT_EQ(reinterpret_cast<const float*>(model->ParameterBytes(0).data())[5], 0.75f);
  EXPECT_THAT(model->WeightRoom(1, tensor::DType::kI64).error().message(), HasSubstr("transformer.wpe.weight' is stored as I64"));
}

TEST_F(AdapterGolden, ScoreGivesEachRowsLogProbability) {
  const auto model = Load(Spec());
  const auto scores = model->Score(batch_, 1);
  ASSERT_TRUE(scores.ok()) << scores.error().message();
  ASSERT_EQ(scores->size(), batch_.rows);
  double sum = 0;
  std::uint64_t targets = 0;
  for (const auto& score : *scores) {
    sum += score.log_probability;
    targets += score.targets;
  }
  EXPECT_EQ((*scores)[2].targets, 6u);
  EXPECT_NEAR(-sum / static_cast<double>(targets), LossOf(*model, batch_), 1e-5);
}

// Adapters that `tributary train` wrote, over a base of 257 tokens: what PEFT computes from that directory (golden/check_written_directories.py).
class WrittenByUs : public ::testing::TestWithParam<const char*> {
 protected:
  std::string File(const char* tail) const { return std::string("ours_") + GetParam() + tail; }
};

TEST_P(WrittenByUs, PeftComputesFromItWhatWeDo) {
  const Json golden = ReadGolden(File("_golden.json"));
  const Json& written = golden["adapter_config"];
  const Batch batch{.rows = golden["rows"], .columns = golden["columns"], .tokens = golden["tokens"], .targets = golden["targets"]};
  ModelSpec spec{.config_json = golden["config"].dump()};
  spec.lora = {.rank = written["r"], .alpha = written["lora_alpha"], .dropout = written["lora_dropout"], .targets = written["target_modules"], .pattern = false};
  const auto model = Make(spec);
  LoadWeights(*model, File("_golden.safetensors"));
  LoadParameters(*model, File("_adapter.safetensors"));
  const auto logits = model->Logits(batch);
  ASSERT_TRUE(logits.ok()) << logits.error().message();
  const double error = LargestDifference(*logits, ReadTensors(File("_expected.safetensors")).at("logits"));
  RecordProperty("logits_error", std::to_string(error));
  EXPECT_LE(error, 1e-4);
  // Its config is what is written today, so PEFT reads that as well.
  EXPECT_EQ(*ParseJson(model->AdapterConfigJson(), "adapter_config.json"), written);
}

INSTANTIATE_TEST_SUITE_P(All, WrittenByUs, ::testing::Values("gpt2", "llama"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tributary::train
