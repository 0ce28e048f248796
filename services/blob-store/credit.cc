#include "services/blob-store/credit.h"

#include <algorithm>

#include "tributary/tensor/layout.h"
#include "tributary/wire/frame.h"

namespace tributary::service {
namespace {

constexpr std::uint64_t kWindowChunks = 8;

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

std::optional<CreditLedger::Spent> CreditLedger::Spend(const transport::PeerId& peer, std::uint64_t bytes, TimePoint now) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || it->second.unspent < bytes || bytes == 0) return std::nullopt;
  Account& account = it->second;
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

std::uint64_t CreditLedger::Window(const Account& account, std::uint64_t active) const {
  // Never all of it, even for a peer that is alone.
  const std::uint64_t share = pool_.budget() / 2 / std::max<std::uint64_t>(active, 2);
  const memory::PoolUse use = pool_.Use();
  // More than a few chunks, for a long line, only from the half of the side that is not kept for the next peers to come.
  const std::uint64_t few = kWindowChunks * account.unit;
  const std::uint64_t wished = use.used[1] <= use.limit[1] / 2 ? std::max(few, account.window) : few;
  return std::max(account.unit, std::min(wished, share / account.unit * account.unit));
}

void CreditLedger::Grant(TimePoint now) {
  std::uint64_t active = 0;
  for (const auto& [peer, account] : peers_) active += account.wanted + account.InUse() > 0 ? 1 : 0;
  while (!queue_.empty()) {
    const transport::PeerId peer = queue_.front();
    const auto it = peers_.find(peer);
    if (it == peers_.end()) {
      queue_.pop_front();
      continue;
    }
    Account& account = it->second;
    const std::uint64_t window = Window(account, active);
    const std::uint64_t held = account.InUse();
    // Comes back when it asks again or something of its own is staged.
    if (account.wanted == 0 || held >= window) {
      account.queued = false;
      queue_.pop_front();
      continue;
    }
    const std::uint64_t room = std::max(account.unit, (window - held) / account.unit * account.unit);
    std::uint64_t bytes = std::min(room, account.wanted);
    auto reservation = pool_.TryReserve(memory::Side::kWrite, bytes);
    if (!reservation && bytes > account.unit) {
      bytes = account.unit;
      reservation = pool_.TryReserve(memory::Side::kWrite, bytes);
    }
    if (!reservation) return;
    queue_.pop_front();
    account.queued = false;
    account.wanted -= bytes;
    if (account.unspent == 0) account.last_use = now;
    account.unspent += bytes;
    account.reserved.push_back(*std::move(reservation));
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
