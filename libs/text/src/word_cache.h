// Ids of words met before. Words repeat: looking one up is cheaper than merging it.
//
// A fixed table, one place for each hash: a new word takes the place of an old one, so memory is
// bounded whatever the text. Not for two threads at once; a WordCachePool lends each thread its
// own. What is found is what merging would give, so results do not depend on what came before.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

namespace tributary::text {

class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 24;
  static constexpr std::size_t kMaxIds = 9;

  WordCache() : entries_(kEntries) {}

  // Its ids, or none: not met or forgotten. REQUIRES: word.size() <= kMaxBytes
  std::span<const std::int32_t> Find(std::string_view word, std::uint64_t hash) const {
    const Entry& entry = entries_[hash >> kShift];
    if (entry.size != word.size() || std::memcmp(entry.word.data(), word.data(), word.size()) != 0)
      return {};
    return {entry.ids.data(), entry.count};
  }
  void Keep(std::string_view word, std::uint64_t hash, std::span<const std::int32_t> ids) {
    if (word.empty() || word.size() > kMaxBytes || ids.empty() || ids.size() > kMaxIds) return;
    Entry& entry = entries_[hash >> kShift];
    entry.size = static_cast<std::uint8_t>(word.size());
    entry.count = static_cast<std::uint8_t>(ids.size());
    std::memcpy(entry.word.data(), word.data(), word.size());
    std::memcpy(entry.ids.data(), ids.data(), ids.size_bytes());
  }

 private:
  static constexpr int kShift = 64 - 14;
  static constexpr std::size_t kEntries = std::size_t{1} << 14;  // 1 MiB
  // One cache line.
  struct alignas(64) Entry {
    std::array<std::int32_t, kMaxIds> ids;
    std::array<char, kMaxBytes> word;
    std::uint8_t size = 0;
    std::uint8_t count = 0;
  };
  static_assert(sizeof(Entry) == 64);
  std::vector<Entry> entries_;
};

class WordCachePool {
 public:
  std::unique_ptr<WordCache> Take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto cache = std::move(idle_.back());
        idle_.pop_back();
        return cache;
      }
    }
    return std::make_unique<WordCache>();
  }
  void Return(std::unique_ptr<WordCache> cache) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(cache));
  }

 private:
  static constexpr std::size_t kMaxIdle = 16;
  std::mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> idle_;
};

}  // namespace tributary::text
