// A bare pair of ZeroMQ sockets, for benchmarks: what a ROUTER and a DEALER move when nothing is checked, granted or stored.
//
// One side binds the ROUTER, the other connects the DEALER; both are blocking calls, each in a process of its own. The side that sends
// gives messages of one size out of a ring of buffers, without a copy; the other hands each message to `on_message`. Time counts from the
// first word to the last message, or to the answer that says that all have been taken; the ring is there before. Failures: kInvalidArgument
// for an endpoint that is none, kDeadline when nothing moves for 30 s. Bytes, seconds. Not for the services: no law of memory holds here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "tributary/base/result.h"
#include "tributary/transport/curve.h"

namespace tributary::transport {

struct BarePair {
  bool router_sends = false;
  std::uint64_t messages = 1;
  std::size_t message_bytes = 1 << 20;
  int high_water = 8;               // of both sockets, in messages
  // Of the sender's buffers, which it sends in turn; at least one message. Many times the processor's cache, or what is
  // measured is the cache: a model comes from memory.
  std::size_t ring_bytes = 256 << 20;
  std::optional<CurveKeys> curve = {};  // the ROUTER's, which both sides know here
};

using OnBareMessage = std::function<void(std::span<const std::byte>)>;

struct BareRun {
  double seconds = 0;
  double cpu_seconds = 0;  // of this side's process
};

// Binds "tcp://127.0.0.1:0" or the like, tells `bound` the real endpoint, and serves one DEALER.
Result<BareRun> RunBareRouter(const std::string& endpoint, const BarePair& pair, const std::function<void(const std::string&)>& bound,
                              const OnBareMessage& on_message);
// REQUIRES: the same BarePair as the ROUTER's.
Result<BareRun> RunBareDealer(const std::string& endpoint, const BarePair& pair, const OnBareMessage& on_message);

}  // namespace tributary::transport
