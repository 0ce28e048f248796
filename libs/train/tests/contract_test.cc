// What the module gives before any training: models, parameters, errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "fixtures.h"
#include "tributary/train/model_types.h"

namespace tributary::train {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string CreateError(const Json& config) {
  auto model = LoadedModule().CreateModel({config.dump()});
  EXPECT_FALSE(model.ok());
  return model.ok() ? "" : model.error().message();
}

TEST(TrainModule, SaysWhatItIs) {
  EXPECT_THAT(LoadedModule().Description(), StartsWith("libtorch "));
}

TEST(TrainModule, LoadsOnce) {
  EXPECT_EQ(*LoadTrainModule(), *LoadTrainModule());
}

TEST(TrainModel, ParametersHaveHuggingFaceNamesAndShapes) {
  const auto model = MakeTiny();
  std::map<std::string, std::vector<std::uint64_t>> shapes;
  for (const auto& spec : model->Parameters()) shapes[spec.name] = spec.shape;
  EXPECT_EQ(shapes.size(), 4u + 2 * 12);
  using Shape = std::vector<std::uint64_t>;
  EXPECT_EQ(shapes.at("transformer.wte.weight"), (Shape{32, 16}));
  EXPECT_EQ(shapes.at("transformer.wpe.weight"), (Shape{16, 16}));
  EXPECT_EQ(shapes.at("transformer.h.1.attn.c_attn.weight"), (Shape{16, 48}));
  EXPECT_EQ(shapes.at("transformer.h.1.attn.c_proj.bias"), (Shape{16}));
  EXPECT_EQ(shapes.at("transformer.h.0.mlp.c_fc.weight"), (Shape{16, 64}));
  EXPECT_EQ(shapes.at("transformer.h.0.mlp.c_proj.weight"), (Shape{64, 16}));
  EXPECT_EQ(shapes.at("transformer.ln_f.weight"), (Shape{16}));
  EXPECT_EQ(shapes.count("lm_head.weight"), 0u);
  EXPECT_EQ(model->Parameters()[0].name, "transformer.wte.weight");
  EXPECT_EQ(model->MaxPositions(), 16u);
  EXPECT_EQ(model->VocabularySize(), 32u);
  for (std::uint32_t i = 0; i < model->Parameters().size(); ++i) {
    EXPECT_EQ(model->ParameterBytes(i).size(),
              *tensor::ElementCount(model->Parameters()[i].shape) * 4);
  }
}

TEST(TrainModel, TheSameSeedGivesTheSameBytes) {
  const auto first = MakeTiny(TinyConfig(), 5);
  const auto again = MakeTiny(TinyConfig(), 5);
  const auto other = MakeTiny(TinyConfig(), 6);
  EXPECT_EQ(AllValues(*first), AllValues(*again));
  EXPECT_NE(AllValues(*first), AllValues(*other));
}

TEST(TrainModel, FirstValuesAreNormalOnesAndZeros) {
  Json config = TinyConfig();
  config["n_embd"] = 128;
  const auto model = MakeTiny(config);
  for (std::uint32_t i = 0; i < model->Parameters().size(); ++i) {
    const auto& spec = model->Parameters()[i];
    const auto bytes = model->ParameterBytes(i);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    const std::size_t count = bytes.size() / 4;
    double squares = 0;
    for (std::size_t k = 0; k < count; ++k) squares += static_cast<double>(values[k]) * values[k];
    const double deviation = std::sqrt(squares / static_cast<double>(count));
    if (spec.shape.size() == 1) {
      EXPECT_EQ(deviation,
                spec.name.find("ln_") != std::string::npos && spec.name.ends_with("weight") ? 1 : 0)
          << spec.name;
    } else if (spec.name.find("c_proj") != std::string::npos) {
      EXPECT_NEAR(deviation, 0.02 / std::sqrt(4.0), 0.0005) << spec.name;
    } else {
      EXPECT_NEAR(deviation, 0.02, 0.001) << spec.name;
    }
  }
}

TEST(TrainModel, ConfigJsonMakesTheSameModelAgain) {
  const auto model = MakeTiny();
  auto config = ParseJson(model->ConfigJson(), "config");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["architectures"][0], "GPT2LMHeadModel");
  EXPECT_EQ((*config)["eos_token_id"], 31);
  auto again = LoadedModule().CreateModel({model->ConfigJson()});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ((*again)->Parameters(), model->Parameters());
  EXPECT_EQ((*again)->ConfigJson(), model->ConfigJson());
}

