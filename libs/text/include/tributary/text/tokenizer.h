// Text <-> token ids: raw bytes, or byte-pair encoding as Hugging Face's tokenizers do it.
//
// Any text encodes. BPE reads its input as UTF-8 and puts U+FFFD where it is invalid; what its
// vocabulary lacks becomes byte tokens, the unknown token or nothing, as the files say. Text is
// data: unless EncodeOptions says otherwise, a special token's spelling inside it
// ("<|endoftext|>") is encoded like any other text, never as the special id. Ownership: a tokenizer
// owns its tables and a few caches of bounded size. Threads: all methods may be called from several
// threads; what one call leaves in a cache never changes what another returns. Failures: files that
// are absent, broken or of another kind give an error that names file, place and what was expected;
// Encode fails on more than 1 GiB at once and where a file's own regular expression gives up. Ids
// are dense: [0, VocabularySize()). docs/tokenizers.md tells what is supported.
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

// The defaults are those for text from strangers that becomes training data.
struct EncodeOptions {
  // What the files put around a text: <s> in front, </s> behind.
  bool add_special_tokens = false;
  // A special token's spelling becomes its id. With this, ids are those of the reference's encode;
  // without it, those of its encode with encode_special_tokens set.
  bool parse_special_tokens = false;
  // The text goes on from one that was encoded before: no space is put before it.
  bool continues = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual Result<std::vector<std::int32_t>> Encode(std::string_view text,
                                                   const EncodeOptions& options) const = 0;
  Result<std::vector<std::int32_t>> Encode(std::string_view text) const { return Encode(text, {}); }

  // The bytes that the ids stand for; may begin or end inside a character (see CompleteUtf8Prefix).
  // Special ids and ids outside the vocabulary give nothing. `continues`: they follow others that
  // are not special, so a space in front belongs to the text (SentencePiece's way drops a text's
  // first).
  virtual std::string DecodeBytes(std::span<const std::int32_t> ids, bool continues) const = 0;
  std::string DecodeBytes(std::span<const std::int32_t> ids) const {
    return DecodeBytes(ids, false);
  }
  // The whole text, with U+FFFD for what is not UTF-8.
  virtual std::string Decode(std::span<const std::int32_t> ids) const;

  virtual std::uint32_t VocabularySize() const = 0;
  // The id that separates texts, or -1: <|endoftext|> and its like, else the end of a sequence.
  virtual std::int32_t EndOfText() const = 0;
  // Begin and end of a sequence and what fills up batches, where the files beside the vocabulary
  // (tokenizer_config.json, special_tokens_map.json, config.json) name them; else -1.
  virtual std::int32_t Bos() const { return -1; }
  virtual std::int32_t Eos() const { return -1; }
  virtual std::int32_t Pad() const { return -1; }
  virtual bool IsSpecial(std::int32_t id) const = 0;
  // The id of an added token's spelling, or of the token with these bytes; -1: there is none.
  virtual std::int32_t TokenId(std::string_view content) const = 0;
};

// Id b is byte b; id 256 is the end of text. Needs no file.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

// An empty path: bytes. A directory: its tokenizer.json, else vocab.json + merges.txt, else
// encoder.json + vocab.bpe. A file: a tokenizer.json.
Result<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& path);

}  // namespace tributary::text
