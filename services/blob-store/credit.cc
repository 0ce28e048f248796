#include "services/blob-store/credit.h"

#include <algorithm>

#include "services/blob-store/near.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/frame.h"

namespace tributary::service {
namespace {

// A wish of no more does not wait for room behind chunks: it is a spec, as a rule, without which its peer sends none.
constexpr std::uint64_t kSmallWish = 16_KiB;
// Who does not use credit for so long sends nothing now, and others may. As for those who need so long for a reply.
constexpr Duration kUnusedFor{2'000};

}  // namespace

Status CreditLedger::Request(const transport::PeerId& peer, std::shared_ptr<Held> held, std::uint64_t id,
                             const wire::CreditRequest& request, TimePoint now) {
  std::uint64_t unit = request.unit;
  const std::uint64_t bytes = request.bytes;
  if (unit == 0) unit = tensor::kDefaultChunkBytes;
  if (unit > max_message_ || unit > pool_.budget()) {
    return MakeError(Code::kResourceExhausted,
                     "payloads of {} bytes do not fit this store: its memory budget is {}, a payload is at most {}; raise the "
                     "store's --memory-budget or lower chunk_bytes",
                     unit, pool_.budget(), max_message_);
  }
  Account& account = peers_[peer];
  account.held = std::move(held);
  account.request_id = id;
  account.wanted = bytes;
  account.unit = unit;
  account.window = request.window;
  // Asking is no use: else a peer keeps what it was granted for ever by asking for more.
  if (account.unspent == 0) account.last_use = now;
  if (bytes == 0) {
    account.unspent = 0;
    account.reserved.clear();
  }
  Enqueue(peer, account);
  return Ok();
}

void CreditLedger::Enqueue(const transport::PeerId& peer, Account& account) {
  if (account.queued || account.wanted == 0) return;
  account.queued = true;
  queue_.push_back(peer);
}

void CreditLedger::Forget(const transport::PeerId& peer) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  if (it->second.queued) queue_.remove(peer);
  peers_.erase(it);
}

std::optional<CreditLedger::Spent> CreditLedger::Spend(const transport::PeerId& peer, std::uint64_t bytes, TimePoint now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || it->second.unspent < bytes || bytes == 0) return std::nullopt;
  Account& account = it->second;
  // Of a peer that has nothing to send yet it is long, too, and what it was granted meanwhile is no memory.
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - std::max(account.granted_at, account.spent_at));
  account.pace = (3 * account.pace + took) / 4;
  account.spent_at = now;
  account.unspent -= bytes;
  account.last_use = now;
  Spent spent{{}, Hold(account.held, &Held::staging_bytes, bytes), Hold(account.held, &Held::puts, 1)};
  for (std::uint64_t left = bytes; left > 0;) {
    memory::Reservation& front = account.reserved.front();
    if (front.bytes() <= left) {
      left -= front.bytes();
      spent.reservations.push_back(std::move(front));
      account.reserved.pop_front();
    } else {
      spent.reservations.push_back(front.Split(left));
      left = 0;
    }
  }
  return spent;
}

std::uint64_t CreditLedger::Unspent(const transport::PeerId& peer) const {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : it->second.unspent;
}

void CreditLedger::Staged(const transport::PeerId& peer, TimePoint now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  it->second.last_use = now;
  Enqueue(peer, it->second);
}

std::uint64_t CreditLedger::Account::Usual() const { return std::max(kUsualBytes, kUsualChunks * unit); }

bool CreditLedger::Account::IsNear() const {
  return !held->far && !(held->network && pace > kNearPace) && window <= Usual();
}

CreditLedger::Pass CreditLedger::Count(TimePoint now) const {
  Pass pass;
  for (const auto& [peer, account] : peers_) {
    const std::uint64_t used = account.InUse();
    if (account.wanted + used == 0) continue;
    ++pass.active;
    if (!account.IsNear()) continue;
    ++pass.near;
    pass.near_bytes += account.unspent > 0 && now - account.last_use >= kUnusedFor ? used - account.unspent : used;
  }
  return pass;
}

