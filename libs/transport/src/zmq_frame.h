// Private: what server and client share about zmq messages and eventfds.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.hpp>

#include "tributary/memory/owners.h"
#include "tributary/transport/context.h"
#include "tributary/transport/frame.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace tributary::transport {

// libzmq orders what goes in before what comes out, in a way that the thread sanitizer, which does not see into it, has to be told.
#if defined(__SANITIZE_THREAD__)
inline char through_zmq;
inline void GivenToZmq() { __tsan_release(&through_zmq); }
inline void TakenFromZmq() { __tsan_acquire(&through_zmq); }
#else
inline void GivenToZmq() {}
inline void TakenFromZmq() {}
#endif

struct InFrame::Message {
  zmq::message_t message;
  std::size_t counted = 0;  // as held by this process, in frames
  void Count() { memory::Gained(memory::Owner::kZeroMq, counted = message.size()); }
  ~Message() { memory::Lost(memory::Owner::kZeroMq, counted); }
};

// A zmq message for the frame: header alone is copied, header and payload leave the buffer without a copy.
zmq::message_t ToMessage(OutFrame frame);

inline zmq::context_t& Native(const Context& context) { return *static_cast<zmq::context_t*>(context.native()); }

// Wakes a poll from another thread.
class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~WakeFd() { close(fd_); }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;
  int fd() const { return fd_; }
  void Signal() {
    const std::uint64_t one = 1;
    // Only fails when the counter is full, and then it is signalled.
    [[maybe_unused]] const auto n = write(fd_, &one, sizeof one);
  }
  void Drain() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto n = read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

}  // namespace tributary::transport
