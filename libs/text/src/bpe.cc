#include "bpe.h"

#include <array>
#include <queue>
#include <string_view>

#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

struct Merge {
  std::uint32_t rank;
  std::int32_t id;
};

std::uint64_t PairKey(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

// One symbol of a piece under merging; a doubly linked list by index.
struct Symbol {
  std::int32_t id;
  std::int32_t previous;
  std::int32_t next;
};

struct Candidate {
  std::uint32_t rank;
  std::int32_t left;     // index of its left symbol
  std::int32_t left_id;  // to see that neither side has changed since
  std::int32_t right_id;
  std::int32_t merged;
  // The best rank first, of equal ones the leftmost.
  bool operator<(const Candidate& o) const {
    return rank != o.rank ? rank > o.rank : left > o.left;
  }
};

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(BpeTables tables, std::array<std::int32_t, 256> byte_ids,
               std::unordered_map<std::uint64_t, Merge> merges,
               std::unique_ptr<Pretokenizer> pretokenizer)
      : tokens_(std::move(tables.tokens)),
        end_of_text_(tables.end_of_text),
        add_prefix_space_(tables.add_prefix_space),
        byte_ids_(byte_ids),
        merges_(std::move(merges)),
        pretokenizer_(std::move(pretokenizer)) {}

  Result<std::vector<std::int32_t>> Encode(std::string_view text) const override {
    std::string valid = ReplaceInvalidUtf8(text);
    if (add_prefix_space_ && !valid.empty() && valid[0] != ' ') valid.insert(valid.begin(), ' ');
    std::vector<std::int32_t> ids;
    ids.reserve(valid.size() / 3 + 1);
    // Words repeat: remembering the short ones saves most of the merging. It dies with the call, so
    // threads share nothing.
    std::unordered_map<std::string_view, std::pair<std::uint32_t, std::uint32_t>> seen;
    TRIBUTARY_TRY(pretokenizer_->Split(valid, [&](std::string_view piece) {
      const auto known = piece.size() <= kRememberedBytes ? seen.find(piece) : seen.end();
      if (known != seen.end()) {
        const auto [begin, end] = known->second;
        for (std::uint32_t i = begin; i < end; ++i) ids.push_back(ids[i]);
        return;
      }
      const std::size_t begin = ids.size();
      MergePiece(piece, ids);
      if (piece.size() <= kRememberedBytes && seen.size() < kRememberedPieces &&
          ids.size() < UINT32_MAX) {
        seen.emplace(piece, std::pair(static_cast<std::uint32_t>(begin),
                                      static_cast<std::uint32_t>(ids.size())));
      }
    }));
    return ids;
  }

  std::string DecodeBytes(std::span<const std::int32_t> ids) const override {
    std::string out;
    for (const std::int32_t id : ids) {
      if (id >= 0 && static_cast<std::size_t>(id) < tokens_.size()) out += tokens_[id];
    }
    return out;
  }

  std::uint32_t VocabularySize() const override {
    return static_cast<std::uint32_t>(tokens_.size());
  }
  std::int32_t EndOfText() const override { return end_of_text_; }

 private:
  static constexpr std::size_t kRememberedBytes = 64;
  static constexpr std::size_t kRememberedPieces = 1u << 16;

  // Best merge first by a heap: a piece without spaces, however long, costs n log n.
  void MergePiece(std::string_view piece, std::vector<std::int32_t>& ids) const {
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    for (const char c : piece) {
      const std::int32_t id = byte_ids_[static_cast<std::uint8_t>(c)];
      if (id < 0) continue;
      const auto index = static_cast<std::int32_t>(symbols.size());
      symbols.push_back({id, index - 1, index + 1});
    }
    if (symbols.empty()) return;
    symbols.back().next = -1;
    const auto count = static_cast<std::int32_t>(symbols.size());
    std::priority_queue<Candidate> candidates;
    const auto offer = [&](std::int32_t left) {
      if (left < 0 || symbols[left].next < 0) return;
      const std::int32_t left_id = symbols[left].id;
      const std::int32_t right_id = symbols[symbols[left].next].id;
      const auto merge = merges_.find(PairKey(left_id, right_id));
      if (merge == merges_.end()) return;
      candidates.push({merge->second.rank, left, left_id, right_id, merge->second.id});
    };
    for (std::int32_t i = 0; i + 1 < count; ++i) offer(i);
    while (!candidates.empty()) {
      const Candidate best = candidates.top();
      candidates.pop();
      Symbol& left = symbols[best.left];
      if (left.id != best.left_id || left.next < 0 || symbols[left.next].id != best.right_id)
        continue;
      Symbol& right = symbols[left.next];
      left.id = best.merged;
      left.next = right.next;
      right.id = kGone;
      if (left.next >= 0) symbols[left.next].previous = best.left;
      offer(left.previous);
      offer(best.left);
    }
    for (std::int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
  }

  static constexpr std::int32_t kGone = -1;

  std::vector<std::string> tokens_;
  std::int32_t end_of_text_;
  bool add_prefix_space_;
  std::array<std::int32_t, 256> byte_ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::unique_ptr<Pretokenizer> pretokenizer_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(BpeTables tables, const std::string& what) {
  std::unordered_map<std::string, std::int32_t> ids;
  ids.reserve(tables.tokens.size());
  for (std::size_t i = 0; i < tables.tokens.size(); ++i) {
    if (!tables.tokens[i].empty()) ids.emplace(tables.tokens[i], static_cast<std::int32_t>(i));
  }
  std::array<std::int32_t, 256> byte_ids{};
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(std::string(1, static_cast<char>(byte)));
    // Some published vocabularies lack control bytes and bytes that UTF-8 never has; those are
    // dropped, as the reference does. Without printable ASCII it is no byte-level vocabulary.
    if (found == ids.end() && byte >= ' ' && byte <= '~') {
      return MakeError(Code::kInvalidArgument,
                       "{}: the vocabulary has no token for byte 0x{:02x}; a byte-level vocabulary "
                       "has one for each",
                       what, byte);
    }
    byte_ids[byte] = found == ids.end() ? -1 : found->second;
  }
  std::unordered_map<std::uint64_t, Merge> merges;
  merges.reserve(tables.merges.size());
  for (std::size_t rank = 0; rank < tables.merges.size(); ++rank) {
    const auto& [left, right] = tables.merges[rank];
    const auto left_id = ids.find(left);
    const auto right_id = ids.find(right);
    const auto merged = ids.find(left + right);
    if (left_id == ids.end() || right_id == ids.end() || merged == ids.end()) {
      return MakeError(Code::kInvalidArgument,
                       "{}: merge {} joins tokens that the vocabulary does not have; the files "
                       "belong to different "
                       "tokenizers or are cut short",
                       what, rank + 1);
    }
    merges.emplace(PairKey(left_id->second, right_id->second),
                   Merge{static_cast<std::uint32_t>(rank), merged->second});
  }
  TRIBUTARY_ASSIGN(auto pretokenizer, Pretokenizer::Make(tables.pretokenizer));
  return std::unique_ptr<Tokenizer>(std::make_unique<BpeTokenizer>(
      std::move(tables), byte_ids, std::move(merges), std::move(pretokenizer)));
}

}  // namespace tributary::text
