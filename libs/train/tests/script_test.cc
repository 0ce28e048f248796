// TorchScript modules against torch's own numbers (golden/make_script_golden.py), and what is refused of them.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>

#include "fixtures.h"
#include "golden_files.h"
#include "libs/base/testing/temp_directory.h"
#include "tributary/digest/digest.h"

namespace tributary::train {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;

std::string DigestOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  const std::string text = bytes.str();
  return digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(text))));
}

ModelSpec SpecOf(const std::string& path) {
  return {Json({{"model_type", "torchscript"}, {"script", path}, {"sha256", DigestOf(path)}}).dump()};
}

Result<std::unique_ptr<Model>> Make(const std::string& name) { return LoadedModule().CreateModel(SpecOf(GoldenPath("script_" + name + ".pt"))); }

std::unique_ptr<Model> MakeSure(const std::string& name) {
  auto model = Make(name);
  if (!model.ok()) {
    ADD_FAILURE() << model.error().message();
    std::abort();
  }
  return std::move(model).value();
}

std::string Refused(const std::string& name) {
  const auto model = Make(name);
  EXPECT_FALSE(model.ok()) << name;
  return model.ok() ? "" : model.error().message();
}

class Script : public testing::Test {
 protected:
  Batch TextBatch() const {
    const Json& text = golden_["text"];
    return {.rows = text["rows"], .columns = text["columns"], .tokens = text["tokens"], .targets = text["targets"]};
  }
  Batch ImageBatch() const {
    const Json& image = golden_["image"];
    Batch batch;
    batch.rows = image["rows"];
    batch.targets = image["labels"].get<std::vector<std::int32_t>>();
    batch.pixels = image["pixels"].get<std::vector<float>>();
    batch.channels = image["channels"];
    batch.height = image["height"];
    batch.width = image["width"];
    return batch;
  }
  TrainOptions Sgd(std::uint64_t steps) const {
    TrainOptions o;
    o.steps = steps;
    o.optimizer = Optimizer::kSgd;
    o.schedule = Schedule::kConstant;
    o.learning_rate = golden_["learning_rate"];
    o.clip_norm = 0;
    return o;
  }
  std::vector<double> Losses(Model& model, const Batch& batch, const TrainOptions& o) const {
    ListSource source(std::vector<Batch>(o.steps, batch));
    std::vector<double> losses;
    const auto result = model.Train(source, o, [&](const Progress& p) { losses.push_back(p.loss); }, {});
    EXPECT_TRUE(result.ok()) << result.error().message();
    return losses;
  }
  void ExpectGolden(const std::string& name, const Batch& batch) {
    const auto model = MakeSure(name);
    std::vector<std::string> names;
    for (const auto& parameter : model->Parameters()) {
      names.push_back(parameter.name);
      EXPECT_EQ(parameter.dtype, tensor::DType::kF32);
    }
    EXPECT_THAT(names, ElementsAreArray(golden_[name]["names"].get<std::vector<std::string>>()));
    EXPECT_NEAR(LossOf(*model, batch), golden_[name]["evaluated"].get<double>(), 1e-5);
    const auto losses = Losses(*model, batch, Sgd(golden_["steps"]));
    const auto expected = golden_[name]["losses"].get<std::vector<double>>();
    ASSERT_EQ(losses.size(), expected.size());
    for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-5) << "step " << i;
  }

  const Json golden_ = ReadGolden("script_golden.json");
};

TEST_F(Script, TextWithTiedWeightsLearnsAsInTorch) { ExpectGolden("text", TextBatch()); }

TEST_F(Script, ImagesLearnAsInTorch) { ExpectGolden("image", ImageBatch()); }

TEST_F(Script, TheSeedOfAFirstModelIsTheFileItself) {
  const auto model = MakeSure("text");
  const auto first = AllValues(*model);
  Losses(*model, TextBatch(), Sgd(2));
  EXPECT_NE(AllValues(*model), first);
  ASSERT_TRUE(model->InitFromSeed(7).ok());
  EXPECT_EQ(AllValues(*model), first);
}

// Dropout is drawn from the seed of each pass, and buffers begin as the file has them.
TEST_F(Script, TheSameSeedGivesTheSameBits) {
  for (const auto& [name, batch] : {std::pair{"dropout", TextBatch()}, {"image", ImageBatch()}}) {
    const auto model = MakeSure(name);
    const auto losses = Losses(*model, batch, Sgd(3));
    const auto trained = AllValues(*model);
    ASSERT_TRUE(model->InitFromSeed(1).ok());
    EXPECT_EQ(Losses(*model, batch, Sgd(3)), losses) << name;
    EXPECT_EQ(AllValues(*model), trained) << name;
  }
  const auto model = MakeSure("dropout");
  const auto losses = Losses(*model, TextBatch(), Sgd(3));
  ASSERT_TRUE(model->InitFromSeed(1).ok());
  auto other = Sgd(3);
  other.seed = 2;
  EXPECT_NE(Losses(*model, TextBatch(), other), losses);
}

TEST_F(Script, TellsALossAndNoAccuracy) {
  const auto model = MakeSure("text");
  ListSource source({TextBatch()});
  const auto evaluated = model->Evaluate(source, 1, nullptr, {});
  ASSERT_TRUE(evaluated.ok());
  EXPECT_FALSE(evaluated->counts_correct);
  EXPECT_EQ(evaluated->targets, 15u);
  EXPECT_THAT(model->Logits(TextBatch()).error().message(), HasSubstr("forward gives a loss and no logits"));
  EXPECT_EQ(model->VocabularySize(), 0u);
}

