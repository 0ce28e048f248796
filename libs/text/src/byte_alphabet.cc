#include "byte_alphabet.h"

#include <array>
#include <cstdint>

namespace tributary::text {
namespace {

// The alphabet lies below U+0180.
using ByteOfCharacter = std::array<std::int16_t, 0x180>;

// Bytes that are printable in Latin-1 stand for themselves, the others are U+0100 upwards in order.
constexpr ByteOfCharacter MakeAlphabet() {
  ByteOfCharacter bytes{};
  bytes.fill(-1);
  std::size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    bytes[printable ? static_cast<std::size_t>(byte) : next++] = static_cast<std::int16_t>(byte);
  }
  return bytes;
}
constexpr ByteOfCharacter kAlphabet = MakeAlphabet();

}  // namespace

std::optional<std::string> BytesOfToken(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::size_t character = static_cast<std::uint8_t>(token[i]);
    if (character >= 0x80) {
      if (character < 0xC2 || character > 0xDF || i + 1 == token.size()) return std::nullopt;
      character = (character & 0x1F) << 6 | (static_cast<std::uint8_t>(token[++i]) & 0x3F);
    }
    if (character >= kAlphabet.size() || kAlphabet[character] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet[character]));
  }
  return bytes;
}

}  // namespace tributary::text
