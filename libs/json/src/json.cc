#include "tributary/json/json.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace tributary {

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  // The parser recurses by depth: bound it before, counting brackets outside strings.
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > 64) return MakeError(Code::kInvalidArgument, "{}: JSON nested deeper than 64", what);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  try {
    return Json::parse(text);
  } catch (const Json::exception& e) {
    return MakeError(Code::kInvalidArgument, "{}: not valid JSON: {}", what, e.what());
  }
}

Result<Json> ReadJsonFile(const std::string& path, std::uint64_t max_bytes) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(path, ec);
  if (ec) return ErrnoError(ec.value(), path);
  if (size > max_bytes) {
    return MakeError(Code::kInvalidArgument, "{}: {} bytes is more than a JSON file may have ({})", path,
                     size, max_bytes);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, path);
  std::ostringstream text;
  text << in.rdbuf();
  return ParseJson(text.str(), path);
}

Status WriteJsonFile(const std::string& path, const OrderedJson& value) {
  const std::string temporary = path + ".tmp";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << value.dump(2, ' ', false, OrderedJson::error_handler_t::replace) << '\n';
    out.flush();
    if (!out) return ErrnoError(errno != 0 ? errno : EIO, "writing " + temporary);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "renaming " + temporary);
  return Ok();
}

namespace {
Result<const Json*> Find(const Json& object, const std::string& key, std::string_view what) {
  if (!object.is_object()) return MakeError(Code::kInvalidArgument, "{}: expected an object", what);
  const auto it = object.find(key);
  if (it == object.end()) return MakeError(Code::kInvalidArgument, "{}: '{}' is missing", what, key);
  return &*it;
}
}  // namespace

Result<std::int64_t> GetInt(const Json& object, const std::string& key, std::string_view what) {
  TRIBUTARY_ASSIGN(const Json* value, Find(object, key, what));
  if (!value->is_number_integer()) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is not an integer", what, key);
  }
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is too large", what, key);
  }
  return value->get<std::int64_t>();
}

Result<double> GetNumber(const Json& object, const std::string& key, std::string_view what) {
  TRIBUTARY_ASSIGN(const Json* value, Find(object, key, what));
  if (!value->is_number()) return MakeError(Code::kInvalidArgument, "{}: '{}' is not a number", what, key);
  return value->get<double>();
}

Result<std::string> GetString(const Json& object, const std::string& key, std::string_view what) {
  TRIBUTARY_ASSIGN(const Json* value, Find(object, key, what));
  if (!value->is_string()) return MakeError(Code::kInvalidArgument, "{}: '{}' is not a string", what, key);
  return value->get<std::string>();
}

}  // namespace tributary