TEST(TrainModel, WrittenParameterBytesAreUsed) {
  const auto model = MakeTiny(TinyConfig(), 1);
  const auto other = MakeTiny(TinyConfig(), 2);
  for (std::uint32_t i = 0; i < model->Parameters().size(); ++i) {
    const auto from = other->ParameterBytes(i);
    std::copy(from.begin(), from.end(), model->ParameterBytes(i).begin());
  }
  EXPECT_EQ(LossOf(*model, CountingBatch(2, 8, 1)), LossOf(*other, CountingBatch(2, 8, 1)));
}

TEST(TrainModelErrors, UnknownModelTypeNamesTheKnown) {
  EXPECT_THAT(CreateError({{"model_type", "mamba"}}),
              HasSubstr("'mamba' is not supported; supported: gpt2"));
  EXPECT_THAT(CreateError(Json::object()), HasSubstr("'model_type' is missing"));
  EXPECT_FALSE(LoadedModule().CreateModel({"{not json"}).ok());
}

// Programs that do not load the module refuse by this list.
TEST(TrainModelErrors, TheListOfModelTypesIsTheRegistrys) {
  EXPECT_THAT(CreateError({{"model_type", "mamba"}}), EndsWith("supported: " + ModelTypeNames() + ", " + std::string(kScriptModelType)));
  for (const std::string_view type : kModelTypes) {
    EXPECT_TRUE(IsModelType(type));
    EXPECT_THAT(CreateError({{"model_type", type}}), Not(HasSubstr("model_type"))) << type;
  }
  EXPECT_FALSE(IsModelType(kScriptModelType));
}

TEST(TrainModelErrors, SizesOutOfRange) {
  for (const char* key : {"n_layer", "n_head", "n_embd", "n_positions", "vocab_size"}) {
    for (const Json& value : {Json(0), Json(-1), Json(1ull << 62), Json("12"), Json(1.5)}) {
      Json config = TinyConfig();
      config[key] = value;
      EXPECT_THAT(CreateError(config), HasSubstr(key)) << value;
    }
    Json config = TinyConfig();
    config.erase(key);
    EXPECT_THAT(CreateError(config), HasSubstr(std::string("'") + key + "' is missing"));
  }
}

TEST(TrainModelErrors, HeadsDivideHidden) {
  Json config = TinyConfig();
  config["n_head"] = 3;
  EXPECT_THAT(CreateError(config), HasSubstr("n_embd 16 is not a multiple of n_head 3"));
}

TEST(TrainModelErrors, ModelsBeyondReasonAreRefused) {
  Json config = TinyConfig();
  config["n_layer"] = 1024;
  config["n_embd"] = 65536;
  EXPECT_THAT(CreateError(config), HasSubstr("parameters is refused"));
}

TEST(TrainModelErrors, VariantsThatComputeOtherwise) {
  Json config = TinyConfig();
  config["activation_function"] = "relu";
  EXPECT_THAT(CreateError(config), HasSubstr("activation_function 'relu'"));
  config = TinyConfig();
  config["tie_word_embeddings"] = false;
  EXPECT_THAT(CreateError(config), HasSubstr("tie_word_embeddings"));
  config = TinyConfig();
  config["initializer_range"] = 2;
  EXPECT_THAT(CreateError(config), HasSubstr("initializer_range"));
  config = TinyConfig();
  config["layer_norm_epsilon"] = 0;
  EXPECT_THAT(CreateError(config), HasSubstr("layer_norm_epsilon"));
}

}  // namespace
}  // namespace tributary::train
