// Private: when a server's socket is closed and opened anew, for memory that nothing else gives back.
//
// A peer with a key may name its connection as another one is named. libzmq's ROUTER (4.3) then never reads from it, and keeps the
// messages that came on it, up to the high-water mark, after it has ended and until the socket is closed. Which connections those were
// cannot be asked. It is known how many ended with nothing heard of them (ConnectionWatch; strangers' among them), and how many were let
// in and are not heard, open ones among them (Gate): the smaller number is the most that there can be. Renewal is due when the process
// holds more than it is to, connections have ended unheard since it last held less, and so many of them can be the reason.
//
// One thread, the server's. Reads /proc after such connections have ended, once after a renewal, and at no other time. Where the
// process holds more than it is to after a renewal, too, memory has another reason: what is held then, and one connection's more, is the
// limit from there on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace tributary::transport {

class Renewal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Renewal() = default;
  // `most_memory`: of the process, bytes, 0: never due. `each`: what one such connection may have left, bytes.
  Renewal(std::uint64_t most_memory, std::uint64_t each) : most_memory_(most_memory), each_(each) {}

  // So many more connections ended unheard.
  void Count(std::uint64_t unheard) {
    unheard_ += unheard;
    look_ = look_ || unheard > 0;
  }
  struct Reason {
    std::uint64_t held = 0;     // bytes, by the process
    std::uint64_t unheard = 0;  // connections, at most
  };
  // Whether to renew now. `admitted` tells how many connections were let in and not heard; asked last. Trims the heap first.
  std::optional<Reason> Due(TimePoint now, const std::function<std::uint64_t()>& admitted);
  // The socket is a new one. By `settled` the old one's memory has been given back.
  void Done(TimePoint settled);

 private:
  std::uint64_t most_memory_ = 0;
  std::uint64_t each_ = 0;
  std::uint64_t unheard_ = 0;  // since the process last held no more than it is to
  bool look_ = false;
  TimePoint next_look_;
  std::optional<TimePoint> settled_;
};

}  // namespace tributary::transport
