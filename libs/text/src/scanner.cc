#include "scanner.h"

#include <array>
#include <utility>

#include "unicode_classes.h"

namespace tributary::text {
namespace {

constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::uint8_t kWordClasses = kLetter | kNumber | kSpace;

struct Character {
  std::uint8_t mask;    // of kLetter, kNumber, kSpace
  std::uint8_t length;  // bytes
};

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text), classes_(ClassTable::Get()) {}

  Character At(std::size_t i) const {
    const auto byte = static_cast<std::uint8_t>(text_[i]);
    if (byte < 0x80) return {static_cast<std::uint8_t>(classes_.OfAscii(byte) & kWordClasses), 1};
    return {static_cast<std::uint8_t>(classes_.Of(DecodeUtf8(text_.data() + i)) & kWordClasses),
            static_cast<std::uint8_t>(Utf8Length(text_[i]))};
  }

  // The end of the run of characters whose mask is `mask`, from `i` on.
  std::size_t Run(std::size_t i, std::uint8_t mask) const {
    while (i < text_.size()) {
      const Character c = At(i);
      if (c.mask != mask) break;
      i += c.length;
    }
    return i;
  }

  // \s+(?!\S)|\s+ : all but the last space where something follows, so that it can go with that.
  std::size_t Spaces() const {
    std::size_t last = 0;
    std::size_t i = 0;
    while (i < text_.size()) {
      const Character c = At(i);
      if (c.mask != kSpace) return last > 0 ? last : i;
      last = i;
      i += c.length;
    }
    return i;
  }

 private:
  std::string_view text_;
  const ClassTable& classes_;
};

// 's 't 're 've 'm 'll 'd at the front; 0 if none is there.
std::size_t Contraction(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  switch (text[1]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return text.size() > 2 && text[2] == 'e' ? 3 : 0;
    case 'l':
      return text.size() > 2 && text[2] == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

std::size_t AnyCaseContraction(std::string_view text) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  // U+017F, the long s, is an s in any case.
  if (text.substr(1, 2) == "\xC5\xBF") return 3;
  std::array<char, 3> lower{};
  const std::size_t length = text.size() < 3 ? text.size() : 3;
  for (std::size_t i = 0; i < length; ++i) {
    lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
  }
  return Contraction({lower.data(), length});
}

std::size_t Gpt2Length(std::string_view text) {
  if (text[0] == '\'') {
    if (const std::size_t length = Contraction(text)) return length;
  }
  const Cursor cursor(text);
  const std::size_t begin = text[0] == ' ' ? 1 : 0;
  if (begin == text.size()) return begin;
  const Character first = cursor.At(begin);
  if (first.mask == kSpace) return cursor.Spaces();
  return cursor.Run(begin + first.length, first.mask);
}

bool IsLineEnd(char c) {
  return c == '\r' || c == '\n';
}

// \s*[\r\n]+|\s+(?!\S)|\s+
std::size_t SpacesAndLineEnds(const Cursor& cursor, std::string_view text) {
  const std::string_view run = text.substr(0, cursor.Run(0, kSpace));
  const std::size_t line_end = run.find_last_of("\r\n");
  return line_end != std::string_view::npos ? line_end + 1 : cursor.Spaces();
}

std::size_t Llama3Length(std::string_view text, int max_digits) {
  if (text[0] == '\'') {
    if (const std::size_t length = AnyCaseContraction(text)) return length;
  }
  const Cursor cursor(text);
  const Character first = cursor.At(0);
  std::size_t next = first.length;
  if (first.mask == kLetter) return cursor.Run(next, kLetter);
  if (first.mask == kNumber) {
    for (int digits = 1; digits < max_digits && next < text.size(); ++digits) {
      const Character c = cursor.At(next);
      if (c.mask != kNumber) break;
      next += c.length;
    }
    return next;
  }
  const bool more = next < text.size();
  const Character second = more ? cursor.At(next) : Character{kSpace, 0};
  if (second.mask == kLetter && !IsLineEnd(text[0])) {
    return cursor.Run(next + second.length, kLetter);
  }
  std::size_t rest = 0;
  if (first.mask == 0) {
    rest = next;
  } else if (text[0] == ' ' && more && second.mask == 0) {
    rest = next + second.length;
  } else {
    return SpacesAndLineEnds(cursor, text);
  }
  rest = cursor.Run(rest, 0);
  while (rest < text.size() && IsLineEnd(text[rest])) ++rest;
  return rest;
}

}  // namespace

bool KnownPattern(std::string_view expression, WordPattern* pattern) {
  for (const auto& [known, name] : {std::pair(kGpt2Expression, WordPattern::kGpt2),
                                    std::pair(kLlama3Expression, WordPattern::kLlama3),
                                    std::pair(kQwen2Expression, WordPattern::kQwen2)}) {
    if (expression != known) continue;
    *pattern = name;
    return true;
  }
  return false;
}

std::size_t PieceLength(WordPattern pattern, std::string_view text) {
  switch (pattern) {
    case WordPattern::kGpt2:
      return Gpt2Length(text);
    case WordPattern::kLlama3:
      return Llama3Length(text, 3);
    case WordPattern::kQwen2:
      return Llama3Length(text, 1);
  }
  return text.size();
}

}  // namespace tributary::text
