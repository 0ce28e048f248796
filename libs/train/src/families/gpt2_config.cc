#include "families/gpt2_config.h"

#include <string_view>

namespace tributary::train {
namespace {

constexpr std::string_view kWhat = "config.json";
// 1 TiB of fp32: above that a wrong number is likelier than a model.
constexpr std::int64_t kMaxParameters = std::int64_t{1} << 38;

Result<std::int64_t> Bounded(const Json& config, const std::string& key, std::int64_t low,
                             std::int64_t high) {
  TRIBUTARY_ASSIGN(const std::int64_t value, GetInt(config, key, kWhat));
  if (value < low || value > high) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is {}, expected {} to {}", kWhat, key, value,
                     low, high);
  }
  return value;
}

bool Given(const Json& config, const char* key) {
  return config.contains(key) && !config[key].is_null();
}

Status RefuseVariants(const Json& config) {
  if (Given(config, "activation_function")) {
    TRIBUTARY_ASSIGN(const std::string name, GetString(config, "activation_function", kWhat));
    if (name != "gelu_new" && name != "gelu_pytorch_tanh") {
      return MakeError(Code::kInvalidArgument,
                       "{}: activation_function '{}' is not supported; supported: gelu_new", kWhat,
                       name);
    }
  }
  const std::pair<const char*, bool> flags[] = {{"tie_word_embeddings", true},
                                                {"scale_attn_weights", true},
                                                {"scale_attn_by_inverse_layer_idx", false},
                                                {"add_cross_attention", false}};
  for (const auto& [key, wanted] : flags) {
    if (Given(config, key) && config[key] != wanted) {
      return MakeError(Code::kInvalidArgument, "{}: '{}' has to be {} for model_type gpt2", kWhat,
                       key, wanted);
    }
  }
  return Ok();
}

}  // namespace

Result<Gpt2Config> Gpt2Config::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseVariants(config));
  Gpt2Config c;
  TRIBUTARY_ASSIGN(c.layers, Bounded(config, "n_layer", 1, 1024));
  TRIBUTARY_ASSIGN(c.hidden, Bounded(config, "n_embd", 1, 65536));
  TRIBUTARY_ASSIGN(c.heads, Bounded(config, "n_head", 1, 1024));
  TRIBUTARY_ASSIGN(c.positions, Bounded(config, "n_positions", 1, 1 << 20));
  TRIBUTARY_ASSIGN(c.vocabulary, Bounded(config, "vocab_size", 2, 1 << 20));
  if (c.hidden % c.heads != 0) {
    return MakeError(Code::kInvalidArgument, "{}: n_embd {} is not a multiple of n_head {}", kWhat,
                     c.hidden, c.heads);
  }
  c.inner = 4 * c.hidden;
  if (Given(config, "n_inner")) {
    TRIBUTARY_ASSIGN(c.inner, Bounded(config, "n_inner", 1, 1 << 20));
  }
  if (Given(config, "layer_norm_epsilon")) {
    TRIBUTARY_ASSIGN(c.epsilon, GetNumber(config, "layer_norm_epsilon", kWhat));
    if (!(c.epsilon > 0 && c.epsilon < 1)) {
      return MakeError(Code::kInvalidArgument,
                       "{}: 'layer_norm_epsilon' is {}, expected above 0 and below 1", kWhat,
                       c.epsilon);
    }
  }
  if (Given(config, "initializer_range")) {
    TRIBUTARY_ASSIGN(c.initializer_range, GetNumber(config, "initializer_range", kWhat));
    if (!(c.initializer_range > 0 && c.initializer_range <= 1)) {
      return MakeError(Code::kInvalidArgument,
                       "{}: 'initializer_range' is {}, expected above 0 and at most 1", kWhat,
                       c.initializer_range);
    }
  }
  // The end of text is the last id of both GPT-2's vocabulary and the byte tokenizer's.
  c.bos = c.eos = c.vocabulary - 1;
  if (Given(config, "bos_token_id")) {
    TRIBUTARY_ASSIGN(c.bos, Bounded(config, "bos_token_id", 0, c.vocabulary - 1));
  }
  if (Given(config, "eos_token_id")) {
    TRIBUTARY_ASSIGN(c.eos, Bounded(config, "eos_token_id", 0, c.vocabulary - 1));
  }
  const std::int64_t per_layer = 4 * c.hidden * c.hidden + 2 * c.hidden * c.inner;
  if (per_layer * c.layers + (c.vocabulary + c.positions) * c.hidden > kMaxParameters) {
    return MakeError(Code::kInvalidArgument, "{}: a model of more than {} parameters is refused",
                     kWhat, kMaxParameters);
  }
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
  json["bos_token_id"] = bos;
  json["eos_token_id"] = eos;
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
