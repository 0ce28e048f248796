#include "services/blob-store/reads.h"

#include <algorithm>
#include <vector>

#include "services/blob-store/near.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::service {
namespace {

constexpr std::uint64_t kSmallReply = 64_KiB;
constexpr Duration kSlowReply{2'000};
constexpr std::size_t kMaxHints = 1024;

std::uint64_t FirstGuess(wire::Type type) {
  switch (type) {
    case wire::Type::kGetChunk: return tensor::kDefaultChunkBytes;
    case wire::Type::kGetDigests:
    case wire::Type::kGetPage: return wire::kPageDigests * wire::kSlotDigestBytes;
    default: return kSmallReply;
  }
}

// Of a wait for the whole object.
constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};

Error Cancelled() { return Error(Code::kCancelled, "the read was cancelled"); }

}  // namespace

void ReadScheduler::Add(const transport::PeerId& id, ReadClass kind, const std::shared_ptr<Held>& held, ReadRequest request) {
  const auto [it, added] = peers_.try_emplace(id);
  Peer& peer = it->second;
  if (added) {
    peer.held = held;
    peer.kind = kind;
    peer.session = ++sessions_;
    peer.taken = held->taken;
    peer.taking = held->taking;
    peer.taken_at = std::chrono::steady_clock::now();
  }
  auto read = std::make_shared<Read>();
  read->peer = id;
  read->session = peer.session;
  read->expires = std::chrono::steady_clock::now() + request.wait;
  read->request = std::move(request);
  if (peer.outstanding >= max_outstanding_) {
    fail_(*read, MakeError(Code::kProtocol, "this peer has more than {} reads under way", max_outstanding_));
    return;
  }
  read->need = FirstGuess(read->request.type);
  if (read->request.type == wire::Type::kGetChunk) {
    if (const auto hint = chunk_bytes_.find(read->request.object); hint != chunk_bytes_.end()) read->need = hint->second;
  }
  if (read->request.wait.count() > 0) waiters_.emplace(KeyOf(*read), read);
  read->need = std::min(read->need, pool_.budget() - memory::kHeadroom);
  peer.unit = read->need + memory::kHeadroom;
  ++peer.outstanding;
  Enqueue(read);
}

ReadScheduler::Key ReadScheduler::KeyOf(const Read& read) {
  return {read.request.object, read.request.type == wire::Type::kGetChunk ? read.request.slot : kNoSlot};
}

void ReadScheduler::Enqueue(const ReadPtr& read) {
  Peer& peer = peers_.at(read->peer);
  read->state = Read::State::kQueued;
  read->again = false;
  peer.queue.push_back(read);
  if (!peer.in_turn) {
    peer.in_turn = true;
    turns_[static_cast<std::size_t>(peer.kind)].push_back(read->peer);
  }
}

bool ReadScheduler::IsNear(const Peer& peer, std::uint64_t bytes) const {
  if (peer.slow || peer.held->far || (peer.held->network && peer.pace > kNearPace)) return false;
  return peer.held->reply_bytes + peer.queue.size() * bytes <= std::max(kUsualBytes + kUsualChunks * memory::kHeadroom, kUsualChunks * bytes);
}

ReadScheduler::Pass ReadScheduler::Count() const {
  Pass pass;
  std::array<std::uint64_t, kReadClasses> active{};
  std::array<std::uint64_t, kReadClasses> near{};
  for (const auto& [id, peer] : peers_) {
    const auto kind = static_cast<std::size_t>(peer.kind);
    const std::uint64_t used = peer.held->reply_bytes;
    if (peer.queue.empty() && used == 0) continue;
    ++active[kind];
    if (!IsNear(peer, peer.unit)) continue;
    ++near[kind];
    // What comes from a bucket has a bound of its own while it is waited for: a network that hangs must not stop the others.
    pass.near_bytes += used - std::min<std::uint64_t>(used, peer.held->remote_bytes);
  }
  const auto divided = [](const std::array<std::uint64_t, kReadClasses>& peers, std::size_t kind) {
    return ((peers[0] > 0 ? 1 : 0) + (peers[1] > 0 ? 1 : 0)) * peers[kind];
  };
  for (std::size_t kind = 0; kind < kReadClasses; ++kind) {
    // Never all of it, even for a peer that is alone: the next one to come must find room.
    pass.shares[kind] = pool_.budget() / 2 / std::max<std::uint64_t>(divided(active, kind), 2);
    pass.near_peers[kind] = divided(near, kind);
  }
  return pass;
}

std::uint64_t ReadScheduler::SlowBytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, peer] : peers_) bytes += peer.slow ? peer.held->reply_bytes.load() : 0;
  return bytes;
}

bool ReadScheduler::HalfIsFree() const {
  const memory::PoolUse use = pool_.Use();
  return use.used[0] <= use.limit[0] / 2;
}

