// config.json as published models have it, and what is refused of it; nothing of libtorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "families/gpt2_config.h"
#include "families/gpt_neo_config.h"
#include "families/llama_config.h"
#include "families/opt_config.h"
#include "families/resnet_config.h"

namespace tributary::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Config>
Config Parsed(const Json& json) {
  auto config = Config::Parse(json);
  EXPECT_TRUE(config.ok()) << config.error().message();
  return config.ok() ? *config : Config();
}

template <class Config>
std::string Refused(Json json, const std::string& key, const Json& value) {
  json[key] = value;
  auto config = Config::Parse(json);
  return config.ok() ? "" : config.error().message();
}

template <class Config>
std::string RefusedWithout(Json json, const std::string& key) {
  json.erase(key);
  auto config = Config::Parse(json);
  return config.ok() ? "" : config.error().message();
}

// What is written is read as the same again.
template <class Config>
void ExpectRoundTrip(const Config& config) {
  const auto json = ParseJson(config.ToJson(), "written");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(Parsed<Config>(*json).ToJson(), config.ToJson());
}

Json SmolLm2(int layers, int hidden, int inner, int heads, int key_heads) {
  return {{"architectures", {"LlamaForCausalLM"}}, {"attention_bias", false}, {"attention_dropout", 0.0}, {"bos_token_id", 0},
          {"eos_token_id", 0}, {"hidden_act", "silu"}, {"hidden_size", hidden}, {"initializer_range", 0.041666666666666664},
          {"intermediate_size", inner}, {"is_llama_config", true}, {"max_position_embeddings", 8192}, {"model_type", "llama"},
          {"num_attention_heads", heads}, {"num_hidden_layers", layers}, {"num_key_value_heads", key_heads}, {"pretraining_tp", 1},
          {"rms_norm_eps", 1e-05}, {"rope_interleaved", false}, {"rope_scaling", nullptr}, {"rope_theta", 100000},
          {"tie_word_embeddings", true}, {"torch_dtype", "bfloat16"}, {"transformers_version", "4.40.1"}, {"use_cache", true},
          {"vocab_size", 49152}};
}

Json Llama2() {
  return {{"architectures", {"LlamaForCausalLM"}}, {"bos_token_id", 1}, {"eos_token_id", 2}, {"hidden_act", "silu"}, {"hidden_size", 4096},
          {"initializer_range", 0.02}, {"intermediate_size", 11008}, {"max_position_embeddings", 4096}, {"model_type", "llama"},
          {"num_attention_heads", 32}, {"num_hidden_layers", 32}, {"num_key_value_heads", 32}, {"pad_token_id", 0}, {"pretraining_tp", 1},
          {"rms_norm_eps", 1e-05}, {"rope_scaling", nullptr}, {"tie_word_embeddings", false}, {"torch_dtype", "float16"},
          {"transformers_version", "4.31.0.dev0"}, {"use_cache", true}, {"vocab_size", 32000}};
}

