#include "services/blob-store/credit.h"

#include <algorithm>

#include "tributary/tensor/layout.h"
#include "tributary/wire/frame.h"

namespace tributary::service {
namespace {

constexpr std::uint64_t kWindowChunks = 8;

}  // namespace

Status CreditLedger::Request(const transport::PeerId& peer, std::uint64_t id, std::uint64_t bytes, std::uint64_t unit) {
  if (unit == 0) unit = tensor::kDefaultChunkBytes;
  if (unit > wire::kMaxPayload || unit > pool_.budget()) {
    return MakeError(Code::kResourceExhausted,
                     "payloads of {} bytes do not fit this store: its memory budget is {}, a payload is at most {}; raise the "
                     "store's --memory-budget or lower chunk_bytes",
                     unit, pool_.budget(), wire::kMaxPayload);
  }
  Account& account = peers_[peer];
  account.request_id = id;
  account.wanted = bytes;
  account.unit = unit;
  account.last_use = std::chrono::steady_clock::now();
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

CreditLedger::Reservations CreditLedger::Spend(const transport::PeerId& peer, std::uint64_t bytes) {
  const auto it = peers_.find(peer);
  if (it == peers_.end() || it->second.unspent < bytes || bytes == 0) return {};
  Account& account = it->second;
  account.unspent -= bytes;
  account.staging += bytes;
  account.last_use = std::chrono::steady_clock::now();
  Reservations spent;
  for (std::uint64_t left = bytes; left > 0;) {
    memory::Reservation& front = account.reserved.front();
    if (front.bytes() <= left) {
      left -= front.bytes();
      spent.push_back(std::move(front));
      account.reserved.pop_front();
    } else {
      spent.push_back(front.Split(left));
      left = 0;
    }
  }
  return spent;
}

void CreditLedger::Staged(const transport::PeerId& peer, std::uint64_t bytes) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  it->second.staging -= std::min(bytes, it->second.staging);
  it->second.last_use = std::chrono::steady_clock::now();
  Enqueue(peer, it->second);
}

std::uint64_t CreditLedger::Window(const Account& account, std::uint64_t active) const {
  const std::uint64_t share = pool_.budget() / 2 / std::max<std::uint64_t>(active, 1);
  return std::max(account.unit, std::min(kWindowChunks * account.unit, share / account.unit * account.unit));
}

void CreditLedger::Grant() {
  std::uint64_t active = 0;
  for (const auto& [peer, account] : peers_) active += account.wanted + account.unspent + account.staging > 0 ? 1 : 0;
  while (!queue_.empty()) {
    const transport::PeerId peer = queue_.front();
    const auto it = peers_.find(peer);
    if (it == peers_.end()) {
      queue_.pop_front();
      continue;
    }
    Account& account = it->second;
    const std::uint64_t window = Window(account, active);
    const std::uint64_t held = account.unspent + account.staging;
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
    account.unspent += bytes;
    account.reserved.push_back(*std::move(reservation));
    account.last_use = std::chrono::steady_clock::now();
    send_(peer, account.request_id, bytes);
    Enqueue(peer, account);
  }
}

std::vector<transport::PeerId> CreditLedger::Idle(TimePoint now, Duration limit) const {
  std::vector<transport::PeerId> idle;
  for (const auto& [peer, account] : peers_) {
    if (account.unspent > 0 && account.staging == 0 && now - account.last_use >= limit) idle.push_back(peer);
  }
  return idle;
}

}  // namespace tributary::service
