// The same training on the processor and on a device, step by step: what a device computes is what the processor does, up to rounding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <span>

#include "fixtures.h"
#include "golden_files.h"
#include "tributary/digest/digest.h"

namespace tributary::train {
namespace {

using ::testing::HasSubstr;

// Weights after each training and losses of each step.
struct Course {
  std::vector<double> losses;
  std::vector<float> values;
  double evaluated = 0;
  float moved = 0;  // the weight that changed most
};

class KeptMoments final : public OptimizerStore {
 public:
  Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) override {
    for (std::size_t i = 0; i < kept.size(); ++i) std::copy(kept.at(i).begin(), kept.at(i).end(), moments.at(i).begin());
    // What stands there counts for nothing without a state.
    if (kept.empty()) {
      for (const auto moment : moments) std::fill(moment.begin(), moment.end(), 3.0f);
    }
    return steps;
  }
  Status Save(std::uint64_t seen, const std::vector<std::span<float>>& moments) override {
    kept.clear();
    for (const auto moment : moments) kept.emplace_back(moment.begin(), moment.end());
    steps = seen;
    return Ok();
  }
  std::vector<std::vector<float>> kept;
  std::uint64_t steps = 0;
};

TrainOptions Options(Optimizer optimizer = Optimizer::kAdamW) {
  TrainOptions o;
  o.steps = 6;
  o.optimizer = optimizer;
  o.learning_rate = optimizer == Optimizer::kSgd ? 0.1 : 3e-3;
  o.weight_decay = 0.1;
  o.schedule = Schedule::kConstant;
  return o;
}

class OnADevice : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { LoadedModule(); }
  void TearDown() override { MakeModelsOn(PlaceOfThisRun()); }

  static std::unique_ptr<Model> Make(const std::string& place, const ModelSpec& spec) {
    MakeModelsOn(place);
    auto model = LoadedModule().CreateModel(spec);
    if (!model.ok()) {
      ADD_FAILURE() << model.error().message();
      std::abort();
    }
    EXPECT_TRUE((*model)->InitFromSeed(7).ok());
    return std::move(model).value();
  }

  static Course Trained(const std::string& place, const ModelSpec& spec, const TrainOptions& options, const std::vector<Batch>& batches) {
    const auto model = Make(place, spec);
    Course run;
    const std::vector<float> before = Comparable(*model);
    for (int training = 0; training < 2; ++training) {
      ListSource source(batches);
      auto result = model->Train(source, options, [&](const Progress& progress) { run.losses.push_back(progress.loss); }, {});
      EXPECT_TRUE(result.ok()) << result.error().message();
    }
    run.values = Comparable(*model);
    for (std::size_t i = 0; i < before.size(); ++i) run.moved = std::max(run.moved, std::abs(run.values[i] - before[i]));
    run.evaluated = LossOf(*model, batches[0]);
    return run;
  }

  static void ExpectSame(const ModelSpec& spec, const TrainOptions& options, double tolerance, std::vector<Batch> batches = CountingBatches(6)) {
    const Course here = Trained("", spec, options, batches);
    const Course there = Trained(GetParam(), spec, options, batches);
    Compare(here, there, tolerance);
  }

  // A key's bias has a gradient that is zero but for rounding, of which Adam makes steps as large as any other's.
  static std::vector<float> Comparable(Model& model) {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < model.Parameters().size(); ++i) {
      const auto bytes = model.ParameterBytes(i);
      const std::span<float> all(reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float));
      const bool keys = model.Parameters()[i].name.ends_with("attn.c_attn.bias");
      for (std::size_t k = 0; k < all.size(); ++k) {
        if (!keys || k < all.size() / 3 || k >= all.size() / 3 * 2) values.push_back(all[k]);
      }
    }
    return values;
  }

  static void Compare(const Course& here, const Course& there, double tolerance) {
    ASSERT_EQ(here.losses.size(), there.losses.size());
    for (std::size_t i = 0; i < here.losses.size(); ++i) EXPECT_NEAR(here.losses[i], there.losses[i], tolerance) << "step " << i;
    EXPECT_GT(here.moved, 10 * tolerance);
    ASSERT_EQ(here.values.size(), there.values.size());
    std::size_t apart = 0;
    for (std::size_t i = 0; i < here.values.size(); ++i) {
      if (std::abs(here.values[i] - there.values[i]) <= tolerance) continue;
      // Where a gradient and its decay cancel out but for rounding, Adam makes a step of what is left.
      ASSERT_NEAR(here.values[i], there.values[i], 20 * tolerance) << i;
      ++apart;
    }
    EXPECT_LE(apart, here.values.size() / 1000);
    EXPECT_NEAR(here.evaluated, there.evaluated, tolerance);
  }

  static ModelSpec Tiny() { return {.config_json = TinyConfig().dump()}; }
  static ModelSpec WithLora() {
    ModelSpec spec = Tiny();
    spec.lora = {.rank = 4, .alpha = 8, .dropout = 0.1, .targets = {"c_attn", "c_fc"}, .pattern = false};
    return spec;
  }
};

