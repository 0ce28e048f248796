#include "families/gpt2_config.h"

#include "families/config_reader.h"

namespace tributary::train {

Result<Gpt2Config> Gpt2Config::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseForeign(config));
  TRIBUTARY_TRY(ChoiceOr(config, "activation_function", "gelu_new", {"gelu_new", "gelu_pytorch_tanh"}).status());
  TRIBUTARY_TRY(RequireFlag(config, "tie_word_embeddings", true));
  TRIBUTARY_TRY(RequireFlag(config, "scale_attn_weights", true));
  TRIBUTARY_TRY(RequireFlag(config, "scale_attn_by_inverse_layer_idx", false));
  Gpt2Config c;
  TRIBUTARY_ASSIGN(c.layers, Bounded(config, "n_layer", 1, kMaxLayers));
  TRIBUTARY_ASSIGN(c.hidden, Bounded(config, "n_embd", 1, kMaxWidth));
  TRIBUTARY_ASSIGN(c.heads, Bounded(config, "n_head", 1, kMaxHeads));
  TRIBUTARY_ASSIGN(c.positions, Bounded(config, "n_positions", 1, kMaxPositions));
  TRIBUTARY_ASSIGN(c.vocabulary, Bounded(config, "vocab_size", 2, kMaxVocabulary));
  TRIBUTARY_TRY(RequireMultiple("n_embd", c.hidden, "n_head", c.heads));
  TRIBUTARY_ASSIGN(c.inner, BoundedOr(config, "n_inner", 4 * c.hidden, 1, kMaxInner));
  TRIBUTARY_ASSIGN(c.epsilon, PositiveOr(config, "layer_norm_epsilon", c.epsilon, 1));
  TRIBUTARY_ASSIGN(c.initializer_range, PositiveOr(config, "initializer_range", c.initializer_range, 1));
  TRIBUTARY_ASSIGN(c.token_ids, TokenIds(config));
  // The end of text is the last id of both GPT-2's vocabulary and the byte tokenizer's.
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (!Given(config, key)) c.token_ids[key] = c.vocabulary - 1;
  }
  const double h = static_cast<double>(c.hidden);
  const double per_layer = 4 * h * h + 2 * h * static_cast<double>(c.inner);
  TRIBUTARY_TRY(RefuseHuge(per_layer * static_cast<double>(c.layers) + static_cast<double>(c.vocabulary + c.positions) * h));
  return c;
}

std::string Gpt2Config::ToJson() const {
  OrderedJson json;
  json["model_type"] = "gpt2";
  json["architectures"] = {"GPT2LMHeadModel"};
  json["vocab_size"] = vocabulary;
  json["n_positions"] = positions;
  json["n_embd"] = hidden;
  json["n_layer"] = layers;
  json["n_head"] = heads;
  json["n_inner"] = inner == 4 * hidden ? OrderedJson() : OrderedJson(inner);
  json["activation_function"] = "gelu_new";
  json["layer_norm_epsilon"] = epsilon;
  json["initializer_range"] = initializer_range;
  json["attn_pdrop"] = 0.0;
  json["embd_pdrop"] = 0.0;
  json["resid_pdrop"] = 0.0;
  json["tie_word_embeddings"] = true;
  WriteTokenIds(json, token_ids);
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
