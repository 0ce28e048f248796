// Private: when a server's socket is closed and opened anew, for memory that nothing else gives back.
//
// A peer with a key may name its connection as another one is named. libzmq's ROUTER (4.3) then never reads from it, and keeps the
// messages that came on it, up to the high-water mark, after it has ended and until the socket is closed. Which connections those were
// cannot be asked; how many connections ended with nothing heard of them (ConnectionWatch), and how many of those a key had let in
// (Gate), is known. So the process is asked: renewal is due when such connections have ended, the process holds more than it is to
// hold, and they can be the reason.
//
// One thread, the server's. Reads /proc while such connections end and at no other time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace tributary::transport {

class Renewal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Renewal() = default;
  // `most_memory`: of the process, bytes, 0: never due. `each`: what one such connection may have left, bytes.
  Renewal(std::uint64_t most_memory, std::uint64_t each) : most_memory_(most_memory), each_(each) {}

  // So many more connections ended unheard.
  void Count(std::uint64_t unheard) { unheard_ += unheard; }
  std::uint64_t unheard() const { return unheard_; }
  // What the process holds, where that is a reason to renew. `admitted`: so many connections at most were let in and not heard. Trims the heap first.
  std::optional<std::uint64_t> Due(TimePoint now, std::uint64_t admitted);
  // The socket is a new one.
  void Done() { unheard_ = 0; }

 private:
  std::uint64_t most_memory_ = 0;
  std::uint64_t each_ = 0;
  std::uint64_t unheard_ = 0;
  TimePoint next_look_;
};

}  // namespace tributary::transport
