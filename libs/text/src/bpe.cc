#include "bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "unicode_classes.h"

namespace tributary::text {
namespace {

// Above this many symbols a heap beats looking for the best pair anew after each merge.
constexpr std::size_t kShortSymbols = 96;
constexpr std::uint64_t kNoJoint = ~std::uint64_t{0};

std::uint64_t JointKey(char32_t left, char32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | right;
}
std::size_t JointPlace(std::uint64_t key, std::size_t size) {
  return MixBits(key, 0x9E3779B97F4A7C15u) & (size - 1);
}
bool IsAsciiWordPart(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Result<std::vector<Merge>> MergesById(const BpeTables& tables, const std::string& what) {
  const TokenTable ids(tables.tokens);
  std::vector<Merge> merges;
  merges.reserve(tables.merges.size());
  for (const auto& [left, right] : tables.merges) {
    const Merge merge{ids.Find(left), ids.Find(right), static_cast<std::uint32_t>(merges.size()),
                      ids.Find(left + right)};
    if (merge.left < 0 || merge.right < 0 || merge.id < 0) {
      return MakeError(Code::kInvalidArgument,
                       "{}: merge {} joins tokens that the vocabulary does not have; the files "
                       "belong to different tokenizers or are cut short",
                       what, merges.size() + 1);
    }
    merges.push_back(merge);
  }
  return merges;
}

}  // namespace

Result<std::unique_ptr<Bpe>> Bpe::Make(BpeTables tables, const std::string& what) {
  TRIBUTARY_ASSIGN(const std::vector<Merge> merges, MergesById(tables, what));
  std::unique_ptr<Bpe> bpe(new Bpe(std::move(tables), merges));
  if (!bpe->byte_level_) return bpe;
  bool all = true;
  for (int byte = 0; byte < 256; ++byte) {
    // Some published vocabularies lack control bytes and bytes that UTF-8 never has; those are
    // dropped, as the reference does. Without printable ASCII it is no byte-level vocabulary.
    all = all && bpe->symbols_[byte] >= 0;
    if (bpe->symbols_[byte] < 0 && byte >= ' ' && byte <= '~') {
      return MakeError(Code::kInvalidArgument,
                       "{}: the vocabulary has no token for byte 0x{:02x}; a byte-level vocabulary "
                       "has one for each",
                       what, byte);
    }
  }
  if (bpe->byte_fallback_ && !all) {
    return MakeError(Code::kInvalidArgument,
                     "{}: model.byte_fallback is not supported for a byte-level vocabulary that "
                     "lacks bytes",
                     what);
  }
  return bpe;
}

Bpe::Bpe(BpeTables tables, const std::vector<Merge>& merges)
    : byte_level_(tables.byte_level),
      byte_fallback_(tables.byte_fallback),
      fuse_unknown_(tables.fuse_unknown),
      ignore_merges_(tables.ignore_merges),
      unknown_(tables.unknown),
      special_(std::move(tables.special)),
      tokens_(tables.tokens),
      merges_(merges),
      whole_(new std::atomic<std::uint8_t>[tables.tokens.size()]) {
  special_.resize(tables.tokens.size());
  for (std::size_t id = 0; id < tables.tokens.size(); ++id) whole_[id] = kNotAsked;
  ReadSymbols();
  if (!byte_level_) FindJoints(merges);
}

void Bpe::ReadSymbols() {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    symbols_[byte] = byte_level_ || byte < 0x80 ? tokens_.Find({&c, 1}) : -1;
    fallbacks_[byte] = tokens_.Find(fmt::format("<0x{:02X}>", byte));
  }
}

// A piece without spaces cut out of it may be a whole book (Llama 2 has no pre-tokenizer). No merge
// crosses a place whose two characters stand side by side in no merged token, so the text may be
// cut there, and words repeat where books do not.
void Bpe::FindJoints(const std::vector<Merge>& merges) {
  const auto is_fallback = [&](std::int32_t id) {
    return std::find(fallbacks_.begin(), fallbacks_.end(), id) != fallbacks_.end();
  };
  const bool every_byte = byte_fallback_ && std::all_of(fallbacks_.begin(), fallbacks_.end(),
                                                        [](auto id) { return id >= 0; });
  // Unknown characters may be fused across any place, and a whole piece may be a token.
  if ((unknown_ >= 0 && !every_byte) || ignore_merges_) return;
  std::vector<bool> merged(tokens_.size());
  std::vector<std::uint64_t> pairs;
  for (const Merge& merge : merges) {
    // Tokens of lone bytes do not spell the characters that they come from.
    if (merge.left == unknown_ || merge.right == unknown_ || is_fallback(merge.left) ||
        is_fallback(merge.right)) {
      return;
    }
    if (merged[merge.id]) continue;
    merged[merge.id] = true;
    const std::string_view bytes = tokens_.Bytes(merge.id);
    char32_t left = DecodeUtf8(bytes.data());
    for (std::size_t i = Utf8Length(bytes[0]); i < bytes.size(); i += Utf8Length(bytes[i])) {
      const char32_t right = DecodeUtf8(bytes.data() + i);
      if (left < 128 && right < 128) {
        ascii_joints_[left * 2 + right / 64] |= std::uint64_t{1} << right % 64;
      } else {
        pairs.push_back(JointKey(left, right));
      }
      left = right;
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  other_joints_.assign(std::bit_ceil(2 * pairs.size() + 2), kNoJoint);
  for (const std::uint64_t key : pairs) {
    std::size_t at = JointPlace(key, other_joints_.size());
    while (other_joints_[at] != kNoJoint) at = (at + 1) & (other_joints_.size() - 1);
    other_joints_[at] = key;
  }
  cut_ = true;
}

bool Bpe::Joint(char32_t left, char32_t right) const {
  if (left < 128 && right < 128) {
    // Cutting inside words would only make more of them.
    return (IsAsciiWordPart(left) && IsAsciiWordPart(right)) ||
           (ascii_joints_[left * 2 + right / 64] >> right % 64 & 1) != 0;
  }
  const std::uint64_t key = JointKey(left, right);
  for (std::size_t at = JointPlace(key, other_joints_.size());;
       at = (at + 1) & (other_joints_.size() - 1)) {
    if (other_joints_[at] == key) return true;
    if (other_joints_[at] == kNoJoint) return false;
  }
}

void Bpe::Encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  if (!cut_) return EncodeWord(piece, scratch, out);
  std::size_t begin = 0;
  char32_t left = 0;
  for (std::size_t i = 0; i < piece.size();) {
    const char32_t right = DecodeUtf8(piece.data() + i);
    if (i > begin && !Joint(left, right)) {
      EncodeWord(piece.substr(begin, i - begin), scratch, out);
      begin = i;
    }
    left = right;
    i += Utf8Length(piece[i]);
  }
  EncodeWord(piece.substr(begin), scratch, out);
}

void Bpe::EncodeWord(std::string_view word, Scratch& scratch,
                     std::vector<std::int32_t>& out) const {
  if (word.empty()) return;
  const std::uint64_t hash = HashBytes(word);
  const bool cached = word.size() <= WordCache::kMaxBytes && scratch.cache != nullptr;
  if (cached) {
    const auto known = scratch.cache->Find(word, hash);
    if (!known.empty()) {
      out.insert(out.end(), known.begin(), known.end());
      return;
    }
  }
  const std::int32_t token = tokens_.Find(word, hash);
  if (token >= 0) {
    if ((ignore_merges_ && !special_[token]) ||
        whole_[token].load(std::memory_order_relaxed) == kWhole) {
      out.push_back(token);
      if (cached) scratch.cache->Keep(word, hash, {&token, 1});
      return;
    }
  }
  scratch.ids.clear();
  AppendSymbols(word, scratch.ids);
  const std::size_t begin = out.size();
  if (scratch.ids.size() <= kShortSymbols) {
    const std::size_t count = MergeShort(scratch);
    out.insert(out.end(), scratch.ids.begin(),
               scratch.ids.begin() + static_cast<std::ptrdiff_t>(count));
  } else {
    MergeLong(scratch);
    for (std::int32_t i = 0; i >= 0; i = scratch.next[i]) out.push_back(scratch.ids[i]);
  }
  if (token >= 0) {
    const bool whole = out.size() == begin + 1 && out[begin] == token;
    whole_[token].store(whole ? kWhole : kInParts, std::memory_order_relaxed);
  }
  if (cached) scratch.cache->Keep(word, hash, std::span(out).subspan(begin));
}

void Bpe::AppendSymbols(std::string_view word, std::vector<std::int32_t>& ids) const {
  bool unknown = false;  // one is owed: put down before the next token of the vocabulary
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t length = byte_level_ ? 1 : Utf8Length(word[i]);
    const std::string_view symbol = word.substr(i, length);
    i += length;
    const auto first = static_cast<std::uint8_t>(symbol[0]);
    const std::int32_t id = length == 1 ? symbols_[first] : tokens_.Find(symbol);
    if (id >= 0) {
      if (unknown) ids.push_back(unknown_);
      unknown = false;
      ids.push_back(id);
      continue;
    }
    if (byte_fallback_ && std::all_of(symbol.begin(), symbol.end(), [&](char c) {
          return fallbacks_[static_cast<std::uint8_t>(c)] >= 0;
        })) {
      // An unknown that is owed stays owed: so does the reference, and it comes out behind these.
      for (const char c : symbol) ids.push_back(fallbacks_[static_cast<std::uint8_t>(c)]);
      continue;
    }
    if (unknown_ < 0) continue;
    if (unknown && !fuse_unknown_) ids.push_back(unknown_);
    unknown = true;
  }
  if (unknown) ids.push_back(unknown_);
}

// Merges scratch.ids in place and returns how many are left.
std::size_t Bpe::MergeShort(Scratch& scratch) const {
  std::size_t count = scratch.ids.size();
  if (count < 2) return count;
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // ranks[i]: of the pair that begins at i
  ranks.resize(count);
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = merges_.Find(ids[i], ids[i + 1]).rank;
  while (count > 1) {
    const auto end = ranks.begin() + static_cast<std::ptrdiff_t>(count) - 1;
    const auto best = std::min_element(ranks.begin(), end);
    if (*best == kNoRank) break;
    const auto i = static_cast<std::size_t>(best - ranks.begin());
    ids[i] = merges_.Find(ids[i], ids[i + 1]).id;
    std::copy(ids.begin() + i + 2, ids.begin() + count, ids.begin() + i + 1);
    std::copy(ranks.begin() + i + 1, ranks.begin() + count - 1, ranks.begin() + i);
    --count;
    if (i > 0) ranks[i - 1] = merges_.Find(ids[i - 1], ids[i]).rank;
    if (i + 1 < count) ranks[i] = merges_.Find(ids[i], ids[i + 1]).rank;
  }
  return count;
}

// The same by a heap: a piece without spaces, however long, costs n log n. What is left is the list
// from symbol 0 on through scratch.next.
void Bpe::MergeLong(Scratch& scratch) const {
  auto& [cache, ids, ranks, next, previous, heap] = scratch;
  const auto count = static_cast<std::int32_t>(ids.size());
  ranks.assign(ids.size(), kNoRank);
  next.resize(ids.size());
  previous.resize(ids.size());
  heap.clear();
  const auto later = std::greater<std::uint64_t>();
  // The best rank first, of equal ones the leftmost.
  const auto key = [&](std::int32_t i) {
    return static_cast<std::uint64_t>(ranks[i]) << 32 | static_cast<std::uint32_t>(i);
  };
  for (std::int32_t i = 0; i < count; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1 < count ? i + 1 : -1;
    if (next[i] < 0) break;
    ranks[i] = merges_.Find(ids[i], ids[i + 1]).rank;
    if (ranks[i] != kNoRank) heap.push_back(key(i));
  }
  std::make_heap(heap.begin(), heap.end(), later);
  const auto offer = [&](std::int32_t i) {
    ranks[i] = next[i] < 0 ? kNoRank : merges_.Find(ids[i], ids[next[i]]).rank;
    if (ranks[i] == kNoRank) return;
    heap.push_back(key(i));
    std::push_heap(heap.begin(), heap.end(), later);
  };
  while (!heap.empty()) {
    const std::uint64_t top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), later);
    heap.pop_back();
    const auto left = static_cast<std::int32_t>(top & 0xFFFFFFFFu);
    // A rank names one pair: another rank, and the pair is no longer there.
    if (ranks[left] != top >> 32) continue;
    const std::int32_t right = next[left];
    ids[left] = merges_.Find(ids[left], ids[right]).id;
    next[left] = next[right];
    ranks[right] = kNoRank;
    if (next[left] >= 0) previous[next[left]] = left;
    if (previous[left] >= 0) offer(previous[left]);
    offer(left);
  }
}

}  // namespace tributary::text
