// A byte-level BPE vocabulary made by hand: the 256 bytes in order, a few merges, the end of text
// last.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libs/base/testing/temp_directory.h"
#include "tributary/json/json.h"
#include "tributary/text/utf8.h"

namespace tributary::text {

inline std::string PrintableByte(int byte) {
  char32_t next = 0x100;
  for (int b = 0; b <= byte; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    const char32_t c = printable ? static_cast<char32_t>(b) : next++;
    if (b == byte) return EncodeUtf8(c);
  }
  return {};
}

inline std::vector<std::pair<std::string, std::string>> TinyMerges() {
  const std::string space = PrintableByte(' ');
  return {{"l", "o"}, {"lo", "w"}, {"e", "r"}, {space, "low"}, {"w", "er"}};
}

// Ids: bytes 0 to 255; 256 "lo", 257 "low", 258 "er", 259 " low", 260 "wer", 261 <|endoftext|>.
inline Json TinyVocabulary() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[PrintableByte(byte)] = byte;
  int id = 256;
  for (const auto& [left, right] : TinyMerges()) vocabulary[left + right] = id++;
  vocabulary["<|endoftext|>"] = id;
  return vocabulary;
}

inline std::string TinyMergeLines() {
  std::string text = "#version: 0.2\n";
  for (const auto& [left, right] : TinyMerges()) text += left + " " + right + "\n";
  return text;
}

inline Json TinyTokenizerJson() {
  Json vocabulary = TinyVocabulary();
  vocabulary.erase("<|endoftext|>");
  Json merges = Json::array();
  for (const auto& [left, right] : TinyMerges()) merges.push_back(left + " " + right);
  return {{"added_tokens", {{{"id", 261}, {"content", "<|endoftext|>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

}  // namespace tributary::text