TEST_F(Script, ConfigJsonSaysWhichFile) {
  const auto model = MakeSure("text");
  const auto config = ParseJson(model->ConfigJson(), "config.json");
  EXPECT_EQ((*config)["model_type"], "torchscript");
  EXPECT_EQ((*config)["script"], GoldenPath("script_text.pt"));
  EXPECT_EQ((*config)["sha256"], DigestOf(GoldenPath("script_text.pt")));
}

TEST_F(Script, AnotherFileThanTheJobsNamesBothDigests) {
  ModelSpec spec = SpecOf(GoldenPath("script_text.pt"));
  const std::string other = DigestOf(GoldenPath("script_image.pt"));
  spec.config_json = Json({{"model_type", "torchscript"}, {"script", GoldenPath("script_text.pt")}, {"sha256", other}}).dump();
  const auto model = LoadedModule().CreateModel(spec);
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message(), HasSubstr("is another file here than the job began with"));
  EXPECT_THAT(model.error().message(), HasSubstr(other));
  EXPECT_THAT(model.error().message(), HasSubstr(DigestOf(GoldenPath("script_text.pt"))));
}

TEST_F(Script, WhatIsNoScriptIsRefusedInOneLine) {
  EXPECT_THAT(Refused("nowhere"), HasSubstr("script_nowhere.pt cannot be read"));
  const TempDirectory temp;
  for (const std::string& text : {std::string(), std::string("not a zip archive"), std::string(3000, 'x')}) {
    std::ofstream(temp.File("bad.pt")) << text;
    const auto model = LoadedModule().CreateModel(SpecOf(temp.File("bad.pt")));
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(model.error().message(), HasSubstr("bad.pt is no TorchScript file; write it with torch.jit.script(module).save(PATH)"));
    EXPECT_THAT(model.error().message(), Not(HasSubstr("\n")));
  }
  // The first half of a file.
  std::ifstream in(GoldenPath("script_text.pt"), std::ios::binary);
  std::string half(8000, '\0');
  in.read(half.data(), 8000);
  std::ofstream(temp.File("half.pt"), std::ios::binary) << half;
  EXPECT_THAT(LoadedModule().CreateModel(SpecOf(temp.File("half.pt"))).error().message(), HasSubstr("half.pt is no TorchScript file"));
}

TEST_F(Script, ParametersThatDoNotTravelAreRefusedByName) {
  EXPECT_THAT(Refused("half"), HasSubstr("parameter 'narrow' is Half; parameters are trained and sent in float32"));
  EXPECT_THAT(Refused("empty"), HasSubstr("has no parameters: there is nothing to train"));
}

TEST_F(Script, AnotherSignatureIsRefused) {
  EXPECT_THAT(Refused("signature"),
              HasSubstr("has forward(tokens: Tensor, targets: Tensor) -> Tensor; expected forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor"));
}

TEST_F(Script, WhatIsNoLossIsSaidInOneLine) {
  const auto model = MakeSure("loss");
  const std::pair<int, const char*> kinds[] = {{0, "forward gives a tensor of 3 elements of Float; expected a scalar loss"},
                                               {1, "forward gives a loss of inf"},
                                               {2, "the loss that forward gives does not depend on the parameters"},
                                               {3, "forward failed: RuntimeError: "}};
  for (const auto& [kind, text] : kinds) {
    Batch batch = TextBatch();
    batch.tokens[0] = kind;
    ListSource source({batch});
    const auto result = model->Train(source, Sgd(1), nullptr, {});
    ASSERT_FALSE(result.ok()) << kind;
    EXPECT_EQ(result.error().code(), Code::kInvalidArgument) << kind;
    EXPECT_THAT(result.error().message(), HasSubstr(text));
    EXPECT_THAT(result.error().message(), HasSubstr("script_loss.pt"));
    EXPECT_THAT(result.error().message(), Not(HasSubstr("\n")));
  }
  Batch batch = TextBatch();
  batch.tokens[0] = 1;
  ListSource source({batch});
  EXPECT_THAT(model->Evaluate(source, 1, nullptr, {}).error().message(), HasSubstr("forward gives a loss of inf"));
}

TEST_F(Script, ABatchOfOtherSizesIsRefused) {
  const auto model = MakeSure("text");
  Batch batch = TextBatch();
  batch.targets.pop_back();
  ListSource source({batch});
  EXPECT_THAT(model->Train(source, Sgd(1), nullptr, {}).error().message(), HasSubstr("a batch of 3 rows has 18 tokens, 0 pixels and 17 targets"));
}

TEST_F(Script, WishesThatItCannotFollowAreRefused) {
  ModelSpec spec = SpecOf(GoldenPath("script_text.pt"));
  spec.lora.rank = 4;
  EXPECT_THAT(LoadedModule().CreateModel(spec).error().message(), HasSubstr("adapter.lora: a TorchScript module computes as it was written"));
  spec.lora.rank = 0;
  spec.precision = Precision::kBf16;
  EXPECT_THAT(LoadedModule().CreateModel(spec).error().message(), HasSubstr("train.precision bf16"));
}

}  // namespace
}  // namespace tributary::train