ReadScheduler::Turn ReadScheduler::TakeTurn(ReadClass kind, Pass& pass) {
  const auto index = static_cast<std::size_t>(kind);
  std::list<transport::PeerId>& turns = turns_[index];
  // Who may not start keeps its place, so that it is the first when it may.
  for (auto turn = turns.begin(); turn != turns.end();) {
    const auto it = peers_.find(*turn);
    if (it == peers_.end() || it->second.queue.empty()) {
      if (it != peers_.end()) it->second.in_turn = false;
      turn = turns.erase(turn);
      continue;
    }
    Peer& peer = it->second;
    ReadPtr read = peer.queue.front();
    const std::uint64_t bytes = read->need + memory::kHeadroom;
    const std::uint64_t used = peer.held->reply_bytes;
    const bool waits = waits_ && !read->request.object.empty() && waits_(read->request.object);
    const bool near = !waits && IsNear(peer, bytes);
    const std::uint64_t part = NearPart(pool_.budget() / 2, bytes);
    // More than a few chunks, for a long line, only from the half of the side that is not kept for the next peers to come.
    std::uint64_t most = HalfIsFree() ? pass.shares[index] : std::min(pass.shares[index], kUsualChunks * bytes);
    if (near) most = std::min(most, NearShare(part, pass.near_peers[index], bytes));
    const bool crowd = peer.slow && SlowBytes() + bytes > pool_.budget() / 4;
    if ((used > 0 && used + bytes > most) || crowd) {
      ++turn;
      continue;
    }
    // A spec or a list is what a peer waits for before it can ask for chunks.
    const bool small = read->request.type != wire::Type::kGetChunk && read->need <= kSmallReply;
    if (near && !small && part < pool_.budget() / 2 && (pass.near_waits || pass.near_bytes + bytes > part)) {
      // Comes back here when memory comes free, and at the tick that finds out who is slow.
      pass.near_waits = true;
      ++turn;
      continue;
    }
    const std::uint64_t waiting = remote_->reply_bytes;
    if (waits && waiting > 0 && waiting + bytes > pool_.budget() / 4) {
      ++turn;
      continue;
    }
    auto reservation = pool_.TryReserve(memory::Side::kRead, bytes);
    if (!reservation) {
      // The next release comes back here.
      short_ = true;
      return Turn::kNoMemory;
    }
    peer.queue.pop_front();
    if (peer.queue.empty()) {
      peer.in_turn = false;
      turns.erase(turn);
    } else {
      turns.splice(turns.end(), turns, turn);
    }
    short_ = false;
    if (near) pass.near_bytes += bytes;
    read->state = Read::State::kRunning;
    ReadGrant grant{*std::move(reservation), Hold(peer.held, &Held::reply_bytes, bytes),
                    waits ? Hold(remote_, &Held::reply_bytes, bytes) : Hold(), waits ? Hold(peer.held, &Held::remote_bytes, bytes) : Hold()};
    start_(std::move(read), std::move(grant));
    return Turn::kStarted;
  }
  return Turn::kBlocked;
}

void ReadScheduler::Schedule() {
  if (turns_[0].empty() && turns_[1].empty()) return;
  Pass pass = Count();
  for (;;) {
    const std::size_t first = next_class_;
    const Turn turn = TakeTurn(static_cast<ReadClass>(first), pass);
    if (turn == Turn::kNoMemory) return;
    if (turn == Turn::kStarted) {
      next_class_ = (first + 1) % kReadClasses;
      continue;
    }
    const std::size_t other = (first + 1) % kReadClasses;
    if (TakeTurn(static_cast<ReadClass>(other), pass) != Turn::kStarted) return;
  }
}

bool ReadScheduler::Pending(const ReadPtr& read) const {
  if (read->state == Read::State::kFinished) return false;
  const auto it = peers_.find(read->peer);
  return it != peers_.end() && it->second.session == read->session;
}

void ReadScheduler::Finish(const ReadPtr& read) {
  read->state = Read::State::kFinished;
  --peers_.at(read->peer).outstanding;
  if (read->request.wait.count() == 0) return;
  auto [first, last] = waiters_.equal_range(KeyOf(*read));
  for (; first != last; ++first) {
    if (first->second == read) {
      waiters_.erase(first);
      return;
    }
  }
}

void ReadScheduler::Finished(const ReadPtr& read) {
  if (!Pending(read)) return;
  if (read->request.type == wire::Type::kGetChunk) {
    if (chunk_bytes_.size() >= kMaxHints) chunk_bytes_.clear();
    chunk_bytes_.insert_or_assign(read->request.object, read->need);
  }
  Finish(read);
}

void ReadScheduler::Failed(const ReadPtr& read, const Error& error) {
  if (!Pending(read)) return;
  Finish(read);
  fail_(*read, error);
}

void ReadScheduler::NeedsMore(const ReadPtr& read, std::uint64_t bytes) {
  if (!Pending(read)) return;
  if (bytes > max_message_ || bytes + memory::kHeadroom > pool_.budget()) {
    Failed(read, MakeError(Code::kResourceExhausted,
                           "the reply about object '{}' has {} bytes and does not fit a message of this store, which has at most {}, and its "
                           "memory budget of {}; raise its --max-message or --memory-budget",
                           read->request.object.str(), bytes, max_message_, pool_.budget()));
    return;
  }
  if (read->cancelled) return Failed(read, Cancelled());
  read->need = bytes;
  Enqueue(read);
}

