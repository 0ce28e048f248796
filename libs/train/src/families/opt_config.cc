#include "families/opt_config.h"

#include "families/config_reader.h"

namespace tributary::train {

Result<OptConfig> OptConfig::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseForeign(config));
  OptConfig c;
  TRIBUTARY_ASSIGN(c.layers, Bounded(config, "num_hidden_layers", 1, kMaxLayers));
  TRIBUTARY_ASSIGN(c.hidden, Bounded(config, "hidden_size", 1, kMaxWidth));
  TRIBUTARY_ASSIGN(c.heads, Bounded(config, "num_attention_heads", 1, kMaxHeads));
  TRIBUTARY_ASSIGN(c.inner, Bounded(config, "ffn_dim", 1, kMaxInner));
  TRIBUTARY_ASSIGN(c.positions, Bounded(config, "max_position_embeddings", 1, kMaxPositions));
  TRIBUTARY_ASSIGN(c.vocabulary, Bounded(config, "vocab_size", 2, kMaxVocabulary));
  TRIBUTARY_ASSIGN(c.embedding, BoundedOr(config, "word_embed_proj_dim", c.hidden, 1, kMaxWidth));
  TRIBUTARY_TRY(RequireMultiple("hidden_size", c.hidden, "num_attention_heads", c.heads));
  TRIBUTARY_ASSIGN(c.activation, ChoiceOr(config, "activation_function", "relu", {"relu", "gelu", "gelu_new"}));
  TRIBUTARY_ASSIGN(c.norm_before, FlagOr(config, "do_layer_norm_before", true));
  TRIBUTARY_ASSIGN(const bool removed, FlagOr(config, "_remove_final_layer_norm", false));
  c.final_norm = c.norm_before && !removed;
  TRIBUTARY_ASSIGN(c.bias, FlagOr(config, "enable_bias", true));
  TRIBUTARY_ASSIGN(c.norm_weights, FlagOr(config, "layer_norm_elementwise_affine", true));
  TRIBUTARY_ASSIGN(c.tied, FlagOr(config, "tie_word_embeddings", true));
  TRIBUTARY_ASSIGN(c.initializer_range, PositiveOr(config, "init_std", kInitializerRange, 1));
  TRIBUTARY_ASSIGN(c.padding, PaddingIndex(config, 1, c.vocabulary));
  TRIBUTARY_ASSIGN(c.token_ids, TokenIds(config));
  const double h = static_cast<double>(c.hidden);
  TRIBUTARY_TRY(RefuseHuge(static_cast<double>(c.layers) * (4 * h * h + 2 * h * static_cast<double>(c.inner)) +
                           2 * static_cast<double>(c.vocabulary) * static_cast<double>(c.embedding) +
                           static_cast<double>(c.positions) * h));
  return c;
}

std::string OptConfig::ToJson() const {
  OrderedJson json;
  json["model_type"] = "opt";
  json["architectures"] = {"OPTForCausalLM"};
  json["vocab_size"] = vocabulary;
  json["hidden_size"] = hidden;
  json["word_embed_proj_dim"] = embedding;
  json["ffn_dim"] = inner;
  json["num_hidden_layers"] = layers;
  json["num_attention_heads"] = heads;
  json["max_position_embeddings"] = positions;
  json["activation_function"] = activation;
  json["do_layer_norm_before"] = norm_before;
  json["_remove_final_layer_norm"] = norm_before && !final_norm;
  json["enable_bias"] = bias;
  json["layer_norm_elementwise_affine"] = norm_weights;
  json["init_std"] = initializer_range;
  json["dropout"] = 0.0;
  json["attention_dropout"] = 0.0;
  json["layerdrop"] = 0.0;
  json["tie_word_embeddings"] = tied;
  WriteTokenIds(json, token_ids);
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
