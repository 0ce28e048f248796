// Private: which slot of an object had some chunk a short while ago, so that a repetitive object keeps equal chunks once.
//
// A hint: a bounded table that forgets, starts empty, and may be wrong by now. Whoever asks looks at the slot's record before it believes
// the answer. One table of 512 KiB serves all objects of a store, however many there are. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "tributary/digest/digest.h"

namespace tributary::blob {

class RecentChunks {
 public:
  // `object`: a number that no other object of the store has or had.
  void Remember(std::uint64_t object, const digest::Sha256& sha256, std::uint64_t slot);
  // The chunk's place holds other bytes by now.
  void Forget(std::uint64_t object, const digest::Sha256& sha256);
  std::optional<std::uint64_t> Find(std::uint64_t object, const digest::Sha256& sha256);

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 2048;

  struct Entry {
    std::uint64_t object = 0;  // 0: free
    std::array<std::byte, 16> sha256{};  // its first half
    std::uint64_t slot = 0;
  };
  Entry* SetOf(std::uint64_t object, const digest::Sha256& sha256);
  static bool Holds(const Entry& entry, std::uint64_t object, const digest::Sha256& sha256);

  std::mutex mutex_;
  std::vector<Entry> entries_;  // protected by mutex_; made with the first chunk; the latest of a set first
};

}  // namespace tributary::blob
