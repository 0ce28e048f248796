// Fields of a tokenizer.json, with errors that name file and place.
#pragma once

#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::text {

// A value and where it stands: "tokenizer.json: decoder.decoders[2]".
struct JsonPlace {
  const Json& value;
  std::string name;

  JsonPlace At(std::size_t i) const;               // REQUIRES: an array with element i
  JsonPlace Member(const std::string& key) const;  // null where it is absent
  // The text of "type"; "none" for null, "unknown" for what has no type.
  std::string Type() const;
  Result<bool> Flag(const std::string& key, bool otherwise) const;
  Result<std::string> Text(const std::string& key) const;
};

Error NotSupported(const JsonPlace& place, std::string_view remedy);

}  // namespace tributary::text