TEST_P(OnADevice, EveryOptimizer) {
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam, Optimizer::kSgd}) {
    SCOPED_TRACE(static_cast<int>(optimizer));
    ExpectSame(Tiny(), Options(optimizer), 2e-5);
  }
}

TEST_P(OnADevice, ClippedOrNot) {
  TrainOptions o = Options(Optimizer::kSgd);
  o.clip_norm = 0.05;
  ExpectSame(Tiny(), o, 2e-5);
  o.clip_norm = 0;
  ExpectSame(Tiny(), o, 2e-5);
}

TEST_P(OnADevice, Accumulation) {
  TrainOptions o = Options();
  o.steps = 2;
  o.gradient_accumulation = 3;
  ExpectSame(Tiny(), o, 2e-5);
}

TEST_P(OnADevice, Checkpointing) {
  ModelSpec spec = Tiny();
  spec.gradient_checkpointing = true;
  ExpectSame(spec, Options(), 2e-5);
}

TEST_P(OnADevice, Bf16) {
  ModelSpec spec = Tiny();
  spec.precision = Precision::kBf16;
  // A last place in fp32 may be one of bf16, which has 8 bits.
  ExpectSame(spec, Options(Optimizer::kSgd), 1e-3);
}

TEST_P(OnADevice, AdaptersWithDropout) { ExpectSame(WithLora(), Options(), 2e-5); }

TEST_P(OnADevice, AdaptersOverABaseOf4Bits) {
  for (const Quantization quantization : {Quantization::kNf4, Quantization::kNf4Double}) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      ModelSpec spec = WithLora();
      spec.quantization = quantization;
      spec.precision = precision;
      ExpectSame(spec, Options(Optimizer::kSgd), 1e-4);
    }
  }
}

TEST_P(OnADevice, AdaptersOverABaseInBf16) {
  ModelSpec spec = WithLora();
  spec.precision = Precision::kBf16;
  ExpectSame(spec, Options(Optimizer::kSgd), 1e-4);
}

TEST_P(OnADevice, AKeptOptimizerGoesOn) {
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam}) {
    KeptMoments here, there;
    TrainOptions o = Options(optimizer);
    o.optimizer_store = &here;
    const Course on_the_processor = Trained("", Tiny(), o, CountingBatches(6));
    o.optimizer_store = &there;
    Compare(on_the_processor, Trained(GetParam(), Tiny(), o, CountingBatches(6)), 2e-5);
    EXPECT_EQ(there.steps, 12u);
    ASSERT_EQ(there.kept.size(), here.kept.size());
    for (std::size_t i = 0; i < here.kept.size(); ++i) {
      for (std::size_t k = 0; k < here.kept[i].size(); ++k) ASSERT_NEAR(there.kept[i][k], here.kept[i][k], 1e-5) << i;
    }
  }
}

TEST_P(OnADevice, AStateOfTheProcessorServesThere) {
  KeptMoments kept;
  TrainOptions o = Options();
  o.optimizer_store = &kept;
  Trained("", Tiny(), o, CountingBatches(6));
  KeptMoments here = kept, there = kept;
  o.optimizer_store = &here;
  const Course on_the_processor = Trained("", Tiny(), o, CountingBatches(6));
  o.optimizer_store = &there;
  Compare(on_the_processor, Trained(GetParam(), Tiny(), o, CountingBatches(6)), 2e-5);
}

