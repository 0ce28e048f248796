// Byte-pair encoding of one piece of text: the vocabulary and the merges, without the files they
// come from and without what is done to text before.
//
// Two kinds. Byte-level: a token is raw bytes (out of GPT-2's printable alphabet) and every byte
// is a symbol. By character: a token is UTF-8 and every character is a symbol; one that the
// vocabulary lacks becomes its bytes' tokens <0x00> to <0xFF> (byte_fallback), else the unknown
// token, else nothing. Ownership: owns its tables. Threads: Encode may be called from several, each
// with its own cache and scratch. Failures: only Make fails.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merge_table.h"
#include "token_table.h"
#include "tributary/base/result.h"
#include "word_cache.h"

namespace tributary::text {

struct BpeTables {
  std::vector<std::string> tokens;  // by id; what is no token of the model is empty
  std::vector<std::pair<std::string, std::string>> merges;  // best first
  bool byte_level = true;
  bool byte_fallback = false;
  bool fuse_unknown = false;
  bool ignore_merges = false;  // a piece that is a token is that token, whatever merges say
  std::int32_t unknown = -1;
  // Not given by ignore_merges: a special token's spelling in text is text.
  std::vector<bool> special;  // by id
};

class Bpe {
 public:
  // `what` names the tables in errors.
  static Result<std::unique_ptr<Bpe>> Make(BpeTables tables, const std::string& what);

  // What Encode needs and may use again; one for each thread.
  struct Scratch {
    WordCache* cache = nullptr;
    std::vector<std::int32_t> ids;
    std::vector<std::uint32_t> ranks;
    std::vector<std::int32_t> next;
    std::vector<std::int32_t> previous;
    std::vector<std::uint64_t> heap;
  };
  // Appends the ids of a piece. REQUIRES: valid UTF-8 of less than 2 GiB.
  void Encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

  const TokenTable& tokens() const { return tokens_; }

 private:
  enum Whole : std::uint8_t { kNotAsked, kWhole, kInParts };

  Bpe(BpeTables tables, const std::vector<Merge>& merges);
  void ReadSymbols();
  void FindJoints(const std::vector<Merge>& merges);
  bool Joint(char32_t left, char32_t right) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& out) const;
  void AppendSymbols(std::string_view word, std::vector<std::int32_t>& ids) const;
  std::size_t MergeShort(Scratch& scratch) const;
  void MergeLong(Scratch& scratch) const;

  bool byte_level_;
  bool byte_fallback_ = false;
  bool fuse_unknown_;
  bool ignore_merges_;
  bool cut_ = false;  // pieces may be cut where no merge crosses
  std::int32_t unknown_;
  std::vector<bool> special_;
  TokenTable tokens_;
  MergeTable merges_;
  std::array<std::int32_t, 256> symbols_{};    // of bytes, or of ASCII characters
  std::array<std::int32_t, 256> fallbacks_{};  // <0x00> to <0xFF>
  // Pairs of characters that stand side by side within some merged token.
  std::array<std::uint64_t, 256> ascii_joints_{};  // 128 x 128 bits
  std::vector<std::uint64_t> other_joints_;        // open addressing; kNoJoint is free
  // Whether merging a token's own bytes gives that one token: found out at its first use.
  std::unique_ptr<std::atomic<std::uint8_t>[]> whole_;
};

}  // namespace tributary::text
