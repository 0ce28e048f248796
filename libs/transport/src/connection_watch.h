// Private: the connections of a server's socket, and which of them pile up bytes.
//
// libzmq reads a message whole before it tells of it, and a multipart message of any number of parts: what a peer sends without ever
// ending it is memory that no high-water mark bounds. The watch compares what the kernel received on each TCP connection with what
// was delivered from it, and shuts down those that hold more than their share; a connection beyond the cap is shut down at once.
// Connections over ipc have no such count: who may open the socket's file is trusted that far.
//
// It also counts the connections that ended, or were shut down, before anything was delivered from them: libzmq's ROUTER never reads
// from a connection with a routing id that another one has, and keeps what came on it until the socket is closed (renewal.h).
//
// One thread, the server's. It never closes a descriptor, which is libzmq's: it shuts the connection down, and libzmq closes it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "tributary/base/result.h"
#include "tributary/transport/frame_server.h"

namespace tributary::transport {

// Makes room for connections: the soft limit of open files becomes the hard one. Returns how many may be connections.
std::size_t RaiseFileLimit();

class ConnectionWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::size_t connections = 0;
    std::uint64_t held_each = 0;  // bytes of one connection beyond its allowance
    std::uint64_t held_all = 0;   // of all connections together
    std::uint64_t message_overhead = 0;  // on the wire, by encryption
    bool strangers = false;  // who has not said a word yet may not be known, and holds next to nothing
  };

  // What has ended since the last call, by routing id, and what was shut down, with why.
  struct News {
    std::vector<PeerId> gone;
    std::vector<std::pair<PeerId, std::string>> cut;
    std::uint64_t failed_handshakes = 0;
    std::uint64_t unheard = 0;  // ended, or shut down, with nothing delivered (TCP)
    std::uint64_t dropped_bytes = 0;  // that ended connections had sent of messages which never came to be: memory that libzmq has let go
  };

  // Watches `socket`, which is not bound yet.
  Status Attach(zmq::context_t& context, zmq::socket_t& socket, const Limits& limits);
  void* monitor() { return monitor_.handle(); }

  // A whole message of `bytes` came from `peer`.
  void Delivered(zmq::message_t& message, const PeerId& peer);
  // A message came that is not delivered.
  void Read(zmq::message_t& message);
  // A message came from a connection that is not to be heard: ends it.
  void Refuse(zmq::message_t& message, std::string why);
  // Reads the monitor's events and, when it is time, the kernel's counts. `allowance` tells how many bytes a peer may have under way.
  News Look(TimePoint now, const std::function<std::uint64_t(const PeerId&)>& allowance);
  // When bytes of the peer came last, whether or not they made a message yet; nothing if that is not known.
  std::optional<TimePoint> LastBytes(const PeerId& peer) const;
  // When the peer's system last told that it took bytes; nothing if that is not known.
  std::optional<TimePoint> LastTaken(const PeerId& peer) const;
  // Of the peer's line, as its kernel and ours measure it; nothing if that is not known.
  std::optional<std::chrono::microseconds> RoundTrip(const PeerId& peer) const;
  // Whether the peer is on another machine.
  bool OverNetwork(const PeerId& peer) const;
  // Ends a peer's connection.
  void Disconnect(const PeerId& peer);
  // Ends the connections whose user (the key they were admitted with) is no longer wanted, and those that have not told one yet. Returns how many of the former.
  std::size_t DisconnectUsers(const std::function<bool(const std::string& user)>& unwanted, const std::string& why);

  std::size_t connections() const { return connections_.size(); }
  std::uint64_t cut_off() const { return cut_off_; }
  std::uint64_t failed_handshakes() const { return failed_handshakes_; }
  // Whether a good part of the connections that there may be are shut down, and libzmq does not close them.
  bool Stuck() const { return stuck_ * 4 > limits_.connections; }
  // How many connections each user began to speak on, since the last Detach.
  const std::map<std::string, std::uint64_t>& heard() const { return heard_; }
  // Watches its socket no longer, whose monitor has been stopped: it may Attach to another. Returns the peers, whose connections end with the socket.
  std::vector<PeerId> Detach();
  // How long until the next Look is worth while.
  std::chrono::milliseconds Interval() const;

 private:
  struct Connection {
    ino_t inode = 0;  // descriptors are used again: this is the connection that was accepted
    bool tcp = false;
    TimePoint begun;
    std::uint64_t delivered = 0;  // with the framing around it
    PeerId peer;
    std::string user;  // the key it was admitted with; empty before its first message, and without keys
    std::uint64_t received = 0;  // as the kernel told last
    TimePoint moved;             // when that rose last, or when it was shut down
    std::uint64_t acknowledged = 0;  // by the peer's kernel
    TimePoint taken;             // when that rose last
    bool cut = false;            // shut down; libzmq has not closed it yet
    bool surplus = false;        // beyond the cap
    bool read = false;           // a message of it came: the ROUTER reads from it
    bool heard = false;          // and is counted among its user's
  };
  void ReadEvents();
  static bool Unheard(const Connection& connection) { return connection.tcp && !connection.read; }
  void Accepted(int fd);
  Connection* SenderOf(zmq::message_t& message, int& fd);
  // Bytes that came and were not delivered; 0 where that cannot be told.
  std::uint64_t Held(int fd, Connection& connection, TimePoint now) const;
  // `counts`: as one that was cut off for what it did.
  void Cut(int fd, Connection& connection, std::string why, bool counts = true);

  zmq::socket_t monitor_;
  Limits limits_;
  std::map<int, Connection> connections_;  // by descriptor
  std::map<std::string, std::uint64_t> heard_;
  News news_;  // until the next Look
  TimePoint next_check_;
  std::size_t stuck_ = 0;  // at the last Look
  std::uint64_t cut_off_ = 0;
  std::uint64_t failed_handshakes_ = 0;
};

}  // namespace tributary::transport