TEST_P(OnADevice, AScript) {
  const std::string path = GoldenPath("script_text.pt");
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string sha256 = digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(bytes))));
  const Json text = ReadGolden("script_golden.json")["text"];
  const Batch batch{.rows = text["rows"], .columns = text["columns"], .tokens = text["tokens"], .targets = text["targets"]};
  const ModelSpec spec{Json({{"model_type", "torchscript"}, {"script", path}, {"sha256", sha256}}).dump()};
  if (GetParam() == std::string("stand-in")) {
    MakeModelsOn(GetParam());
    const auto model = LoadedModule().CreateModel(spec);
    if (LoadedModule().Description().starts_with("libtorch 1.")) {
      // It loads scripts onto the processor and GPUs alone, and says so.
      ASSERT_FALSE(model.ok());
      EXPECT_THAT(model.error().message(), HasSubstr("script_text.pt"));
      return;
    }
    ASSERT_TRUE(model.ok()) << model.error().message();
  }
  ExpectSame(spec, Options(), 2e-5, std::vector<Batch>(6, batch));
}

TEST_P(OnADevice, WhatIsWrittenAfterwardsIsWhatCounts) {
  const auto model = Make(GetParam(), Tiny());
  const Batch batch = CountingBatch(2, 8, 1);
  const double before = LossOf(*model, batch);
  const auto logits = *model->Logits(batch);
  const auto kept = AllValues(*model);
  ListSource source(CountingBatches(6));
  ASSERT_TRUE(model->Train(source, Options(), nullptr, {}).ok());
  EXPECT_NE(AllValues(*model), kept);
  const double trained = LossOf(*model, batch);
  EXPECT_LT(trained, before);
  // As a download would.
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < model->Parameters().size(); ++i) {
    const auto to = model->ParameterBytes(i);
    std::copy_n(reinterpret_cast<const std::byte*>(kept.data() + at), to.size(), to.data());
    at += to.size() / sizeof(float);
  }
  EXPECT_EQ(LossOf(*model, batch), before);
  EXPECT_EQ(*model->Logits(batch), logits);
}

TEST_P(OnADevice, ATrainingThatIsStoppedLeavesTheBytes) {
  const auto model = Make(GetParam(), Tiny());
  const auto kept = AllValues(*model);
  const double before = LossOf(*model, CountingBatch(2, 8, 1));
  std::stop_source stop;
  ListSource source(CountingBatches(6));
  const auto result = model->Train(source, Options(), [&](const Progress& p) { if (p.step == 2) stop.request_stop(); }, stop.get_token());
  EXPECT_EQ(result.error().code(), Code::kCancelled);
  EXPECT_EQ(AllValues(*model), kept);
  EXPECT_EQ(LossOf(*model, CountingBatch(2, 8, 1)), before);
}

TEST_P(OnADevice, SaysWhereItIsAndWhatItHeld) {
  MakeModelsOn("");
  const auto here = Make("", Tiny());
  EXPECT_EQ(here->DeviceName(), "cpu");
  const auto there = Make(GetParam(), Tiny());
  EXPECT_EQ(there->DeviceName(), GetParam() == std::string("apart") ? "cpu" : "privateuseone:0");
  ListSource source(CountingBatches(6));
  ASSERT_TRUE(there->Train(source, Options(), nullptr, {}).ok());
  // Weights, gradients and two moments at least.
  EXPECT_GT(LoadedModule().DevicePeakBytes(), 4 * AllValues(*there).size() * sizeof(float));
}

INSTANTIATE_TEST_SUITE_P(Devices, OnADevice, ::testing::Values("apart", "stand-in"), [](const auto& info) {
  return info.param == std::string("apart") ? std::string("Apart") : std::string("StandIn");
});

TEST(Device, CudaThatIsAbsentIsRefusedAndAutoGoesWithout) {
  LoadedModule();
  MakeModelsOn("");
  ModelSpec spec{.config_json = TinyConfig().dump()};
  spec.device = Device::kAuto;
  const auto automatic = LoadedModule().CreateModel(spec);
  ASSERT_TRUE(automatic.ok()) << automatic.error().message();
  if ((*automatic)->DeviceName() != "cpu") GTEST_SKIP() << "there is a GPU";
  spec.device = Device::kCuda;
  const auto refused = LoadedModule().CreateModel(spec);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("train.device is cuda, and "));
  EXPECT_THAT(refused.error().message(), HasSubstr("set train.device: cpu or auto"));
  MakeModelsOn(PlaceOfThisRun());
}

}  // namespace
}  // namespace tributary::train
