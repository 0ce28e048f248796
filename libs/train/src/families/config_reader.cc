#include "families/config_reader.h"

#include <algorithm>
#include <vector>

namespace tributary::train {
namespace {

// 1 TiB of fp32: above that a wrong number is likelier than a model.
constexpr std::int64_t kMaxParameters = std::int64_t{1} << 38;
constexpr std::size_t kMaxTokenIds = 64;
constexpr const char* kTokenKeys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};

bool IsTokenId(const Json& value) {
  return value.is_number_integer() && value.get<double>() >= -1 && value.get<double>() < kMaxVocabulary;
}

}  // namespace

bool Given(const Json& config, const std::string& key) { return config.contains(key) && !config[key].is_null(); }

Result<std::int64_t> Bounded(const Json& config, const std::string& key, std::int64_t low, std::int64_t high) {
  TRIBUTARY_ASSIGN(const std::int64_t value, GetInt(config, key, kConfig));
  if (value < low || value > high) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is {}, expected {} to {}", kConfig, key, value, low, high);
  }
  return value;
}

Result<std::int64_t> BoundedOr(const Json& config, const std::string& key, std::int64_t fallback, std::int64_t low, std::int64_t high) {
  if (!Given(config, key)) return fallback;
  return Bounded(config, key, low, high);
}

Result<double> PositiveOr(const Json& config, const std::string& key, double fallback, double high) {
  if (!Given(config, key)) return fallback;
  TRIBUTARY_ASSIGN(const double value, GetNumber(config, key, kConfig));
  if (!(value > 0 && value <= high)) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is {}, expected above 0 and at most {}", kConfig, key, value, high);
  }
  return value;
}

Result<bool> FlagOr(const Json& config, const std::string& key, bool fallback) {
  if (!Given(config, key)) return fallback;
  if (!config[key].is_boolean()) return MakeError(Code::kInvalidArgument, "{}: '{}' is neither true nor false", kConfig, key);
  return config[key].get<bool>();
}

Status RequireFlag(const Json& config, const std::string& key, bool wanted) {
  TRIBUTARY_ASSIGN(const bool value, FlagOr(config, key, wanted));
  if (value == wanted) return Ok();
  return MakeError(Code::kInvalidArgument, "{}: '{}' {} is not supported; supported: {}", kConfig, key, value, wanted);
}

Result<std::string> ChoiceOr(const Json& config, const std::string& key, const std::string& fallback,
                             std::initializer_list<std::string_view> choices) {
  if (!Given(config, key)) return fallback;
  TRIBUTARY_ASSIGN(std::string value, GetString(config, key, kConfig));
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
  std::string known;
  for (const std::string_view choice : choices) known += (known.empty() ? "" : ", ") + std::string(choice);
  return MakeError(Code::kInvalidArgument, "{}: {} '{}' is not supported; supported: {}", kConfig, key, value, known);
}

Status RequireMultiple(const std::string& whole_key, std::int64_t whole, const std::string& part_key, std::int64_t part) {
  if (whole % part == 0) return Ok();
  return MakeError(Code::kInvalidArgument, "{}: {} {} is not a multiple of {} {}", kConfig, whole_key, whole, part_key, part);
}

Status RefuseForeign(const Json& config) {
  if (Given(config, "quantization_config")) {
    return MakeError(Code::kInvalidArgument,
                     "{}: 'quantization_config' is not supported: weights are read as f32, f16 and bf16, and quantized here where the job "
                     "says so",
                     kConfig);
  }
  if (Given(config, "pruned_heads") && !config["pruned_heads"].empty()) {
    return MakeError(Code::kInvalidArgument, "{}: 'pruned_heads' is not supported", kConfig);
  }
  TRIBUTARY_TRY(RequireFlag(config, "is_encoder_decoder", false));
  return RequireFlag(config, "add_cross_attention", false);
}

Status RefuseHuge(double parameters) {
  if (parameters <= static_cast<double>(kMaxParameters)) return Ok();
  return MakeError(Code::kInvalidArgument, "{}: a model of more than {} parameters is refused", kConfig, kMaxParameters);
}

Result<Json> TokenIds(const Json& config) {
  Json ids = Json::object();
  for (const char* key : kTokenKeys) {
    if (!config.contains(key)) continue;
    const Json& value = config[key];
    const bool list = value.is_array() && !value.empty() && value.size() <= kMaxTokenIds && std::all_of(value.begin(), value.end(), IsTokenId);
    if (!value.is_null() && !list && !IsTokenId(value)) {
      return MakeError(Code::kInvalidArgument, "{}: '{}' is no token id", kConfig, key);
    }
    ids[key] = value;
  }
  return ids;
}

Result<std::int64_t> PaddingIndex(const Json& config, std::int64_t fallback, std::int64_t vocabulary) {
  if (!config.contains("pad_token_id")) return fallback;
  if (config["pad_token_id"].is_null()) return -1;
  // As nn.Embedding, which counts negative ones from the end.
  TRIBUTARY_ASSIGN(const std::int64_t id, Bounded(config, "pad_token_id", -vocabulary, vocabulary - 1));
  return id < 0 ? id + vocabulary : id;
}

void WriteTokenIds(OrderedJson& json, const Json& ids) {
  for (const char* key : kTokenKeys) {
    if (ids.contains(key)) json[key] = ids[key];
  }
}

}  // namespace tributary::train
