// From the bytes of a token to its id: a flat table made once.
//
// Immutable after construction; any thread. Find does not fail: -1 where no token has the bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::text {

inline std::uint64_t MixBits(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Spreads well over tables; no defence against chosen collisions, which only cost time.
inline std::uint64_t HashBytes(std::string_view bytes) {
  constexpr std::uint64_t kSeed = 0x9E3779B97F4A7C15u;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = kSeed ^ left;
  const auto load = [](const char* from, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, size);
    return word;
  };
  for (; left > 8; p += 8, left -= 8) hash = MixBits(hash ^ load(p, 8), 0xA0761D6478BD642Fu);
  // The tail in two loads that may overlap: a memcpy of unknown size would be a call.
  std::uint64_t tail = 0;
  if (left == 8) {
    tail = load(p, 8);
  } else if (left >= 4) {
    tail = load(p, 4) << 32 | load(p + left - 4, 4);
  } else if (left > 0) {
    tail = load(p, 1) << 16 | load(p + left / 2, 1) << 8 | load(p + left - 1, 1);
  }
  return MixBits(hash ^ tail, 0xE7037ED1A0B428DBu);
}

class TokenTable {
 public:
  // Tokens by id; empty ones are not found. Of two that are the same the first is.
  explicit TokenTable(const std::vector<std::string>& tokens);

  std::int32_t Find(std::string_view bytes) const { return Find(bytes, HashBytes(bytes)); }
  std::int32_t Find(std::string_view bytes, std::uint64_t hash) const {
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::uint64_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.id < 0) return -1;
      if (slot.tag == tag && Bytes(slot.id) == bytes) return slot.id;
    }
  }
  std::string_view Bytes(std::int32_t id) const {
    const auto i = static_cast<std::size_t>(id);
    return {bytes_.data() + begins_[i], begins_[i + 1] - begins_[i]};
  }
  std::size_t size() const { return begins_.size() - 1; }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = -1;
  };
  std::string bytes_;
  std::vector<std::uint32_t> begins_;
  std::vector<Slot> slots_;
  std::uint64_t mask_;
};

}  // namespace tributary::text
