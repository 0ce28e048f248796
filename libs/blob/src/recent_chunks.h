// Private: where chunks lie that were put a short while ago, so that a repetitive object keeps equal ones once.
//
// A bounded table that forgets and starts empty: what it does not know is stored again. It may know only places that this process wrote
// or read through, and must be told when one is damaged. One table of 460 KB serves all objects of a store, however many there are. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "tributary/digest/digest.h"

namespace tributary::blob {

class RecentChunks {
 public:
  // `object`: a number that no other object of the store has or had.
  void Remember(std::uint64_t object, const digest::Sha256& sha256, std::uint64_t location);
  void Forget(std::uint64_t object, const digest::Sha256& sha256);
  std::optional<std::uint64_t> Find(std::uint64_t object, const digest::Sha256& sha256);

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 1024;

  struct Entry {
    std::uint64_t object = 0;  // 0: free
    digest::Sha256 sha256{};
    std::uint64_t location = 0;
  };
  // The entries that the chunk may have, and its own among them or null. REQUIRES mutex_.
  Entry* SetOf(std::uint64_t object, const digest::Sha256& sha256);
  Entry* Lookup(std::uint64_t object, const digest::Sha256& sha256);

  std::mutex mutex_;
  std::vector<Entry> entries_;  // protected by mutex_; made with the first chunk; the latest of a set first
};

}  // namespace tributary::blob
