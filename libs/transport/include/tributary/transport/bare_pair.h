// A bare pair of ZeroMQ sockets, for benchmarks: what a ROUTER and a DEALER move when nothing is checked, granted or stored.
//
// One side binds the ROUTER, the other connects the DEALER; both are blocking calls, each in a process of its own. The side that sends
// gives messages of one size out of a ring of buffers, without a copy; the other hands each message to `on_message`. Seconds
// count at the DEALER: from its first word to the last message, or to the answer that says that all have been taken. Failures: kInvalidArgument
// for an endpoint that is none, kDeadline when nothing moves for 30 s. Bytes, seconds. Not for the services: no law of memory holds here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "tributary/base/result.h"

namespace tributary::transport {

struct BarePair {
  bool router_sends = false;
  std::uint64_t messages = 1;
  std::size_t message_bytes = 1 << 20;
  int high_water = 8;               // of both sockets, in messages
  std::size_t ring_bytes = 8 << 20;  // of the sender's buffers, at least one message
};

using OnBareMessage = std::function<void(std::span<const std::byte>)>;

// Binds "tcp://127.0.0.1:0" or the like, tells `bound` the real endpoint, and serves one DEALER.
Status RunBareRouter(const std::string& endpoint, const BarePair& pair, const std::function<void(const std::string&)>& bound,
                     const OnBareMessage& on_message);
// Seconds from the first word to the end. REQUIRES: the same BarePair as the ROUTER's.
Result<double> RunBareDealer(const std::string& endpoint, const BarePair& pair, const OnBareMessage& on_message);

}  // namespace tributary::transport
