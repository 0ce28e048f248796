// What the families share in reading a config.json: each value is checked before it is used, each error names its key.
//
// A config.json is a stranger's text. Absent keys (or null) are Hugging Face's defaults where they say how to compute, and errors
// where they say how large; keys that ask for what a family does not compute are refused by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

inline constexpr std::string_view kConfig = "config.json";
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxHeads = 1024;
inline constexpr std::int64_t kMaxWidth = 65536;
inline constexpr std::int64_t kMaxInner = 1 << 20;
inline constexpr std::int64_t kMaxPositions = 1 << 20;
inline constexpr std::int64_t kMaxVocabulary = 1 << 20;
inline constexpr double kInitializerRange = 0.02;

bool Given(const Json& config, const std::string& key);
// low to high, both included.
Result<std::int64_t> Bounded(const Json& config, const std::string& key, std::int64_t low, std::int64_t high);
Result<std::int64_t> BoundedOr(const Json& config, const std::string& key, std::int64_t fallback, std::int64_t low, std::int64_t high);
// Above 0 and at most `high`.
Result<double> PositiveOr(const Json& config, const std::string& key, double fallback, double high);
Result<bool> FlagOr(const Json& config, const std::string& key, bool fallback);
// The flag is `wanted` or absent.
Status RequireFlag(const Json& config, const std::string& key, bool wanted);
Result<std::string> ChoiceOr(const Json& config, const std::string& key, const std::string& fallback,
                             std::initializer_list<std::string_view> choices);
// `whole` is a multiple of `part`.
Status RequireMultiple(const std::string& whole_key, std::int64_t whole, const std::string& part_key, std::int64_t part);
// Weights that are stored quantized, encoders, pruned heads, cross attention: what no family computes.
Status RefuseForeign(const Json& config);
Status RefuseHuge(double parameters);

// bos_token_id, eos_token_id, pad_token_id as they stand, where they are a number, a list of numbers or null: they say nothing of
// how to compute and are written again as they were.
Result<Json> TokenIds(const Json& config);
// The row of the embedding that is not trained as input, as nn.Embedding's padding_idx; -1: none.
Result<std::int64_t> PaddingIndex(const Json& config, std::int64_t fallback, std::int64_t vocabulary);
// The keys of `ids` behind those of `json`.
void WriteTokenIds(OrderedJson& json, const Json& ids);

}  // namespace tributary::train
