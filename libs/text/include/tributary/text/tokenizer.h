// Text <-> token ids: raw bytes, or GPT-2's byte-level byte-pair encoding.
//
// Any text encodes, and a byte tokenizer's Decode gives the same bytes back. BPE reads its input as
// UTF-8, puts U+FFFD where it is invalid, and drops bytes that its vocabulary lacks. Text is data:
// a special token's spelling inside it ("<|endoftext|>") is encoded like any other text, never as
// the special id. Ownership: a tokenizer owns its tables and nothing else. Threads: immutable after
// it is made, all methods may be called from several threads. Failures: files that are absent,
// broken or of another kind give an error that names file, place and what was expected. Ids are
// dense: [0, VocabularySize()).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::text {

constexpr std::uint32_t kMaxVocabulary = 1u << 20;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual Result<std::vector<std::int32_t>> Encode(std::string_view text) const = 0;
  // The bytes that the ids stand for; may begin or end inside a character (see CompleteUtf8Prefix).
  // Ids outside the vocabulary and the end of text give nothing.
  virtual std::string DecodeBytes(std::span<const std::int32_t> ids) const = 0;
  virtual std::uint32_t VocabularySize() const = 0;
  // The id that separates texts, or -1.
  virtual std::int32_t EndOfText() const = 0;

  // DecodeBytes with U+FFFD for what is not UTF-8.
  std::string Decode(std::span<const std::int32_t> ids) const;
};

// Id b is byte b; id 256 is the end of text. Needs no file.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

// An empty path: bytes. A directory: its tokenizer.json, else vocab.json + merges.txt, else
// encoder.json + vocab.bpe. A file: a tokenizer.json.
Result<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& path);

}  // namespace tributary::text
