// Write credit: who may send how many bytes. Bytes are reserved in the pool before they are granted.
//
// Peers that want credit stand in one queue; the first takes what it may have (its window) or waits until the pool has it, so that
// nobody is overtaken for ever. Near peers also wait until the part that they use together (near.h) has it, and do not keep others back
// meanwhile. A window is 8 chunks of the peer's or what it says that its line takes, or its share of the write side if that is less (never more than half:
// the next one to come must find room; of near peers, of their part), and at least one chunk; it counts what is granted and what is being staged. Used by the
// reactor's thread alone. Bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "services/blob-store/held.h"
#include "tributary/memory/pool.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/data.h"

namespace tributary::service {

class CreditLedger {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using SendGrant = std::function<void(const transport::PeerId&, std::uint64_t request_id, std::uint64_t bytes)>;
  // What covers an arrived payload until it is staged.
  struct Spent {
    std::vector<memory::Reservation> reservations;
    Hold bytes;
    Hold put;
  };

  CreditLedger(memory::Pool& pool, std::uint64_t max_message, SendGrant send)
      : pool_(pool), max_message_(max_message), send_(std::move(send)) {}

  // Replaces what the peer wanted. 0 bytes: gives back what it has not spent.
  // kResourceExhausted when `unit` is more than the whole budget.
  Status Request(const transport::PeerId& peer, std::shared_ptr<Held> held, std::uint64_t id, const wire::CreditRequest& request, TimePoint now);
  // Empty when the peer has not that much credit.
  std::optional<Spent> Spend(const transport::PeerId& peer, std::uint64_t bytes, TimePoint now);
  // A payload of Spend is staged, what covered it is gone.
  void Staged(const transport::PeerId& peer, TimePoint now);
  // Bytes that the peer may send now.
  std::uint64_t Unspent(const transport::PeerId& peer) const;
  void Forget(const transport::PeerId& peer);
  // Of all peers: the reservations go back to the pool.
  void Clear() { queue_.clear(), peers_.clear(); }
  // Grants what can be granted now.
  void Grant(TimePoint now);
  // Peers that hold credit and did not use it for `limit`, or for as many times that as their message has more than 4 MiB.
  std::vector<transport::PeerId> Idle(TimePoint now, Duration limit) const;

 private:
  struct Account {
    std::shared_ptr<Held> held;
    std::uint64_t request_id = 0;
    std::uint64_t wanted = 0;
    std::uint64_t unit = 0;
    std::uint64_t window = 0;
    std::uint64_t unspent = 0;
    std::deque<memory::Reservation> reserved;  // unspent bytes in all
    TimePoint last_use;
    TimePoint granted_at;
    TimePoint spent_at;
    std::chrono::microseconds pace{0};  // what its last chunks took its line
    bool queued = false;

    std::uint64_t InUse() const { return unspent + held->staging_bytes; }
    // 8 of its chunks, or what a line takes that is not long.
    std::uint64_t Usual() const;
    bool IsNear() const;
  };
  // Counted anew for each Grant.
  struct Pass {
    std::uint64_t active = 0;      // peers that want or have something
    std::uint64_t near = 0;        // of them
    std::uint64_t near_bytes = 0;  // what they use
    bool near_waits = false;       // one of them, for room: none that asks later overtakes it
  };
  Pass Count(TimePoint now) const;
  std::uint64_t Window(const Account& account, const Pass& pass) const;
  // How much of `bytes`, in whole chunks, fits the near part.
  std::uint64_t NearRoom(const Account& account, std::uint64_t bytes, const Pass& pass) const;
  // `bytes`, or as many whole chunks less as the pool has.
  std::optional<memory::Reservation> Reserve(std::uint64_t bytes, std::uint64_t unit);
  void Enqueue(const transport::PeerId& peer, Account& account);

  memory::Pool& pool_;
  const std::uint64_t max_message_;
  SendGrant send_;
  std::map<transport::PeerId, Account> peers_;
  std::list<transport::PeerId> queue_;  // those with `queued`
};

}  // namespace tributary::service
