// A DEALER socket: one peer, blocking calls, one thread.
//
// Used by the thread that made it; only Interrupt may be called from others. libzmq reconnects by itself but loses what was
// under way, so a lost connection is told (Event::kLost) and the caller starts a new session: Reset gives a fresh socket with
// nothing queued, after which outstanding requests are sent again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/transport/context.h"
#include "tributary/transport/peers.h"
#include "tributary/transport/frame.h"

namespace tributary::transport {

struct ClientOptions {
  std::string endpoint;
  std::size_t max_frame_bytes = wire::kMaxControlFrame;
  int receive_high_water = 2;
  // Who answers there: whose key it must have, where the context has a keyring.
  PeerRole server = PeerRole::kCoordinator;
  std::string server_name = {};  // in the list of peers; empty: the first one there, of caches the only one
};

enum class Event {
  kFrame,        // `frame` is set
  kTimeout,
  kInterrupted,  // Interrupt was called
  kLost,         // the connection ended, or a handshake failed
};

struct Received {
  Event event = Event::kTimeout;
  InFrame frame;
};

// What the kernel counts on the present connection, parts of frames included.
struct LineBytes {
  std::uint64_t acknowledged = 0;  // by the peer's machine
  std::uint64_t received = 0;
};

class FrameClient {
 public:
  // Does not wait for the peer. kInvalidArgument for an endpoint that is none, and where the list of peers has no key of such a server.
  static Result<std::unique_ptr<FrameClient>> Connect(std::shared_ptr<Context> context, const ClientOptions& options);
  ~FrameClient();

  // Queues the frame (a peer that is away does not block it). kUnavailable when 1,000 frames wait already.
  Status Send(OutFrame frame);
  // Waits for one event. A frame that does not parse is a kProtocol error; the connection stays usable.
  Result<Received> Receive(Duration timeout);
  // Returns when Receive of one of them would have something to tell, or after `timeout`. All of one thread.
  static Status WaitAny(std::span<FrameClient* const> clients, Duration timeout);
  // A new socket to the same endpoint; what was queued is dropped, its buffers released soon after.
  Status Reset();
  // Makes a Receive that waits now, or the next one, return kInterrupted. Thread-safe.
  void Interrupt();

  // Nothing without a connection, and over ipc.
  std::optional<LineBytes> Line() const;

  // Why there is no connection, as far as the last handshake tells: "; it refuses this process's key …". Empty: nothing is known, there is one, or nobody listens.
  std::string Trouble() const;
  // The last handshake failed for keys: it will fail again until somebody mends them. (One that was hung up on may be a server that starts.)
  bool Refused() const;
  const std::string& endpoint() const;

 private:
  FrameClient();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::transport
