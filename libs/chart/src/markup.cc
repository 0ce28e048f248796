#include "tributary/chart/markup.h"

#include <fmt/core.h>

#include <cstdint>

namespace tributary::chart {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes of the well-formed UTF-8 character that `text` begins with; 0: there is none. Overlong forms, surrogates and what is above U+10FFFF are none.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned least = first == 0xE0 ? 0xA0 : 0x80, most = first == 0xED ? 0x9F : 0xBF;
    return byte(1) >= least && byte(1) <= most && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned least = first == 0xF0 ? 0x90 : 0x80, most = first == 0xF4 ? 0x8F : 0xBF;
    return byte(1) >= least && byte(1) <= most && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// Calls plain(character) for each; what may not stand in a document comes as U+FFFD.
template <class F>
void ForEachCharacter(std::string_view text, F&& plain) {
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool control = length == 1 && (first < 0x20 || first == 0x7F) && first != '\n' && first != '\t';
    plain(length == 0 || control ? kReplacement : text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

}  // namespace

std::string Escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  ForEachCharacter(text, [&](std::string_view character) {
    if (character == "<") out += "&lt;";
    else if (character == ">") out += "&gt;";
    else if (character == "&") out += "&amp;";
    else if (character == "\"") out += "&quot;";
    else if (character == "'") out += "&#39;";
    else out += character;
  });
  return out;
}

std::string JsonText(std::string_view text) {
  std::string out = "\"";
  ForEachCharacter(text, [&](std::string_view character) {
    const char first = character.front();
    if (first == '"' || first == '\\' || first == '<' || first == '>' || first == '&' || first == '\n' || first == '\t') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(first));
    } else {
      out += character;
    }
  });
  return out + "\"";
}

std::string Coordinate(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace tributary::chart
