// Which two tokens merge, at what rank, into which: a flat table made once.
//
// Immutable after construction; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace tributary::text {

constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

struct Merge {
  std::int32_t left;
  std::int32_t right;
  std::uint32_t rank = kNoRank;
  std::int32_t id;
};

class MergeTable {
 public:
  // By rank. Of a pair that is named twice the later counts, as in the reference.
  explicit MergeTable(const std::vector<Merge>& merges)
      : slots_(std::bit_ceil(2 * merges.size() + 2), Merge{-1, -1, kNoRank, -1}),
        shift_(64 - std::countr_zero(slots_.size())) {
    for (const Merge& merge : merges) slots_[Place(merge.left, merge.right)] = merge;
  }
  // Its rank is kNoRank where the two do not merge.
  const Merge& Find(std::int32_t left, std::int32_t right) const {
    return slots_[Place(left, right)];
  }

 private:
  // The pair's slot, or the free one where it would be.
  std::size_t Place(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                              static_cast<std::uint32_t>(right);
    std::size_t at = (key ^ key >> 29) * 0x9E3779B97F4A7C15u >> shift_;
    while (slots_[at].rank != kNoRank && (slots_[at].left != left || slots_[at].right != right)) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  std::vector<Merge> slots_;
  int shift_;
};

}  // namespace tributary::text
