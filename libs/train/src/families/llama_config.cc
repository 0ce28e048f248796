#include "families/llama_config.h"

#include "families/config_reader.h"

namespace tributary::train {
namespace {

constexpr std::int64_t kMistralWindow = 4096;  // where a config.json says nothing

Status ParseSizes(const Json& config, LlamaConfig& c) {
  TRIBUTARY_ASSIGN(c.layers, Bounded(config, "num_hidden_layers", 1, kMaxLayers));
  TRIBUTARY_ASSIGN(c.hidden, Bounded(config, "hidden_size", 1, kMaxWidth));
  TRIBUTARY_ASSIGN(c.inner, Bounded(config, "intermediate_size", 1, kMaxInner));
  TRIBUTARY_ASSIGN(c.heads, Bounded(config, "num_attention_heads", 1, kMaxHeads));
  TRIBUTARY_ASSIGN(c.positions, Bounded(config, "max_position_embeddings", 1, kMaxPositions));
  TRIBUTARY_ASSIGN(c.vocabulary, Bounded(config, "vocab_size", 2, kMaxVocabulary));
  // Absent, Llama has as many as heads and Mistral eight.
  if (c.mistral && !Given(config, "num_key_value_heads")) {
    return MakeError(Code::kInvalidArgument, "{}: 'num_key_value_heads' is missing", kConfig);
  }
  TRIBUTARY_ASSIGN(c.key_heads, BoundedOr(config, "num_key_value_heads", c.heads, 1, kMaxHeads));
  TRIBUTARY_TRY(RequireMultiple("num_attention_heads", c.heads, "num_key_value_heads", c.key_heads));
  if (Given(config, "head_dim")) {
    TRIBUTARY_ASSIGN(c.width, Bounded(config, "head_dim", 2, kMaxWidth));
  } else {
    TRIBUTARY_TRY(RequireMultiple("hidden_size", c.hidden, "num_attention_heads", c.heads));
    c.width = c.hidden / c.heads;
  }
  if (c.width % 2 != 0) {
    return MakeError(Code::kInvalidArgument, "{}: heads of {} have no halves to rotate; 'head_dim' has to be even", kConfig, c.width);
  }
  const double attention = 2.0 * static_cast<double>(c.hidden) * static_cast<double>((c.heads + c.key_heads) * c.width);
  const double mlp = 3.0 * static_cast<double>(c.hidden) * static_cast<double>(c.inner);
  const double ends = (c.tied ? 1.0 : 2.0) * static_cast<double>(c.vocabulary) * static_cast<double>(c.hidden);
  return RefuseHuge(static_cast<double>(c.layers) * (attention + mlp) + ends);
}

}  // namespace

Result<LlamaConfig> LlamaConfig::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseForeign(config));
  LlamaConfig c;
  c.mistral = config.contains("model_type") && config["model_type"] == "mistral";
  TRIBUTARY_TRY(ChoiceOr(config, "hidden_act", "silu", {"silu", "swish"}).status());
  TRIBUTARY_ASSIGN(c.tied, FlagOr(config, "tie_word_embeddings", false));
  TRIBUTARY_TRY(ParseSizes(config, c));
  if (c.mistral) {
    TRIBUTARY_TRY(RequireFlag(config, "attention_bias", false));
    TRIBUTARY_TRY(RequireFlag(config, "mlp_bias", false));
    c.window = config.contains("sliding_window") ? 0 : kMistralWindow;
    TRIBUTARY_ASSIGN(c.window, BoundedOr(config, "sliding_window", c.window, 1, std::int64_t{1} << 30));
  } else {
    TRIBUTARY_ASSIGN(c.attention_bias, FlagOr(config, "attention_bias", false));
    TRIBUTARY_ASSIGN(c.mlp_bias, FlagOr(config, "mlp_bias", false));
  }
  // Written by relatives of Llama; each changes what is computed.
  for (const char* key : {"partial_rotary_factor", "logits_scaling", "residual_multiplier", "embedding_multiplier", "attention_multiplier",
                          "final_logit_softcapping", "attn_logit_softcapping", "use_qk_norm", "num_local_experts"}) {
    if (Given(config, key) && config[key] != 1.0 && config[key] != false) {
      return MakeError(Code::kInvalidArgument, "{}: '{}' is not supported", kConfig, key);
    }
  }
  TRIBUTARY_ASSIGN(c.epsilon, PositiveOr(config, "rms_norm_eps", c.epsilon, 1));
  TRIBUTARY_ASSIGN(c.initializer_range, PositiveOr(config, "initializer_range", kInitializerRange, 1));
  TRIBUTARY_ASSIGN(c.rope, Rope::Parse(config));
  TRIBUTARY_ASSIGN(c.padding, PaddingIndex(config, -1, c.vocabulary));
  TRIBUTARY_ASSIGN(c.token_ids, TokenIds(config));
  return c;
}

std::string LlamaConfig::ToJson() const {
  OrderedJson json;
  json["model_type"] = mistral ? "mistral" : "llama";
  json["architectures"] = {mistral ? "MistralForCausalLM" : "LlamaForCausalLM"};
  json["vocab_size"] = vocabulary;
  json["hidden_size"] = hidden;
  json["intermediate_size"] = inner;
  json["num_hidden_layers"] = layers;
  json["num_attention_heads"] = heads;
  json["num_key_value_heads"] = key_heads;
  json["head_dim"] = width;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = positions;
  json["initializer_range"] = initializer_range;
  json["rms_norm_eps"] = epsilon;
  rope.WriteTo(json);
  if (mistral) {
    json["sliding_window"] = window == 0 ? OrderedJson() : OrderedJson(window);
  } else {
    json["attention_bias"] = attention_bias;
    json["mlp_bias"] = mlp_bias;
  }
  json["attention_dropout"] = 0.0;
  json["tie_word_embeddings"] = tied;
  WriteTokenIds(json, token_ids);
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