void ReadScheduler::Absent(const ReadPtr& read, const Error& error) {
  if (!Pending(read)) return;
  if (read->request.wait.count() == 0) {
    Failed(read, error);
  } else if (read->cancelled) {
    Failed(read, Cancelled());
  } else if (read->again) {
    Enqueue(read);
  } else {
    read->state = Read::State::kParked;
  }
}

void ReadScheduler::Wake(Waiters::iterator it) {
  const ReadPtr& read = it->second;
  if (read->state == Read::State::kRunning) {
    read->again = true;
  } else if (read->state == Read::State::kParked) {
    Enqueue(read);
  }
}

void ReadScheduler::SlotChanged(const ObjectName& object, std::uint64_t slot) {
  auto [first, last] = waiters_.equal_range(Key{object, slot});
  for (; first != last; ++first) Wake(first);
}

void ReadScheduler::ObjectChanged(const ObjectName& object) {
  chunk_bytes_.erase(object);
  for (auto it = waiters_.lower_bound(Key{object, 0}); it != waiters_.end() && it->first.first == object; ++it) Wake(it);
}

void ReadScheduler::FailObject(const ObjectName& object, const Error& error, bool all) {
  std::vector<ReadPtr> failed;
  for (auto it = waiters_.lower_bound(Key{object, 0}); it != waiters_.end() && it->first.first == object; ++it) {
    if (it->second->state == Read::State::kParked && (all || !it->second->request.patient)) failed.push_back(it->second);
  }
  for (const ReadPtr& read : failed) Failed(read, error);
}

std::set<ObjectName> ReadScheduler::WaitedFor() const {
  std::set<ObjectName> objects;
  for (const auto& [key, read] : waiters_) {
    if (read->state == Read::State::kParked) objects.insert(key.first);
  }
  return objects;
}

void ReadScheduler::Cancel(const transport::PeerId& id) {
  const auto it = peers_.find(id);
  if (it == peers_.end()) return;
  std::vector<ReadPtr> cancelled(it->second.queue.begin(), it->second.queue.end());
  it->second.queue.clear();
  for (const auto& [key, read] : waiters_) {
    if (read->peer != id) continue;
    if (read->state == Read::State::kParked) cancelled.push_back(read);
    if (read->state == Read::State::kRunning) read->cancelled = true;
  }
  for (const ReadPtr& read : cancelled) Failed(read, Cancelled());
}

void ReadScheduler::Forget(const transport::PeerId& id) {
  const auto it = peers_.find(id);
  if (it == peers_.end()) return;
  for (const ReadPtr& read : it->second.queue) read->state = Read::State::kFinished;
  std::erase_if(waiters_, [&](const auto& waiter) {
    if (waiter.second->peer != id) return false;
    waiter.second->state = Read::State::kFinished;
    return true;
  });
  turns_[static_cast<std::size_t>(it->second.kind)].remove(id);
  peers_.erase(it);
}

void ReadScheduler::Expire(TimePoint now, const std::string& why) {
  std::vector<ReadPtr> expired;
  for (const auto& [key, read] : waiters_) {
    if (read->state == Read::State::kParked && now >= read->expires) expired.push_back(read);
  }
  for (const ReadPtr& read : expired) {
    const std::string what = read->request.type == wire::Type::kGetChunk ? fmt::format("slot {} of object", read->request.slot) : "object";
    Failed(read, MakeError(Code::kDeadline, "{} '{}' did not come within {}{}", what, read->request.object.str(),
                           FormatDuration(read->request.wait), why));
  }
}

std::vector<transport::PeerId> ReadScheduler::Stalled(TimePoint now, Duration limit) {
  std::vector<transport::PeerId> stalled;
  for (auto& [id, peer] : peers_) {
    const std::uint64_t taken = peer.held->taken;
    const bool waits = peer.held->unread > 0;
    if (taken != peer.taken || !waits) {
      // One reply after a long time does not make a peer fast; several at once, or having none to take, does.
      if (taken != peer.taken) {
        peer.slow = (now - peer.taken_at) / (taken - peer.taken) >= kSlowReply;
        const std::uint64_t taking = peer.held->taking;
        peer.pace = std::chrono::microseconds((taking - peer.taking) / (taken - peer.taken));
        peer.taking = taking;
      }
      peer.taken = taken;
      peer.taken_at = now;
    } else {
      peer.slow = peer.slow || now - peer.taken_at >= kSlowReply;
      if (now - peer.taken_at >= limit) stalled.push_back(id);
    }
  }
  return stalled;
}

std::size_t ReadScheduler::parked() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      waiters_, [](const auto& waiter) { return waiter.second->state == Read::State::kParked; }));
}

}  // namespace tributary::service