Json Llama31() {
  return {{"architectures", {"LlamaForCausalLM"}}, {"attention_bias", false}, {"attention_dropout", 0.0}, {"bos_token_id", 128000},
          {"eos_token_id", {128001, 128008, 128009}}, {"hidden_act", "silu"}, {"hidden_size", 4096}, {"initializer_range", 0.02},
          {"intermediate_size", 14336}, {"max_position_embeddings", 131072}, {"mlp_bias", false}, {"model_type", "llama"},
          {"num_attention_heads", 32}, {"num_hidden_layers", 32}, {"num_key_value_heads", 8}, {"pretraining_tp", 1}, {"rms_norm_eps", 1e-05},
          {"rope_scaling", {{"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 8192},
                            {"rope_type", "llama3"}}},
          {"rope_theta", 500000.0}, {"tie_word_embeddings", false}, {"torch_dtype", "bfloat16"}, {"transformers_version", "4.43.0.dev0"},
          {"use_cache", true}, {"vocab_size", 128256}};
}

Json Mistral() {
  return {{"architectures", {"MistralForCausalLM"}}, {"bos_token_id", 1}, {"eos_token_id", 2}, {"hidden_act", "silu"}, {"hidden_size", 4096},
          {"initializer_range", 0.02}, {"intermediate_size", 14336}, {"max_position_embeddings", 32768}, {"model_type", "mistral"},
          {"num_attention_heads", 32}, {"num_hidden_layers", 32}, {"num_key_value_heads", 8}, {"rms_norm_eps", 1e-05},
          {"rope_theta", 10000.0}, {"sliding_window", 4096}, {"tie_word_embeddings", false}, {"torch_dtype", "bfloat16"},
          {"vocab_size", 32000}};
}

Json Opt125m() {
  return {{"_name_or_path", "facebook/opt-125m"}, {"_remove_final_layer_norm", false}, {"activation_dropout", 0.0},
          {"activation_function", "relu"}, {"architectures", {"OPTForCausalLM"}}, {"attention_dropout", 0.0}, {"bos_token_id", 2},
          {"do_layer_norm_before", true}, {"dropout", 0.1}, {"eos_token_id", 2}, {"ffn_dim", 3072}, {"hidden_size", 768}, {"init_std", 0.02},
          {"layerdrop", 0.0}, {"max_position_embeddings", 2048}, {"model_type", "opt"}, {"num_attention_heads", 12},
          {"num_hidden_layers", 12}, {"pad_token_id", 1}, {"prefix", "</s>"}, {"torch_dtype", "float16"},
          {"transformers_version", "4.21.0.dev0"}, {"use_cache", true}, {"vocab_size", 50272}, {"word_embed_proj_dim", 768}};
}

Json GptNeo125m() {
  Json layers = Json::array();
  for (int i = 0; i < 12; ++i) layers.push_back(i % 2 == 0 ? "global" : "local");
  return {{"activation_function", "gelu_new"}, {"architectures", {"GPTNeoForCausalLM"}}, {"attention_dropout", 0},
          {"attention_layers", layers}, {"attention_types", {{{"global", "local"}, 6}}}, {"bos_token_id", 50256}, {"embed_dropout", 0},
          {"eos_token_id", 50256}, {"gradient_checkpointing", false}, {"hidden_size", 768}, {"initializer_range", 0.02},
          {"intermediate_size", nullptr}, {"layer_norm_epsilon", 1e-05}, {"max_position_embeddings", 2048}, {"model_type", "gpt_neo"},
          {"num_heads", 12}, {"num_layers", 12}, {"resid_dropout", 0}, {"summary_activation", nullptr}, {"summary_first_dropout", 0.1},
          {"summary_proj_to_labels", true}, {"summary_type", "cls_index"}, {"summary_use_proj", true}, {"use_cache", true},
          {"vocab_size", 50257}, {"window_size", 256}};
}

Json Gpt2(int layers, int hidden, int heads) {
  return {{"activation_function", "gelu_new"}, {"architectures", {"GPT2LMHeadModel"}}, {"attn_pdrop", 0.1}, {"bos_token_id", 50256},
          {"embd_pdrop", 0.1}, {"eos_token_id", 50256}, {"initializer_range", 0.02}, {"layer_norm_epsilon", 1e-05}, {"model_type", "gpt2"},
          {"n_ctx", 1024}, {"n_embd", hidden}, {"n_head", heads}, {"n_layer", layers}, {"n_positions", 1024}, {"output_past", true},
          {"resid_pdrop", 0.1}, {"summary_activation", nullptr}, {"summary_first_dropout", 0.1}, {"summary_proj_to_labels", true},
          {"summary_type", "cls_index"}, {"summary_use_proj", true},
          {"task_specific_params", {{"text-generation", {{"do_sample", true}, {"max_length", 50}}}}}, {"vocab_size", 50257}};
}

Json ResNet18() {
  return {{"model_type", "resnet"}, {"architectures", {"ResNet18"}}, {"depths", {2, 2, 2, 2}}, {"hidden_sizes", {64, 128, 256, 512}},
          {"layer_type", "basic"}, {"num_labels", 10}, {"stem", "cifar"}};
}

TEST(PublishedConfigs, SmolLm2) {
  const auto small = Parsed<LlamaConfig>(SmolLm2(30, 576, 1536, 9, 3));
  EXPECT_EQ(small.width, 64);
  EXPECT_EQ(small.key_heads, 3);
  EXPECT_TRUE(small.tied);
  EXPECT_EQ(small.padding, -1);
  EXPECT_EQ(small.rope.theta, 100000);
  ExpectRoundTrip(small);
  EXPECT_EQ(Parsed<LlamaConfig>(SmolLm2(32, 960, 2560, 15, 5)).width, 64);
}

TEST(PublishedConfigs, Llama2HasARowOfPadding) {
  const auto config = Parsed<LlamaConfig>(Llama2());
  EXPECT_EQ(config.padding, 0);
  EXPECT_FALSE(config.tied);
  EXPECT_EQ(config.width, 128);
  EXPECT_EQ(config.rope.theta, 10000);
  ExpectRoundTrip(config);
}

TEST(PublishedConfigs, Llama31) {
  const auto config = Parsed<LlamaConfig>(Llama31());
  EXPECT_EQ(config.rope.scaling, Rope::Scaling::kLlama3);
  EXPECT_EQ(config.rope.original, 8192);
  EXPECT_EQ(config.key_heads, 8);
  ExpectRoundTrip(config);
  EXPECT_THAT(config.ToJson(), HasSubstr("128009"));
}

TEST(PublishedConfigs, MistralsWindow) {
  EXPECT_EQ(Parsed<LlamaConfig>(Mistral()).window, 4096);
  Json json = Mistral();
  json["sliding_window"] = nullptr;
  EXPECT_EQ(Parsed<LlamaConfig>(json).window, 0);
  ExpectRoundTrip(Parsed<LlamaConfig>(json));
  json.erase("sliding_window");
  EXPECT_EQ(Parsed<LlamaConfig>(json).window, 4096);
  EXPECT_THAT(RefusedWithout<LlamaConfig>(Mistral(), "num_key_value_heads"), HasSubstr("'num_key_value_heads' is missing"));
  EXPECT_THAT(Refused<LlamaConfig>(Mistral(), "attention_bias", true), HasSubstr("'attention_bias' true"));
}

TEST(PublishedConfigs, Opt) {
  const auto config = Parsed<OptConfig>(Opt125m());
  EXPECT_TRUE(config.final_norm);
  EXPECT_EQ(config.padding, 1);
  EXPECT_EQ(config.embedding, 768);
  ExpectRoundTrip(config);
  Json json = Opt125m();
  json["do_layer_norm_before"] = false;
  json["word_embed_proj_dim"] = 512;
  EXPECT_FALSE(Parsed<OptConfig>(json).final_norm);
  ExpectRoundTrip(Parsed<OptConfig>(json));
}

TEST(PublishedConfigs, GptNeo) {
  const auto config = Parsed<GptNeoConfig>(GptNeo125m());
  EXPECT_EQ(config.inner, 3072);
  EXPECT_EQ(config.local.size(), 12u);
  EXPECT_FALSE(config.local[0]);
  EXPECT_TRUE(config.local[11]);
  ExpectRoundTrip(config);
  Json json = GptNeo125m();
  json.erase("attention_types");
  EXPECT_EQ(Parsed<GptNeoConfig>(json).ToJson(), config.ToJson());
}

TEST(PublishedConfigs, Gpt2MayNameTokensThatASmallVocabularyLacks) {
  Json json = Gpt2(2, 64, 2);
  json["vocab_size"] = 260;
  const auto config = Parsed<Gpt2Config>(json);
  EXPECT_EQ(config.token_ids["eos_token_id"], 50256) << "as GPT2Config writes it, whatever the vocabulary";
  ExpectRoundTrip(config);
  json.erase("eos_token_id");
  EXPECT_EQ(Parsed<Gpt2Config>(json).token_ids["eos_token_id"], 259);
}

TEST(PublishedConfigs, Gpt2Sizes) {
  EXPECT_EQ(Parsed<Gpt2Config>(Gpt2(48, 1600, 25)).inner, 6400);
  EXPECT_EQ(Parsed<Gpt2Config>(Gpt2(6, 768, 12)).layers, 6);
}

TEST(PublishedConfigs, TransformersOwnResNet18) {
  Json json = {{"architectures", {"ResNetForImageClassification"}}, {"depths", {2, 2, 2, 2}}, {"downsample_in_first_stage", false}, {"embedding_size", 64},
               {"hidden_act", "relu"}, {"hidden_sizes", {64, 128, 256, 512}}, {"id2label", {{"0", "cat"}, {"1", "dog"}, {"2", "tench"}}},
               {"label2id", {{"cat", 0}, {"dog", 1}, {"tench", 2}}}, {"layer_type", "basic"}, {"model_type", "resnet"}, {"num_channels", 3}};
  const auto config = Parsed<ResNetConfig>(json);
  EXPECT_TRUE(config.transformers);
  EXPECT_FALSE(config.cifar);
  EXPECT_EQ(config.classes, 3);
  EXPECT_EQ(config.labels["id2label"]["2"], "tench");
  ExpectRoundTrip(config);
  EXPECT_THAT(Refused<ResNetConfig>(json, "id2label", {"cat"}), HasSubstr("'id2label' is no object of 2"));
  EXPECT_THAT(Refused<ResNetConfig>(json, "stem", "cifar"), HasSubstr("stem 'cifar' is not supported; supported: imagenet"));
  EXPECT_THAT(RefusedWithout<ResNetConfig>(json, "layer_type"), HasSubstr("transformers' blocks are bottlenecks; supported: basic"));
  json.erase("id2label");
  EXPECT_EQ(Parsed<ResNetConfig>(json).classes, 2) << "transformers' default";
}

TEST(PublishedConfigs, ResNetOfBothStems) {
  EXPECT_TRUE(Parsed<ResNetConfig>(ResNet18()).cifar);
  Json json = ResNet18();
  json["stem"] = "imagenet";
  const auto config = Parsed<ResNetConfig>(json);
  EXPECT_FALSE(config.cifar);
  EXPECT_THAT(config.widths, ElementsAre(64, 128, 256, 512));
  ExpectRoundTrip(config);
}

TEST(PublishedConfigs, ThoseBesideTheTestData) {
  const char* root = std::getenv("TRIBUTARY_TEST_DATA");
  if (root == nullptr || !std::filesystem::exists(std::string(root) + "/smollm-tokenizer/config.json")) {
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with smollm-tokenizer";
  }
  for (const char* folder : {"smollm-tokenizer", "stories260k/hf"}) {
    const auto json = ReadJsonFile(std::string(root) + "/" + folder + "/config.json");
    ASSERT_TRUE(json.ok()) << json.error().message();
    ExpectRoundTrip(Parsed<LlamaConfig>(*json));
  }
}

TEST(RopeScaling, BothSpellingsAndTheNewerPlace) {
  Json json = Llama2();
  json["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  const auto old = Parsed<LlamaConfig>(json);
  json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(Parsed<LlamaConfig>(json).ToJson(), old.ToJson());
  json.erase("rope_scaling");
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500.0}};
  EXPECT_EQ(Parsed<LlamaConfig>(json).rope.theta, 500);
  json["rope_scaling"] = {{"type", "default"}};
  EXPECT_EQ(Parsed<LlamaConfig>(json).rope.scaling, Rope::Scaling::kNone);
}

