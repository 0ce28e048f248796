// ResNet against a plain PyTorch implementation with torchvision's names (golden/make_resnet_golden.py), and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "family_golden.h"

namespace tributary::train {
namespace {

using ::testing::HasSubstr;

bool IsStatistic(const std::string& name) { return name.ends_with("running_mean") || name.ends_with("running_var"); }

class ResNetGolden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    golden_ = ReadGolden(File("_golden.json"));
    expected_ = ReadTensors(File("_expected.safetensors"));
    const std::uint32_t side = golden_["side"];
    const std::uint32_t channels = golden_["config"].value("num_channels", 3u);
    batch_ = {golden_["rows"], 0, {}, golden_["labels"], expected_.at("pixels"), channels, side, side};
  }

  std::string File(const char* tail) const { return std::string(GetParam()) + tail; }

  std::unique_ptr<Model> Load(bool checkpointing = false, std::uint32_t rank = 0) const {
    ModelSpec spec{.config_json = golden_["config"].dump()};
    spec.gradient_checkpointing = checkpointing;
    spec.lora.rank = rank;
    auto model = LoadedModule().CreateModel(spec);
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

TEST_P(ResNetGolden, LogitsOfEvaluation) {
  const auto logits = Load()->Logits(batch_);
  ASSERT_TRUE(logits.ok()) << logits.error().message();
  const double error = LargestDifference(*logits, expected_.at("logits"));
  RecordProperty("logits_error", std::to_string(error));
  EXPECT_LE(error, 1e-4);
}

TEST_P(ResNetGolden, EvaluationCountsWhatIsRight) {
  ListSource source({batch_});
  const auto result = Load()->Evaluate(source, 1, nullptr, {});
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_NEAR(result->loss, golden_["loss"].get<double>(), 1e-5);
  EXPECT_EQ(result->correct, golden_["correct"].get<std::uint64_t>());
  EXPECT_EQ(result->targets, 3u);
}

TEST_P(ResNetGolden, AStepTakesGradientsAndKeepsRunningStatistics) {
  for (const bool checkpointing : {false, true}) {
    const auto model = Load(checkpointing);
    const Tensors gradients = StepOfSgd(*model, batch_);
    const Tensors after = ParametersOf(*model);
    double worst = 0;
    for (const auto& [name, values] : gradients) {
      const bool statistic = IsStatistic(name);
      const auto& wanted = expected_.at((statistic ? "after_step." : "gradient.") + name);
      const double error = LargestDifference(statistic ? after.at(name) : values, wanted) / std::max(Largest(wanted), 1e-3);
      worst = std::max(worst, error);
      EXPECT_LE(error, statistic ? 1e-5 : 1e-3) << name << (checkpointing ? ", checkpointed" : "");
    }
    RecordProperty(checkpointing ? "checkpointed_error" : "gradient_error", std::to_string(worst));
  }
}

TEST_P(ResNetGolden, TheLossOfTrainingIsThatOfTheBatchsStatistics) {
  TrainOptions o;
  o.steps = 1;
  ListSource source({batch_});
  const auto result = Load()->Train(source, o, nullptr, {});
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_NEAR(result->mean_loss, golden_["training_loss"].get<double>(), 1e-5);
}

TEST_P(ResNetGolden, AdaptersLeaveTheBaseAlone) {
  const auto model = Load(false, 2);
  ASSERT_TRUE(model->InitAdapter(1).ok());
  ASSERT_EQ(model->Parameters().size(), 2u);
  const std::string classifier = GetParam() == std::string("resnet_transformers") ? "classifier.1" : "fc";
  EXPECT_EQ(model->Parameters()[0].name, "base_model.model." + classifier + ".lora_A.weight");
  const auto before = *model->Logits(batch_);
  EXPECT_EQ(before, *Load()->Logits(batch_));
  StepOfSgd(*model, batch_);
  for (std::uint32_t i = 0; i < 2; ++i) {
    for (std::byte& byte : model->ParameterBytes(i)) byte = std::byte{0};
  }
  EXPECT_EQ(*model->Logits(batch_), before) << "a statistic of the frozen base moved";
}

TEST_P(ResNetGolden, ItsOwnConfigJsonMakesTheSameModel) {
  const auto model = Load();
  auto again = LoadedModule().CreateModel({model->ConfigJson()});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ((*again)->ConfigJson(), model->ConfigJson());
  EXPECT_EQ((*again)->Parameters(), model->Parameters());
}

INSTANTIATE_TEST_SUITE_P(All, ResNetGolden, ::testing::Values("resnet_cifar", "resnet_imagenet", "resnet_transformers"),
                         [](const auto& info) { return std::string(info.param); });

Json TinyResNet(const char* stem = "cifar") {
  return {{"model_type", "resnet"}, {"architectures", {"ResNet18"}}, {"depths", {2, 2, 2, 2}}, {"hidden_sizes", {2, 2, 2, 2}},
          {"num_labels", 10},       {"stem", stem}};
}

Batch Images(std::uint32_t rows, std::uint32_t side) {
  return {rows, 0, {}, std::vector<std::int32_t>(rows, 1), std::vector<float>(std::size_t{rows} * 3 * side * side, 0.5F), 3, side, side};
}

TEST(ResNet, ParametersAreTorchvisions) {
  const auto model = MakeTiny(TinyResNet());
  std::map<std::string, std::vector<std::uint64_t>> shapes;
  for (const auto& spec : model->Parameters()) shapes[spec.name] = spec.shape;
  using Shape = std::vector<std::uint64_t>;
  EXPECT_EQ(shapes.size(), 102u);  // of torchvision's resnet18 122, less 20 counts of batches
  EXPECT_EQ(shapes.at("conv1.weight"), (Shape{2, 3, 3, 3}));
  EXPECT_EQ(shapes.at("layer2.0.downsample.0.weight"), (Shape{2, 2, 1, 1}));
  EXPECT_EQ(shapes.at("layer4.1.bn2.running_var"), (Shape{2}));
  EXPECT_EQ(shapes.at("fc.weight"), (Shape{10, 2}));
  EXPECT_EQ(shapes.count("bn1.num_batches_tracked"), 0u);
  EXPECT_EQ(model->VocabularySize(), 0u);
  EXPECT_EQ(model->MaxPositions(), 0u);
}

std::string LogitsError(Model& model, const Batch& batch) {
  const auto logits = model.Logits(batch);
  return logits.ok() ? "" : logits.error().message();
}

TEST(ResNetErrors, BatchesThatDoNotFit) {
  const auto model = MakeTiny(TinyResNet());
  EXPECT_EQ(LogitsError(*model, Images(2, 8)), "");
  Batch batch = Images(2, 8);
  batch.targets[1] = 10;
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("label 10 is outside the model's 10 classes"));
  batch.targets[1] = -1;
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("label -1"));
  batch = Images(2, 8);
  batch.pixels.pop_back();
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("383 pixels and 2 labels"));
  batch = Images(2, 8);
  batch.targets.pop_back();
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("384 pixels and 1 labels"));
  batch = Images(2, 8);
  batch.channels = 1;
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("images of 1 channels"));
  batch = Images(2, 8);
  batch.height = 4'000'000'000;
  EXPECT_THAT(LogitsError(*model, batch), HasSubstr("4000000000 x 8 are refused"));
  EXPECT_THAT(LogitsError(*model, CountingBatch(2, 4, 1)), HasSubstr("8 tokens"));
}

TEST(ResNetErrors, TextIsNoImage) {
  const auto model = MakeTiny(TinyResNet());
  const auto status = model->Generate({1}, {}, [](std::int32_t) { return true; });
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("needs a language model"));
}

TEST(ResNetErrors, OneValueAChannelHasNoVariance) {
  const auto model = MakeTiny(TinyResNet("imagenet"));
  TrainOptions o;
  o.steps = 1;
  ListSource one({Images(1, 32)});
  const auto result = model->Train(one, o, nullptr, {});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("one image of 32 x 32 leaves batch norm a single value"));
  EXPECT_EQ(LogitsError(*model, Images(1, 32)), "");
  ListSource two({Images(2, 32)});
  EXPECT_TRUE(model->Train(two, o, nullptr, {}).ok());
}

}  // namespace
}  // namespace tributary::train
