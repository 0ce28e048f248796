// What one connection makes the store hold: small requests under way, chunks being staged, replies that are read from disk or sent.
//
// One ledger per connection, by routing id. It lives as long as anything that it counts, and so longer than the peer's session: a new
// hello makes no room for more. Charged when a frame arrives, released by the last owner of what it stands for. Held and Hold are
// thread-safe; HeldBook is the reactor's thread's. Bytes where the name says so, else a number of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "tributary/transport/frame_server.h"

namespace tributary::service {

struct Held {
  std::atomic<std::uint64_t> requests{0};       // small ones, queued or running
  std::atomic<std::uint64_t> puts{0};           // chunks and specs being staged
  std::atomic<std::uint64_t> staging_bytes{0};  // their payloads
  std::atomic<std::uint64_t> reply_bytes{0};    // reserved for replies: being read from disk, or sent
  std::atomic<std::uint64_t> remote_bytes{0};   // of them, those that a network is waited for
  std::atomic<std::uint64_t> unread{0};         // replies that the network has and did not let go of yet
  std::atomic<std::uint64_t> taken{0};          // replies that it let go of so far
  std::atomic<std::uint64_t> violations{0};     // of the rules that bound memory
  // When the last of them was let go of, by the steady clock, and how long the network had one to send, in all: microseconds.
  std::atomic<std::uint64_t> taken_last{0};
  std::atomic<std::uint64_t> taking{0};
  std::atomic<bool> far{false};                 // its line has a delay: near.h
  std::atomic<bool> network{false};             // it is on another machine
};

// A share of one of the counts, given back when destroyed.
class Hold {
 public:
  using Count = std::atomic<std::uint64_t> Held::*;
  Hold() = default;
  Hold(std::shared_ptr<Held> held, Count count, std::uint64_t amount)
      : held_(std::move(held)), count_(count), amount_(amount) {
    (*held_).*count_ += amount_;
  }
  Hold(Hold&&) noexcept = default;
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (held_) (*held_).*count_ -= amount_;
  }
  const std::shared_ptr<Held>& held() const { return held_; }

 private:
  std::shared_ptr<Held> held_;
  Count count_ = nullptr;
  std::uint64_t amount_ = 0;
};

class HeldBook {
 public:
  std::shared_ptr<Held> Of(const transport::PeerId& peer) {
    std::weak_ptr<Held>& known = book_[peer];
    auto held = known.lock();
    if (!held) known = held = std::make_shared<Held>();
    return held;
  }
  // Drops the entries of connections that hold nothing any more.
  void Sweep() {
    std::erase_if(book_, [](const auto& entry) { return entry.second.expired(); });
  }

 private:
  std::map<transport::PeerId, std::weak_ptr<Held>> book_;
};

}  // namespace tributary::service
