// A ROUTER socket and the one thread that owns it.
//
// Handler methods run on that thread, one at a time, and must not block. Send and Post may be called from any thread. A frame that
// does not parse, or is longer than max_frame_bytes (libzmq disconnects the peer), never reaches the handler;
// multipart messages are dropped. ROUTER_MANDATORY is on: a frame for a peer that went away, or
// that does not read its replies, is dropped and told by OnGone. Peers that pile up bytes without ending a message are cut off. A peer can not fill the log: what it does wrong is logged once
// a minute, the rest counted.
//
// Where the context has a keyring, connections are encrypted, a peer is admitted whose key is on the list, and each frame tells its sender by that key. The list's file
// is looked at each second: who is on it no longer is not heard from then on, and its connections end.
// Destruction stops the thread; frames not yet sent are dropped.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/transport/context.h"
#include "tributary/transport/frame.h"

namespace tributary::transport {

// A connection as the ROUTER names it. Not an identity: a peer that reconnects gets another.
struct PeerId {
  std::string routing_id;
  auto operator<=>(const PeerId&) const = default;
  std::string str() const;  // hex, for logs
};

struct ServerOptions {
  std::string endpoint;  // "tcp://0.0.0.0:7700", "tcp://127.0.0.1:0", "ipc:///run/x.sock"
  std::size_t max_frame_bytes = wire::kMaxControlFrame;
  int receive_high_water = 2;  // messages a connection: more wait in the peer's kernel
  // Frames that wait for a peer which does not read. Beyond it a frame is dropped, and OnGone called.
  int send_high_water = 1000;
  // Connections at once; those beyond are shut down. 0: as many as the limit of open files leaves room for.
  std::size_t max_connections = 0;
  // Bytes that a TCP connection, and all of them together, may have sent without ending a message, beyond what the
  // handler allows them. A connection that sends more is shut down. 0: four frames.
  std::uint64_t max_unfinished_bytes = 0;
  // Memory that the process is to stay below, bytes: above it a TCP socket whose connections may have left memory behind is closed and opened anew, and
  // every peer connects again (docs/security.md). 0: never.
  std::uint64_t most_memory = 0;
  // A peer that takes nothing off the wire for this long is cut off.
  Duration unresponsive{120'000};
  // From the connection to the end of its handshake; who takes longer is cut off.
  Duration handshake_limit{10'000};
  Duration tick{100};          // between OnTick calls, about
};

class Handler {
 public:
  virtual ~Handler() = default;
  virtual void OnFrame(const PeerId& peer, InFrame frame) = 0;
  virtual void OnTick() {}
  // A peer's connection has ended, or it does not read; may be told more than once, also of peers that never sent a frame.
  virtual void OnGone(const PeerId&) {}
  // Bytes that the peer was asked for and that may be on their way. Called on the server's thread for peers that send much.
  virtual std::uint64_t Allowance(const PeerId&) { return 0; }
};

struct ServerCounters {
  std::uint64_t malformed = 0;
  std::uint64_t multipart = 0;
  std::uint64_t unroutable = 0;
  std::uint64_t connections = 0;  // now
  std::uint64_t cut_off = 0;      // beyond the cap, piling up bytes, or naming itself
  std::uint64_t unknown_keys = 0;  // handshakes refused
  std::uint64_t failed_handshakes = 0;  // that did not come to a key: another server's key, no encryption, noise
  std::uint64_t revoked = 0;      // frames and connections of keys that the list has no longer
  std::uint64_t renewals = 0;     // of the socket
  // Connections that were refused or ended, by reason, as metrics name it.
  std::array<std::pair<std::string_view, std::uint64_t>, 4> Refused() const {
    return {{{"cut_off", cut_off}, {"unknown_key", unknown_keys}, {"handshake", failed_handshakes}, {"revoked", revoked}}};
  }
};

class FrameServer {
 public:
  // Binds, then starts the thread. kUnavailable when the port is in use: the message names the endpoint.
  static Result<std::unique_ptr<FrameServer>> Start(std::shared_ptr<Context> context, const ServerOptions& options,
                                                    Handler& handler);
  ~FrameServer();

  // Thread-safe. Order of frames to one peer is kept.
  void Send(const PeerId& peer, OutFrame frame);
  // Ends the peer's connection; OnGone follows. Thread-safe.
  void Disconnect(const PeerId& peer);
  // Logs what a peer does wrong: once a minute for each, the rest counted. On the server's thread only.
  void Complain(const PeerId& peer, std::string_view what);
  // When bytes of the peer came last, be it a part of a frame; nothing if that is not known. On the server's thread only.
  std::optional<std::chrono::steady_clock::time_point> LastBytes(const PeerId& peer) const;
  // When the peer's system last acknowledged bytes of ours; nothing if that is not known (ipc). On the server's thread only.
  std::optional<std::chrono::steady_clock::time_point> LastTaken(const PeerId& peer) const;
  // The shortest round trip of the peer's line in the last minutes, between the kernels; nothing if that is not known (ipc). On the server's
  // thread only.
  std::optional<std::chrono::microseconds> RoundTrip(const PeerId& peer) const;
  // Whether the peer is known to be on another machine. On the server's thread only.
  bool OverNetwork(const PeerId& peer) const;
  // Runs `task` on the server's thread. Thread-safe.
  void Post(std::function<void()> task);
  // Ends the thread; no handler method runs after it returns. Idempotent; not from the server's own thread.
  void Stop();

  const std::string& endpoint() const;  // with the real port
  ServerCounters counters() const;

 private:
  FrameServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::transport