// Of a head of 8 at theta 100, scaled by 8 from 64 positions: one wave stays, two lie between, the longest is stretched.
TEST(RopeScaling, Llama3StretchesLongWavesAlone) {
  Rope rope{.theta = 100, .scaling = Rope::Scaling::kLlama3, .factor = 8, .low_factor = 1, .high_factor = 4, .original = 64};
  const auto frequencies = rope.Frequencies(8);
  ASSERT_EQ(frequencies.size(), 4u);
  EXPECT_FLOAT_EQ(frequencies[0], 1);
  const double turns = 64 * std::pow(100, -0.25) / (2 * std::acos(-1.0));
  const double kept = (turns - 1) / 3;
  EXPECT_NEAR(frequencies[1], std::pow(100, -0.25) * (kept + (1 - kept) / 8), 1e-7);
  EXPECT_FLOAT_EQ(frequencies[3], static_cast<float>(std::pow(100, -0.75) / 8));
}

TEST(RopeScaling, OtherTypesAreRefusedByName) {
  for (const char* type : {"dynamic", "yarn", "longrope"}) {
    EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rope_scaling", {{"rope_type", type}, {"factor", 2.0}}),
                HasSubstr(std::string("rope_scaling of type '") + type + "' is not supported; supported: default, linear, llama3"));
  }
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rope_scaling", {{"type", "linear"}}), HasSubstr("lacks 'factor'"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rope_scaling", {{"factor", 2.0}}), HasSubstr("'type' is missing"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rope_scaling", "linear"), HasSubstr("'rope_scaling' is no object"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rope_scaling", {{"type", "linear"}, {"factor", 0}}), HasSubstr("'factor' is 0"));
  Json llama3 = Llama31()["rope_scaling"];
  llama3["high_freq_factor"] = 1.0;
  EXPECT_THAT(Refused<LlamaConfig>(Llama31(), "rope_scaling", llama3), HasSubstr("high_freq_factor 1, expected above low_freq_factor 1"));
  llama3.erase("original_max_position_embeddings");
  EXPECT_THAT(Refused<LlamaConfig>(Llama31(), "rope_scaling", llama3), HasSubstr("lacks 'original_max_position_embeddings'"));
}

