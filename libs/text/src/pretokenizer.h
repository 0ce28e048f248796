// Cuts text into the pieces that byte-pair merges may not cross.
//
// Immutable after Make; Split may be called from several threads. Failures: Make on an expression
// that is not supported, Split where an expression needs more steps than it may take.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "expression.h"
#include "scanner.h"
#include "tributary/base/result.h"

namespace tributary::text {

struct SplitStep {
  enum Kind {
    kWords,        // pieces of `pattern`
    kExpression,   // each match of `expression` is a piece, and each text between
    kDigits,       // each digit is a piece
    kDigitRuns,    // each run of digits is a piece
    kPrefixSpace,  // a space is put before what does not begin with one
    kMetaspace     // spaces become `mark`; pieces begin with it where `split` is set
  } kind;
  WordPattern pattern = WordPattern::kGpt2;
  std::string expression = {};
  std::string mark = {};
  enum Prepend { kNever, kFirst, kAlways } prepend = kNever;
  bool split = true;
};

class PieceSink {
 public:
  virtual void Take(std::string_view piece) = 0;

 protected:
  ~PieceSink() = default;
};

// Where a text stands in what is encoded.
struct Place {
  bool first = true;       // at its very beginning
  bool continues = false;  // which goes on from an earlier text: nothing is put before it
};

class Pretokenizer {
 public:
  static Result<std::unique_ptr<Pretokenizer>> Make(std::vector<SplitStep> steps);
  // Gives `sink` each piece in order; they are valid until the next. REQUIRES: valid UTF-8.
  Status Split(std::string_view utf8, const Place& place, PieceSink& sink) const;

 private:
  Status Run(std::size_t step, std::string_view text, const Place& place, PieceSink& sink) const;
  Status Digits(std::size_t step, std::string_view text, const Place& place, PieceSink& sink) const;
  Status Metaspace(std::size_t step, std::string_view text, const Place& place,
                   PieceSink& sink) const;

  std::vector<SplitStep> steps_;
  std::vector<std::unique_ptr<Regex>> expressions_;  // by step; null where there is none
};

}  // namespace tributary::text
