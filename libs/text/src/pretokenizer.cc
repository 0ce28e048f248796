#include "pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

namespace tributary::text {
namespace {

// Unicode White_Space, spelled out: PCRE2's own \s also takes U+180E, which the reference does not.
#define SPACE \
  "\\t-\\r "  \
  "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
constexpr const char* kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE
                              "\\p{L}\\p{N}]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+";
#undef SPACE
constexpr const char* kDigit = "\\p{N}";

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};
using CodePtr = std::unique_ptr<pcre2_code, CodeDeleter>;
using MatchPtr = std::unique_ptr<pcre2_match_data, MatchDeleter>;

std::string Pcre2Message(int number) {
  PCRE2_UCHAR text[256] = {0};
  pcre2_get_error_message(number, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

Result<CodePtr> Compile(const char* pattern) {
  int number = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                             PCRE2_UTF | PCRE2_UCP, &number, &offset, nullptr));
  if (code == nullptr) {
    return MakeError(Code::kInternal, "PCRE2 refuses the tokenizer's expression at {}: {}", offset,
                     Pcre2Message(number));
  }
  // Where PCRE2 has no JIT for the CPU it interprets: slower, the same pieces.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

class Pcre2Pretokenizer final : public Pretokenizer {
 public:
  Pcre2Pretokenizer(CodePtr words, CodePtr digits)
      : words_(std::move(words)), digits_(std::move(digits)) {}

  Status Split(std::string_view utf8,
               const std::function<void(std::string_view)>& piece) const override {
    if (digits_ == nullptr) return SplitWords(utf8, piece);
    Status inner;
    const auto words = [&](std::string_view part) {
      if (inner.ok() && !part.empty()) inner = SplitWords(part, piece);
    };
    TRIBUTARY_TRY(EachMatch(*digits_, utf8, words, words));
    return inner;
  }

 private:
  Status SplitWords(std::string_view utf8,
                    const std::function<void(std::string_view)>& piece) const {
    if (words_ == nullptr) {
      if (!utf8.empty()) piece(utf8);
      return Ok();
    }
    return EachMatch(*words_, utf8, piece, [&](std::string_view gap) {
      if (!gap.empty()) piece(gap);
    });
  }

  static Status EachMatch(const pcre2_code& code, std::string_view text,
                          const std::function<void(std::string_view)>& matched,
                          const std::function<void(std::string_view)>& between) {
    const MatchPtr match(pcre2_match_data_create_from_pattern(&code, nullptr));
    if (match == nullptr) return MakeError(Code::kResourceExhausted, "no memory for PCRE2");
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    std::size_t at = 0;
    while (at < text.size()) {
      // The caller made the text valid; checking it again at every match would make this quadratic.
      int found =
          pcre2_match(&code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
      if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(&code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                            match.get(), nullptr);
      }
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return MakeError(Code::kInternal, "PCRE2 gave up on the text at byte {}: {}", at,
                         Pcre2Message(found));
      }
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
      between(text.substr(at, range[0] - at));
      matched(text.substr(range[0], range[1] - range[0]));
      at = range[1];
    }
    between(text.substr(at));
    return Ok();
  }

  CodePtr words_;
  CodePtr digits_;
};

}  // namespace

Result<std::unique_ptr<Pretokenizer>> Pretokenizer::Make(const PretokenizerOptions& options) {
  CodePtr words;
  CodePtr digits;
  if (options.use_regex) {
    TRIBUTARY_ASSIGN(words, Compile(kGpt2));
  }
  if (options.split_digits) {
    TRIBUTARY_ASSIGN(digits, Compile(kDigit));
  }
  return std::unique_ptr<Pretokenizer>(
      std::make_unique<Pcre2Pretokenizer>(std::move(words), std::move(digits)));
}

}  // namespace tributary::text