template <class Config>
void ExpectSizesChecked(const Json& json, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    for (const Json& value : {Json(0), Json(-1), Json(1ull << 62), Json("12"), Json(1.5), Json::array()}) {
      EXPECT_THAT(Refused<Config>(json, key, value), HasSubstr(key)) << value;
    }
    EXPECT_THAT(RefusedWithout<Config>(json, key), HasSubstr(std::string("'") + key + "' is missing"));
  }
}

TEST(ConfigErrors, SizesAreGivenAndInRange) {
  ExpectSizesChecked<LlamaConfig>(Llama2(), {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                                             "max_position_embeddings", "vocab_size"});
  ExpectSizesChecked<OptConfig>(Opt125m(), {"num_hidden_layers", "hidden_size", "ffn_dim", "num_attention_heads", "max_position_embeddings",
                                            "vocab_size"});
  ExpectSizesChecked<GptNeoConfig>(GptNeo125m(), {"num_layers", "hidden_size", "num_heads", "max_position_embeddings", "vocab_size"});
  ExpectSizesChecked<ResNetConfig>(ResNet18(), {"depths", "hidden_sizes", "num_labels"});
}

TEST(ConfigErrors, HeadsDivide) {
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "num_attention_heads", 96), HasSubstr("hidden_size 4096 is not a multiple"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "num_key_value_heads", 3),
              HasSubstr("num_attention_heads 32 is not a multiple of num_key_value_heads 3"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "num_key_value_heads", 0), HasSubstr("'num_key_value_heads' is 0"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "head_dim", 5), HasSubstr("'head_dim' has to be even"));
  EXPECT_THAT(Refused<OptConfig>(Opt125m(), "num_attention_heads", 7), HasSubstr("hidden_size 768 is not a multiple"));
  EXPECT_THAT(Refused<GptNeoConfig>(GptNeo125m(), "num_heads", 7), HasSubstr("hidden_size 768 is not a multiple"));
}

