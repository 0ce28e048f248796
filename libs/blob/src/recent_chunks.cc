#include "recent_chunks.h"

#include <algorithm>
#include <cstring>

namespace tributary::blob {

RecentChunks::Entry* RecentChunks::SetOf(std::uint64_t object, const digest::Sha256& sha256) {
  std::uint64_t hash;
  std::memcpy(&hash, sha256.data(), sizeof hash);
  // Objects of equal chunks, as the updates of one round may be, spread over other sets each.
  hash += object * 0x9E3779B97F4A7C15u;
  return entries_.data() + (hash >> 32) % kSets * kWays;
}

RecentChunks::Entry* RecentChunks::Lookup(std::uint64_t object, const digest::Sha256& sha256) {
  if (entries_.empty()) return nullptr;
  Entry* const set = SetOf(object, sha256);
  Entry* const at =
      std::find_if(set, set + kWays, [&](const Entry& entry) { return entry.object == object && entry.sha256 == sha256; });
  return at == set + kWays ? nullptr : at;
}

void RecentChunks::Remember(std::uint64_t object, const digest::Sha256& sha256, std::uint64_t location) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) entries_.resize(kSets * kWays);
  Entry* const set = SetOf(object, sha256);
  Entry* at = Lookup(object, sha256);
  if (at == nullptr) at = set + kWays - 1;  // the oldest goes
  std::rotate(set, at, at + 1);
  *set = {object, sha256, location};
}

void RecentChunks::Forget(std::uint64_t object, const digest::Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  if (Entry* const at = Lookup(object, sha256)) *at = Entry();
}

std::optional<std::uint64_t> RecentChunks::Find(std::uint64_t object, const digest::Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  const Entry* const at = Lookup(object, sha256);
  if (at == nullptr) return std::nullopt;
  return at->location;
}

}  // namespace tributary::blob
