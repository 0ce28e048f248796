#include "families/gpt_neo_config.h"

#include "families/config_reader.h"

namespace tributary::train {
namespace {

Error NoLayers(const std::string& key) {
  return MakeError(Code::kInvalidArgument, "{}: '{}' does not say 'global' or 'local' of each layer", kConfig, key);
}

Status AppendKinds(const Json& names, const std::string& key, std::vector<bool>& local) {
  if (!names.is_array()) return NoLayers(key);
  for (const Json& name : names) {
    if (name != "global" && name != "local") return NoLayers(key);
    if (static_cast<std::int64_t>(local.size()) == kMaxLayers) return NoLayers(key);
    local.push_back(name == "local");
  }
  return Ok();
}

// attention_layers names each layer; attention_types groups of layers and how often each comes: [[["global", "local"], 6]].
Result<std::vector<bool>> LocalLayers(const Json& config) {
  std::vector<bool> local;
  if (!Given(config, "attention_types")) {
    if (!Given(config, "attention_layers")) {
      return MakeError(Code::kInvalidArgument, "{}: 'attention_types' is missing", kConfig);
    }
    TRIBUTARY_TRY(AppendKinds(config["attention_layers"], "attention_layers", local));
    return local;
  }
  const std::string key = "attention_types";
  if (!config[key].is_array()) return NoLayers(key);
  for (const Json& group : config[key]) {
    if (!group.is_array() || group.size() != 2 || !group[0].is_array() || group[0].empty() || !group[1].is_number_integer()) {
      return NoLayers(key);
    }
    const double times = group[1].get<double>();
    if (times < 1 || times > static_cast<double>(kMaxLayers)) return NoLayers(key);
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(times); ++i) TRIBUTARY_TRY(AppendKinds(group[0], key, local));
  }
  return local;
}

}  // namespace

Result<GptNeoConfig> GptNeoConfig::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseForeign(config));
  GptNeoConfig c;
  TRIBUTARY_ASSIGN(c.layers, Bounded(config, "num_layers", 1, kMaxLayers));
  TRIBUTARY_ASSIGN(c.hidden, Bounded(config, "hidden_size", 1, kMaxWidth));
  TRIBUTARY_ASSIGN(c.heads, Bounded(config, "num_heads", 1, kMaxHeads));
  TRIBUTARY_ASSIGN(c.positions, Bounded(config, "max_position_embeddings", 1, kMaxPositions));
  TRIBUTARY_ASSIGN(c.vocabulary, Bounded(config, "vocab_size", 2, kMaxVocabulary));
  TRIBUTARY_ASSIGN(c.inner, BoundedOr(config, "intermediate_size", 4 * c.hidden, 1, kMaxInner));
  TRIBUTARY_ASSIGN(c.window, BoundedOr(config, "window_size", c.window, 1, kMaxPositions));
  TRIBUTARY_TRY(RequireMultiple("hidden_size", c.hidden, "num_heads", c.heads));
  TRIBUTARY_ASSIGN(c.local, LocalLayers(config));
  if (static_cast<std::int64_t>(c.local.size()) != c.layers) {
    return MakeError(Code::kInvalidArgument, "{}: attention_types names {} layers, num_layers is {}", kConfig, c.local.size(), c.layers);
  }
  TRIBUTARY_ASSIGN(c.activation, ChoiceOr(config, "activation_function", "gelu_new", {"gelu_new", "gelu", "relu"}));
  TRIBUTARY_ASSIGN(c.tied, FlagOr(config, "tie_word_embeddings", true));
  TRIBUTARY_ASSIGN(c.epsilon, PositiveOr(config, "layer_norm_epsilon", c.epsilon, 1));
  TRIBUTARY_ASSIGN(c.initializer_range, PositiveOr(config, "initializer_range", kInitializerRange, 1));
  TRIBUTARY_ASSIGN(c.token_ids, TokenIds(config));
  const double h = static_cast<double>(c.hidden);
  TRIBUTARY_TRY(RefuseHuge(static_cast<double>(c.layers) * (4 * h * h + 2 * h * static_cast<double>(c.inner)) +
                           static_cast<double>(2 * c.vocabulary + c.positions) * h));
  return c;
}

std::string GptNeoConfig::ToJson() const {
  OrderedJson json;
  json["model_type"] = "gpt_neo";
  json["architectures"] = {"GPTNeoForCausalLM"};
  json["vocab_size"] = vocabulary;
  json["hidden_size"] = hidden;
  json["intermediate_size"] = inner;
  json["num_layers"] = layers;
  json["num_heads"] = heads;
  json["max_position_embeddings"] = positions;
  OrderedJson kinds = OrderedJson::array();
  for (const bool is_local : local) kinds.push_back(is_local ? "local" : "global");
  json["attention_types"] = OrderedJson::array({OrderedJson::array({kinds, 1})});
  json["attention_layers"] = kinds;
  json["window_size"] = window;
  json["activation_function"] = activation;
  json["layer_norm_epsilon"] = epsilon;
  json["initializer_range"] = initializer_range;
  json["attention_dropout"] = 0.0;
  json["embed_dropout"] = 0.0;
  json["resid_dropout"] = 0.0;
  json["tie_word_embeddings"] = tied;
  WriteTokenIds(json, token_ids);
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
