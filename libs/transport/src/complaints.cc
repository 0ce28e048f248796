#include "complaints.h"

#include <utility>

namespace tributary::transport {

std::optional<std::uint64_t> Complaints::Count(Entry& entry, TimePoint now) {
  if (now - entry.logged < kEvery) {
    ++entry.hidden;
    return std::nullopt;
  }
  entry.logged = now;
  return std::exchange(entry.hidden, 0);
}

void Complaints::Forget(TimePoint now) {
  std::uint64_t hidden = 0;
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (now - it->second.logged < kEvery) {
      ++it;
    } else {
      hidden += it->second.hidden;
      it = peers_.erase(it);
    }
  }
  if (hidden == 0) return;
  if (!others_) others_ = Entry{now - kEvery, 0};
  others_->hidden += hidden;
}

std::optional<std::uint64_t> Complaints::Admit(const std::string& peer, TimePoint now) {
  if (const auto known = peers_.find(peer); known != peers_.end()) return Count(known->second, now);
  if (peers_.size() >= kMaxPeers) Forget(now);
  if (peers_.size() < kMaxPeers) {
    peers_[peer] = {now, 0};
    return 0;
  }
  if (!others_) others_ = Entry{now - kEvery, 0};
  return Count(*others_, now);
}

}  // namespace tributary::transport
