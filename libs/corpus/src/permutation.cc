#include "permutation.h"

#include <numeric>

#include "shuffle.h"

namespace tributary::corpus {

Permutation::Permutation(std::uint64_t n, std::uint64_t seed) : n_(n) {
  if (n <= kListed) {
    listed_.resize(n);
    std::iota(listed_.begin(), listed_.end(), 0u);
    SplitMix64 random(seed);
    Shuffle(listed_, random);
    return;
  }
  SplitMix64 random(seed);
  for (std::uint64_t& key : keys_) key = random.Next();
  while (half_bits_ < 32 && (1ull << (2 * half_bits_)) < n) ++half_bits_;
}

std::uint64_t Permutation::Walk(std::uint64_t i) const {
  const std::uint64_t mask = (1ull << half_bits_) - 1;
  do {
    std::uint64_t left = i >> half_bits_;
    std::uint64_t right = i & mask;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t mixed = left ^ (SplitMix64(key ^ right).Next() & mask);
      left = right;
      right = mixed;
    }
    i = left << half_bits_ | right;
  } while (i >= n_);
  return i;
}

}  // namespace tributary::corpus
