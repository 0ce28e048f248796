// Regular expressions that a tokenizer.json brings and scanner.h does not know.
//
// The reference reads them with Oniguruma, here PCRE2 does: what the two read differently is
// refused (\w, \h, anchors, sets within sets ...), \s is spelled out. Immutable after Make; Split
// may be called from several threads. PCRE2 stays in expression.cc. Failures: expressions that are
// refused; texts that would take more steps than a match may have, since files come from strangers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::text {

class Regex {
 public:
  static Result<std::unique_ptr<Regex>> Make(const std::string& expression);
  virtual ~Regex() = default;
  // Calls `piece` for each match and each text between, in order, none of them empty. REQUIRES:
  // valid UTF-8.
  virtual Status Split(std::string_view utf8,
                       const std::function<void(std::string_view)>& piece) const = 0;
};

}  // namespace tributary::text
