// Cuts text into the pieces that byte-pair merges may not cross: GPT-2's regular expression.
//
// Immutable after Make; Split may be called from several threads. PCRE2 stays in pretokenizer.cc.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::text {

struct PretokenizerOptions {
  bool split_digits = false;  // each digit a piece of its own before the expression is applied
  bool use_regex = true;      // false: the text is one piece
};

class Pretokenizer {
 public:
  static Result<std::unique_ptr<Pretokenizer>> Make(const PretokenizerOptions& options);
  virtual ~Pretokenizer() = default;
  // Calls `piece` for each piece in order; together they are the whole text. REQUIRES: `utf8` is
  // valid UTF-8.
  virtual Status Split(std::string_view utf8,
                       const std::function<void(std::string_view)>& piece) const = 0;
};

}  // namespace tributary::text
