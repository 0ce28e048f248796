// A seeded permutation of [0, n) in bounded memory.
//
// Up to kListed items it is a list that Fisher and Yates shuffled, uniform over all permutations
// (4 bytes an item, 4 MiB at most). Above, each value is computed when it is asked for: a Feistel
// network over the next power of four, walked until it lands below n; no list, at a tenth of a
// microsecond a value. Both are the same on every machine. Immutable after it is made; any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace tributary::corpus {

class Permutation {
 public:
  static constexpr std::uint64_t kListed = 1u << 20;

  Permutation() = default;
  Permutation(std::uint64_t n, std::uint64_t seed);

  std::uint64_t size() const { return n_; }
  // REQUIRES: i < size()
  std::uint64_t operator[](std::uint64_t i) const { return listed_.empty() ? Walk(i) : listed_[i]; }

 private:
  std::uint64_t Walk(std::uint64_t i) const;

  std::uint64_t n_ = 0;
  std::vector<std::uint32_t> listed_;
  std::uint64_t keys_[6] = {};
  unsigned half_bits_ = 0;
};

}  // namespace tributary::corpus
