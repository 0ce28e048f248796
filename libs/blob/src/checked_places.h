// Private: places of a data file that one pass over an object found good, so that those which slots share are read once and not again
// for every slot. Bounded: it forgets. One owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "space.h"
#include "tributary/digest/digest.h"

namespace tributary::blob {

class CheckedPlaces {
 public:
  bool Has(std::uint64_t location, const digest::Sha256& sha256) const {
    if (entries_.empty()) return false;
    const Entry& entry = entries_[IndexOf(location)];
    return entry.used && entry.location == location && entry.sha256 == sha256;
  }
  void Add(std::uint64_t location, const digest::Sha256& sha256) {
    if (entries_.empty()) entries_.resize(kEntries);
    entries_[IndexOf(location)] = {true, location, sha256};
  }

 private:
  static constexpr std::size_t kEntries = 2048;
  struct Entry {
    bool used = false;
    std::uint64_t location = 0;
    digest::Sha256 sha256{};
  };
  // Chunks of 1 MiB lie as far apart as chunks of 4 KiB do not: a mixed number spreads both.
  static std::size_t IndexOf(std::uint64_t location) {
    return static_cast<std::size_t>((location / kDiskBlock * 0x9E3779B97F4A7C15u) >> 40) % kEntries;
  }

  std::vector<Entry> entries_;
};

}  // namespace tributary::blob
