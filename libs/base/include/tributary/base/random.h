// Seeded pseudo-random numbers, the same on every machine and library version.
//
// SplitMix64 (Steele, Lea, Flood 2014) for seeds and short sequences. The standard library's
// distributions are not specified bit for bit, so the few that the project needs are here.
#pragma once

#include <cstdint>
#include <string>

namespace tributary {

__extension__ typedef unsigned __int128 Uint128;

class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, 1), 53 bits.
  double NextUnit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // Uniform in [0, bound); REQUIRES bound > 0. Lemire's multiply-shift; the bias is below 2^-32.
  std::uint64_t NextBelow(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<Uint128>(Next()) * bound) >> 64);
  }

 private:
  std::uint64_t state_;
};

// One seed out of several numbers, order matters: MixSeed(job_seed, round, seat).
template <class... Rest>
std::uint64_t MixSeed(std::uint64_t first, Rest... rest) {
  std::uint64_t seed = SplitMix64(first).Next();
  ((seed = SplitMix64(seed ^ (static_cast<std::uint64_t>(rest) + 0x632BE59BD9B4E019ULL)).Next()), ...);
  return seed;
}

// 16 hexadecimal digits from the system's entropy: tells one life of a process from the next.
std::string NewLife();

}  // namespace tributary