TEST(ConfigErrors, ModelsBeyondReason) {
  Json llama = Llama2();
  llama["num_hidden_layers"] = 1024;
  EXPECT_THAT(Refused<LlamaConfig>(llama, "hidden_size", 65536), HasSubstr("parameters is refused"));
  EXPECT_THAT(Refused<OptConfig>(Opt125m(), "num_hidden_layers", 1024), "");
  Json resnet = ResNet18();
  resnet["depths"] = {256, 256, 256, 256};
  EXPECT_THAT(Refused<ResNetConfig>(resnet, "hidden_sizes", {16384, 16384, 16384, 16384}), HasSubstr("parameters is refused"));
}

TEST(ConfigErrors, WhatIsComputedOtherwise) {
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "hidden_act", "gelu"), HasSubstr("hidden_act 'gelu' is not supported; supported: silu"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "partial_rotary_factor", 0.5), HasSubstr("'partial_rotary_factor' is not supported"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "quantization_config", {{"load_in_4bit", true}}), HasSubstr("'quantization_config'"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "tie_word_embeddings", "no"), HasSubstr("neither true nor false"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "rms_norm_eps", 0), HasSubstr("'rms_norm_eps' is 0"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "pad_token_id", 32000), HasSubstr("'pad_token_id' is 32000"));
  EXPECT_THAT(Refused<LlamaConfig>(Llama2(), "eos_token_id", "</s>"), HasSubstr("'eos_token_id' is no token id"));
  EXPECT_THAT(Refused<OptConfig>(Opt125m(), "activation_function", "silu"), HasSubstr("activation_function 'silu'"));
  EXPECT_THAT(Refused<OptConfig>(Opt125m(), "word_embed_proj_dim", 0), HasSubstr("'word_embed_proj_dim' is 0"));
  EXPECT_THAT(Refused<OptConfig>(Opt125m(), "is_encoder_decoder", true), HasSubstr("'is_encoder_decoder' true"));
  EXPECT_THAT(Refused<GptNeoConfig>(GptNeo125m(), "attention_types", {{{"global", "sparse"}, 6}}), HasSubstr("'attention_types' does not say"));
  EXPECT_THAT(Refused<GptNeoConfig>(GptNeo125m(), "attention_types", {{{"global"}, 1 << 30}}), HasSubstr("'attention_types' does not say"));
  EXPECT_THAT(Refused<GptNeoConfig>(GptNeo125m(), "attention_types", {{{"global"}, 3}}), HasSubstr("names 3 layers, num_layers is 12"));
  EXPECT_THAT(Refused<GptNeoConfig>(GptNeo125m(), "window_size", 0), HasSubstr("'window_size' is 0"));
  EXPECT_THAT(Refused<Gpt2Config>(Gpt2(2, 64, 2), "pruned_heads", {{"0", {1}}}), HasSubstr("'pruned_heads'"));
}

TEST(ConfigErrors, ResNetsOfOtherKinds) {
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "layer_type", "bottleneck"), HasSubstr("layer_type 'bottleneck' is not supported"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "stem", "mnist"), HasSubstr("stem 'mnist' is not supported; supported: cifar, imagenet"));
  EXPECT_THAT(RefusedWithout<ResNetConfig>(ResNet18(), "stem"), HasSubstr("'stem' is missing"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "depths", {2, 2, 2}), HasSubstr("'depths' is no list of 4"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "depths", {2, 2, 2, 0}), HasSubstr("'depths' has 0"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "architectures", {"ResNetModel"}), HasSubstr("names of torchvision's"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "architectures", {"ResNetForImageClassification", "ResNet18"}), HasSubstr("is not supported"));
  EXPECT_THAT(Refused<ResNetConfig>(ResNet18(), "embedding_size", 32), HasSubstr("'embedding_size' 32 is not supported"));
}

}  // namespace
}  // namespace tributary::train
