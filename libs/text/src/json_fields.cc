#include "json_fields.h"

namespace tributary::text {

JsonPlace JsonPlace::At(std::size_t i) const {
  return {value[i], fmt::format("{}[{}]", name, i)};
}

JsonPlace JsonPlace::Member(const std::string& key) const {
  static const Json kNull;
  const std::string place = name.ends_with(": ") ? name + key : name + "." + key;
  if (!value.is_object()) return {kNull, place};
  const auto found = value.find(key);
  return {found == value.end() ? kNull : *found, place};
}

std::string JsonPlace::Type() const {
  if (value.is_null()) return "none";
  const Json& type = Member("type").value;
  return type.is_string() ? type.get<std::string>().substr(0, 60) : "unknown";
}

Result<bool> JsonPlace::Flag(const std::string& key, bool otherwise) const {
  const JsonPlace member = Member(key);
  if (member.value.is_null()) return otherwise;
  if (!member.value.is_boolean())
    return MakeError(Code::kInvalidArgument, "{} is neither true nor false", member.name);
  return member.value.get<bool>();
}

Result<std::string> JsonPlace::Text(const std::string& key) const {
  const JsonPlace member = Member(key);
  if (!member.value.is_string())
    return MakeError(Code::kInvalidArgument, "{} is missing or no text", member.name);
  return member.value.get<std::string>();
}

Error NotSupported(const JsonPlace& place, std::string_view remedy) {
  return MakeError(Code::kInvalidArgument, "{} '{}' is not supported; {}", place.name, place.Type(),
                   remedy);
}

}  // namespace tributary::text
