// Character classes as the reference tokenizers see them, the same on every platform.
//
// The table is written by tests/golden/unicode_ranges.py. Pure functions on valid UTF-8; any
// thread; they do not fail.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tributary::text {

enum CharacterClass : std::uint8_t {
  kLetter = 1,    // \p{L}
  kNumber = 2,    // \p{N} in regular expressions
  kNumeric = 4,   // a digit to the Digits pre-tokenizer
  kSpace = 8,     // White_Space
  kWordPart = 16  // \w
};

class ClassTable {
 public:
  static const ClassTable& Get();
  // REQUIRES: c < 0x110000
  std::uint8_t Of(char32_t c) const { return blocks_[index_[c >> 8]][c & 0xFF]; }
  std::uint8_t OfAscii(std::uint8_t c) const { return blocks_[0][c]; }

 private:
  ClassTable();
  std::vector<std::array<std::uint8_t, 256>> blocks_;
  std::array<std::uint16_t, 0x1100> index_{};
};

// Bytes of the character that begins with `first`. REQUIRES: valid UTF-8.
inline std::size_t Utf8Length(char first) {
  const auto byte = static_cast<std::uint8_t>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// REQUIRES: at points to a whole character of valid UTF-8.
inline char32_t DecodeUtf8(const char* at) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<std::uint8_t>(at[i])); };
  switch (Utf8Length(at[0])) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
             (byte(3) & 0x3F);
  }
}

// Classes of the first and of the last character; 0 of an empty text.
std::uint8_t FirstClass(std::string_view utf8);
std::uint8_t LastClass(std::string_view utf8);

}  // namespace tributary::text
