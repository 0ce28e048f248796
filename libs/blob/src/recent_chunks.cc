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

bool RecentChunks::Holds(const Entry& entry, std::uint64_t object, const digest::Sha256& sha256) {
  return entry.object == object && std::memcmp(entry.sha256.data(), sha256.data(), entry.sha256.size()) == 0;
}

void RecentChunks::Remember(std::uint64_t object, const digest::Sha256& sha256, std::uint64_t slot) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) entries_.resize(kSets * kWays);
  Entry* const set = SetOf(object, sha256);
  Entry* at = std::find_if(set, set + kWays, [&](const Entry& entry) { return Holds(entry, object, sha256); });
  if (at == set + kWays) --at;  // the oldest goes
  std::rotate(set, at, at + 1);
  set->object = object;
  std::copy_n(sha256.begin(), set->sha256.size(), set->sha256.begin());
  set->slot = slot;
}

void RecentChunks::Forget(std::uint64_t object, const digest::Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return;
  Entry* const set = SetOf(object, sha256);
  Entry* const at = std::find_if(set, set + kWays, [&](const Entry& entry) { return Holds(entry, object, sha256); });
  if (at != set + kWays) *at = Entry();
}

std::optional<std::uint64_t> RecentChunks::Find(std::uint64_t object, const digest::Sha256& sha256) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return std::nullopt;
  Entry* const set = SetOf(object, sha256);
  Entry* const at = std::find_if(set, set + kWays, [&](const Entry& entry) { return Holds(entry, object, sha256); });
  if (at == set + kWays) return std::nullopt;
  const std::uint64_t slot = at->slot;
  std::rotate(set, at, at + 1);
  return slot;
}

}  // namespace tributary::blob
