#include "sha256_pair.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tributary::digest {

#if defined(__x86_64__)

namespace {

#define TRIBUTARY_SHA __attribute__((target("sha,ssse3,sse4.1")))

constexpr std::size_t kBlock = 64;

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
alignas(64) constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// As the instructions want it: {f, e, b, a} and {h, g, d, c}, lowest word first.
struct State {
  __m128i abef;
  __m128i cdgh;
};

TRIBUTARY_SHA State Begin() {
  return {_mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f, static_cast<int>(0x9b05688c)),
          _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19)};
}

// `blocks` blocks of each of kTexts texts.
template <int kTexts>
TRIBUTARY_SHA void Compress(State (&states)[kTexts], const std::byte* const (&texts)[kTexts], std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (std::size_t block = 0; block < blocks; ++block) {
    __m128i words[kTexts][4];
    State now[kTexts];
    for (int text = 0; text < kTexts; ++text) {
      now[text] = states[text];
      for (int i = 0; i < 4; ++i) {
        const auto* at = reinterpret_cast<const __m128i*>(texts[text] + block * kBlock) + i;
        words[text][i] = _mm_shuffle_epi8(_mm_loadu_si128(at), big_endian);
      }
    }
    // Four rounds a step. The schedule of step + 4 takes the place of this step's words.
#pragma GCC unroll 16
    for (int step = 0; step < 16; ++step) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound) + step);
#pragma GCC unroll 2
      for (int text = 0; text < kTexts; ++text) {
        __m128i(&w)[4] = words[text];
        const __m128i sum = _mm_add_epi32(w[step % 4], constants);
        now[text].cdgh = _mm_sha256rnds2_epu32(now[text].cdgh, now[text].abef, sum);
        now[text].abef = _mm_sha256rnds2_epu32(now[text].abef, now[text].cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (step < 12) {
          __m128i next = _mm_sha256msg1_epu32(w[step % 4], w[(step + 1) % 4]);
          next = _mm_add_epi32(next, _mm_alignr_epi8(w[(step + 3) % 4], w[(step + 2) % 4], 4));
          w[step % 4] = _mm_sha256msg2_epu32(next, w[(step + 3) % 4]);
        }
      }
    }
    for (int text = 0; text < kTexts; ++text) {
      states[text].abef = _mm_add_epi32(states[text].abef, now[text].abef);
      states[text].cdgh = _mm_add_epi32(states[text].cdgh, now[text].cdgh);
    }
  }
}

// The blocks from `done` on, the padding and the length.
TRIBUTARY_SHA Sha256 Finish(const State& begun, std::span<const std::byte> text, std::size_t done) {
  State states[1] = {begun};
  const std::size_t whole = text.size() / kBlock;
  Compress<1>(states, {text.data() + done * kBlock}, whole - done);
  alignas(16) std::byte last[2 * kBlock] = {};
  const std::span<const std::byte> rest = text.subspan(whole * kBlock);
  if (!rest.empty()) std::memcpy(last, rest.data(), rest.size());
  last[rest.size()] = std::byte{0x80};
  const std::size_t blocks = rest.size() + 9 <= kBlock ? 1 : 2;
  const std::uint64_t bits = __builtin_bswap64(static_cast<std::uint64_t>(text.size()) * 8);
  std::memcpy(last + blocks * kBlock - sizeof bits, &bits, sizeof bits);
  Compress<1>(states, {last}, blocks);

  alignas(16) std::uint32_t abef[4];
  alignas(16) std::uint32_t cdgh[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(abef), states[0].abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(cdgh), states[0].cdgh);
  const std::uint32_t words[8] = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
  Sha256 digest;
  for (std::size_t i = 0; i < 8; ++i) {
    const std::uint32_t word = __builtin_bswap32(words[i]);
    std::memcpy(digest.data() + 4 * i, &word, sizeof word);
  }
  return digest;
}

}  // namespace

bool HasShaInstructions() {
  static const bool has = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    return (ebx & bit_SHA) != 0 && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
  }();
  return has;
}

TRIBUTARY_SHA std::array<Sha256, 2> Sha256Pair(std::span<const std::byte> first, std::span<const std::byte> second) {
  State states[2] = {Begin(), Begin()};
  const std::size_t together = std::min(first.size(), second.size()) / kBlock;
  Compress<2>(states, {first.data(), second.data()}, together);
  return {Finish(states[0], first, together), Finish(states[1], second, together)};
}

#else

bool HasShaInstructions() { return false; }
std::array<Sha256, 2> Sha256Pair(std::span<const std::byte> first, std::span<const std::byte> second) {
  return {ComputeSha256(first), ComputeSha256(second)};
}

#endif

}  // namespace tributary::digest
