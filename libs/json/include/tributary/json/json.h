// JSON, behind one library: nlohmann-json with its exceptions kept inside.
//
// Parse never throws; the typed getters (GetInt, GetString ...) answer with an error that names the
// key instead of throwing. Whoever uses Json directly must check types before converting.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// `what` names the text in errors ("config.json"). Depth is limited to 64.
Result<Json> ParseJson(std::string_view text, std::string_view what);
Result<Json> ReadJsonFile(const std::string& path, std::uint64_t max_bytes = 64u << 20);
// Writes to PATH.tmp, then renames: a reader sees the old file or the new one.
Status WriteJsonFile(const std::string& path, const OrderedJson& value);

Result<std::int64_t> GetInt(const Json& object, const std::string& key, std::string_view what);
Result<double> GetNumber(const Json& object, const std::string& key, std::string_view what);
Result<std::string> GetString(const Json& object, const std::string& key, std::string_view what);

}  // namespace tributary