std::uint64_t CreditLedger::Window(const Account& account, const Pass& pass) const {
  // Never all of it, even for a peer that is alone.
  std::uint64_t share = pool_.budget() / 2 / std::max<std::uint64_t>(pass.active, 2);
  if (account.IsNear()) share = std::min(share, NearShare(NearPart(pool_.budget() / 2, account.unit), pass.near, account.unit));
  const memory::PoolUse use = pool_.Use();
  // More than a few chunks, for a long line, only from the half of the side that is not kept for the next peers to come.
  const std::uint64_t few = kUsualChunks * account.unit;
  const std::uint64_t wished = use.used[1] <= use.limit[1] / 2 ? std::max(few, account.window) : few;
  return std::max(account.unit, std::min(wished, share / account.unit * account.unit));
}

std::uint64_t CreditLedger::NearRoom(const Account& account, std::uint64_t bytes, const Pass& pass) const {
  if (!account.IsNear() || (account.wanted <= kSmallWish && account.InUse() == 0)) return bytes;
  const std::uint64_t part = NearPart(pool_.budget() / 2, account.unit);
  if (part == pool_.budget() / 2) return bytes;
  if (pass.near_waits) return 0;
  if (pass.near_bytes + bytes <= part) return bytes;
  const std::uint64_t left = part - std::min(part, pass.near_bytes);
  return std::min(bytes, left / account.unit * account.unit);
}

std::optional<memory::Reservation> CreditLedger::Reserve(std::uint64_t bytes, std::uint64_t unit) {
  if (auto all = pool_.TryReserve(memory::Side::kWrite, bytes)) return all;
  if (bytes <= unit) return std::nullopt;
  // In one grant: with one for each of many small chunks the peer's queue of frames overflows.
  const memory::PoolUse use = pool_.Use();
  const std::uint64_t left = std::min(use.limit[1] - std::min(use.limit[1], use.used[1]), use.budget - use.used[0] - use.used[1]);
  const std::uint64_t chunks = std::min(left, bytes) / unit * unit;
  if (chunks > unit && chunks < bytes) {
    if (auto some = pool_.TryReserve(memory::Side::kWrite, chunks)) return some;
  }
  return pool_.TryReserve(memory::Side::kWrite, unit);
}

void CreditLedger::Grant(TimePoint now) {
  if (queue_.empty()) return;
  Pass pass = Count(now);
  for (auto place = queue_.begin(); place != queue_.end();) {
    const transport::PeerId peer = *place;
    Account& account = peers_.at(peer);
    const std::uint64_t window = Window(account, pass);
    const std::uint64_t held = account.InUse();
    // Comes back when it asks again or something of its own is staged.
    if (account.wanted == 0 || held >= window) {
      account.queued = false;
      place = queue_.erase(place);
      continue;
    }
    const std::uint64_t room = std::max(account.unit, (window - held) / account.unit * account.unit);
    const std::uint64_t fits = NearRoom(account, std::min(room, account.wanted), pass);
    if (fits == 0) {
      // Keeps its place; those who are not near go on. Comes back when something is staged or given back, and at each tick.
      pass.near_waits = true;
      ++place;
      continue;
    }
    auto reservation = Reserve(fits, account.unit);
    if (!reservation) return;
    const std::uint64_t bytes = reservation->bytes();
    place = queue_.erase(place);
    account.queued = false;
    account.wanted -= bytes;
    if (account.unspent == 0) account.last_use = account.granted_at = now;
    account.unspent += bytes;
    account.reserved.push_back(*std::move(reservation));
    if (account.IsNear()) pass.near_bytes += bytes;
    send_(peer, account.request_id, bytes);
    Enqueue(peer, account);
  }
}

std::vector<transport::PeerId> CreditLedger::Idle(TimePoint now, Duration limit) const {
  std::vector<transport::PeerId> idle;
  for (const auto& [peer, account] : peers_) {
    // A message of many chunks' bytes is as much longer under way.
    const auto patience = limit * std::max<std::uint64_t>(1, account.unit / wire::kMaxPayload);
    if (account.unspent > 0 && account.held->staging_bytes == 0 && now - account.last_use >= patience) idle.push_back(peer);
  }
  return idle;
}

}  // namespace tributary::service
