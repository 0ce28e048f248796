// Byte-level byte-pair encoding: the merges, without the files they come from.
//
// A vocabulary entry here is the raw bytes of a token, already out of GPT-2's printable alphabet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pretokenizer.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {

struct BpeTables {
  std::vector<std::string> tokens;                          // by id; specials and holes are empty
  std::vector<std::pair<std::string, std::string>> merges;  // raw bytes, best first
  std::int32_t end_of_text = -1;
  bool add_prefix_space = false;
  PretokenizerOptions pretokenizer;
};

// `what` names the tables in errors.
Result<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(BpeTables tables, const std::string& what);

}  // namespace tributary::text
