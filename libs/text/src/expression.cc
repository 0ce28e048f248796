#include "expression.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

namespace tributary::text {
namespace {

constexpr std::size_t kMaxExpressionBytes = 4096;
// Steps of one match; published expressions take a few for each character of a word.
constexpr std::uint32_t kMaxMatchSteps = 1'000'000;

// Unicode White_Space: PCRE2's own \s also takes U+180E, which the reference does not.
constexpr std::string_view kSpaces =
    "\\t-\\r "
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

Error Refuse(const std::string& expression, std::size_t at, std::string_view what) {
  return MakeError(Code::kInvalidArgument,
                   "{} at {} of the regular expression is not supported, '{}'", what, at,
                   expression.substr(0, 100));
}

// The expression in PCRE2's words; refuses what Oniguruma means otherwise.
class Translator {
 public:
  explicit Translator(const std::string& expression) : in_(expression) {}

  Result<std::string> Run() {
    if (in_.size() > kMaxExpressionBytes) {
      return MakeError(Code::kInvalidArgument,
                       "a regular expression of {} bytes; at most {} are possible", in_.size(),
                       kMaxExpressionBytes);
    }
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        TRIBUTARY_TRY(Escape());
      } else if (c == '[') {
        TRIBUTARY_TRY(OpenBracket());
      } else if (c == ']') {
        in_set_ = false;
        Copy(1);
      } else if (c == '&' && in_set_ && Next() == '&') {
        return Refuse(in_, at_, "&& within a set");
      } else if ((c == '^' || c == '$' || c == '#') && !in_set_) {
        return Refuse(in_, at_, "an anchor or comment");
      } else if (c == '(' && !in_set_) {
        TRIBUTARY_TRY(OpenGroup());
      } else if (c == '}' && !in_set_ && Next() == '+') {
        return Refuse(in_, at_, "'+' behind a counted repetition");
      } else {
        Copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  char Next() const { return at_ + 1 < in_.size() ? in_[at_ + 1] : '\0'; }
  void Copy(std::size_t length) {
    out_.append(in_, at_, length);
    at_ += length;
  }

  Status Escape() {
    const char c = Next();
    if (c == 's' || (c == 'S' && !in_set_)) {
      if (in_set_) {
        out_ += kSpaces;
      } else {
        out_.append(c == 's' ? "[" : "[^").append(kSpaces).append("]");
      }
      at_ += 2;
      return Ok();
    }
    if (c == 'p' || c == 'P') {
      const std::size_t end = in_.find('}', at_);
      if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{' || end == std::string::npos)
        return Refuse(in_, at_, "a property without braces");
      for (std::size_t i = at_ + 3; i < end; ++i) {
        const bool letter = (in_[i] >= 'a' && in_[i] <= 'z') || (in_[i] >= 'A' && in_[i] <= 'Z');
        if (!letter) return Refuse(in_, at_, "this name of a property");
      }
      Copy(end + 1 - at_);
      return Ok();
    }
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == '\0' || static_cast<std::uint8_t>(c) >= 0x80 ||
        (word && c != 'r' && c != 'n' && c != 't' && c != 'd')) {
      return Refuse(in_, at_, "this escape");
    }
    Copy(2);
    return Ok();
  }

  Status OpenBracket() {
    if (in_set_) return Refuse(in_, at_, "a set within a set");
    in_set_ = true;
    Copy(Next() == '^' ? 2 : 1);
    if (at_ < in_.size() && in_[at_] == ']') return Refuse(in_, at_, "']' first in a set");
    return Ok();
  }

  Status OpenGroup() {
    for (const std::string_view known : {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (in_.compare(at_, known.size(), known) != 0) continue;
      Copy(known.size());
      return Ok();
    }
    if (Next() == '?' || Next() == '*') return Refuse(in_, at_, "this kind of group");
    Copy(1);
    return Ok();
  }

  const std::string& in_;
  std::size_t at_ = 0;
  bool in_set_ = false;
  std::string out_;
};

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};
struct ContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using CodePtr = std::unique_ptr<pcre2_code, CodeDeleter>;
using ContextPtr = std::unique_ptr<pcre2_match_context, ContextDeleter>;

std::string Pcre2Message(int number) {
  PCRE2_UCHAR text[256] = {0};
  pcre2_get_error_message(number, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

class Pcre2Regex final : public Regex {
 public:
  Pcre2Regex(CodePtr code, ContextPtr context)
      : code_(std::move(code)), context_(std::move(context)) {}

  Status Split(std::string_view text,
               const std::function<void(std::string_view)>& piece) const override {
    const std::unique_ptr<pcre2_match_data, MatchDeleter> match(
        pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (match == nullptr) return MakeError(Code::kResourceExhausted, "no memory for PCRE2");
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    std::size_t at = 0;
    while (at < text.size()) {
      // The caller made the text valid; checking it at every match would make this quadratic.
      constexpr std::uint32_t kOptions = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
      int found =
          pcre2_match(code_.get(), subject, text.size(), at, kOptions, match.get(), context_.get());
      if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(code_.get(), subject, text.size(), at, kOptions | PCRE2_NO_JIT,
                            match.get(), context_.get());
      }
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return MakeError(Code::kInvalidArgument,
                         "the tokenizer's regular expression gave up on the text at byte {}: {}",
                         at, Pcre2Message(found));
      }
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
      if (range[0] > at) piece(text.substr(at, range[0] - at));
      piece(text.substr(range[0], range[1] - range[0]));
      at = range[1];
    }
    if (at < text.size()) piece(text.substr(at));
    return Ok();
  }

 private:
  CodePtr code_;
  ContextPtr context_;
};

}  // namespace

Result<std::unique_ptr<Regex>> Regex::Make(const std::string& expression) {
  TRIBUTARY_ASSIGN(const std::string pattern, Translator(expression).Run());
  int number = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP, &number, &offset, nullptr));
  if (code == nullptr) {
    return MakeError(Code::kInvalidArgument, "the regular expression '{}' is refused: {}",
                     expression.substr(0, 100), Pcre2Message(number));
  }
  std::uint32_t may_be_empty = 0;
  pcre2_pattern_info(code.get(), PCRE2_INFO_MATCHEMPTY, &may_be_empty);
  if (may_be_empty != 0) {
    return MakeError(Code::kInvalidArgument,
                     "the regular expression '{}' is not supported: it can match nothing",
                     expression.substr(0, 100));
  }
  // Where PCRE2 has no JIT for the CPU it interprets: slower, the same pieces.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  ContextPtr context(pcre2_match_context_create(nullptr));
  if (context == nullptr) return MakeError(Code::kResourceExhausted, "no memory for PCRE2");
  pcre2_set_match_limit(context.get(), kMaxMatchSteps);
  return std::unique_ptr<Regex>(std::make_unique<Pcre2Regex>(std::move(code), std::move(context)));
}

}  // namespace tributary::text
