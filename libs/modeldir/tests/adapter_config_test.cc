#include "tributary/modeldir/adapter_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"
#include "tributary/json/json.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::modeldir {
namespace {

using testing::HasSubstr;

Json Config() {
  return {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 8}, {"target_modules", {"q_proj", "v_proj"}}, {"bias", "none"}, {"modules_to_save", nullptr}};
}

std::string ErrorOf(const std::string& key, const Json& value) {
  Json config = Config();
  config[key] = value;
  const auto lora = ParseLoraConfig(config.dump(), "there");
  EXPECT_FALSE(lora.ok()) << key;
  if (lora.ok()) return "";
  EXPECT_EQ(lora.error().code(), Code::kInvalidArgument);
  return lora.error().message();
}

TEST(AdapterConfig, SaysRankScaleAndTargets) {
  const auto lora = ParseLoraConfig(Config().dump(), "there");
  ASSERT_TRUE(lora.ok()) << lora.error().message();
  EXPECT_EQ(lora->rank, 4u);
  EXPECT_EQ(lora->alpha, 8);
  EXPECT_FALSE(lora->pattern);
  EXPECT_THAT(lora->targets, testing::ElementsAre("q_proj", "v_proj"));
  Json config = Config();
  config["target_modules"] = ".*proj";
  EXPECT_TRUE(ParseLoraConfig(config.dump(), "there")->pattern);
}

TEST(AdapterConfig, WhatIsNotComputedIsRefusedByName) {
  EXPECT_THAT(ErrorOf("peft_type", "IA3"), HasSubstr("there: peft_type 'IA3' is not supported"));
  EXPECT_THAT(ErrorOf("use_dora", true), HasSubstr("'use_dora' is not supported"));
  EXPECT_THAT(ErrorOf("rank_pattern", {{"q_proj", 2}}), HasSubstr("'rank_pattern' is not supported"));
  EXPECT_THAT(ErrorOf("bias", "all"), HasSubstr("'bias' has to be none"));
  EXPECT_THAT(ErrorOf("r", 0), HasSubstr("'r' is 0, expected 1 to 4096"));
  EXPECT_THAT(ErrorOf("target_modules", {1, 2}), HasSubstr("'target_modules' has to be names of layers"));
}

TEST(AdapterConfig, AJobOfAnotherRankOrScaleIsToldBoth) {
  const std::string config = Config().dump();
  EXPECT_TRUE(CheckLoraConfig(config, "there", 4, 8).ok());
  EXPECT_EQ(CheckLoraConfig(config, "there", 8, 8).error().message(), "there: its adapters have r 4, the job's adapter.lora.r is 8; set it to 4");
  EXPECT_EQ(CheckLoraConfig(config, "there", 4, 16).error().message(),
            "there: its adapters are scaled by lora_alpha 8, the job's adapter.lora.alpha is 16; set it to 8");
}

TEST(AdapterConfig, ErrorsOfADirectoryNameTheKey) {
  const TempDirectory temp;
  EXPECT_THAT(OpenStartingAdapters(temp.File("nowhere"), 4, 8).error().message(), HasSubstr("adapter.source: " + temp.File("nowhere") + " has no readable adapter_config.json"));
  temp.Write("a/adapter_config.json", Config().dump());
  EXPECT_THAT(OpenStartingAdapters(temp.File("a"), 4, 8).error().message(), HasSubstr("adapter_model.safetensors"));
  const std::vector<tensor::TensorSpec> tensors{{"x.lora_A.weight", tensor::DType::kF32, {4, 2}}};
  temp.Write("a/adapter_model.safetensors", tensor::MakeSafetensorsHeader(tensors, {}) + std::string(32, '\0'));
  const auto directory = OpenStartingAdapters(temp.File("a"), 4, 8);
  ASSERT_TRUE(directory.ok()) << directory.error().message();
  EXPECT_EQ(directory->weights.size(), 1u);
  EXPECT_THAT(OpenStartingAdapters(temp.File("a"), 2, 8).error().message(), HasSubstr("adapter.source: " + temp.File("a") + "/adapter_config.json: its adapters have r 4"));
}

}  // namespace
}  // namespace tributary::modeldir
