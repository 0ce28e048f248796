#include "connection_watch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "tcp_counts.h"
#include "zmq_curve.h"
#include "tributary/base/units.h"

namespace tributary::transport {
namespace {

// Files, databases, logs and the sockets that are not connections.
constexpr std::size_t kOtherFiles = 320;
constexpr std::size_t kMostFiles = 65'536;
// Held by any connection without being counted: control messages on their way.
constexpr std::uint64_t kFree = 64u << 10;
// The same of a connection that may be a stranger's: a handshake's commands.
constexpr std::uint64_t kFreeToStrangers = 4u << 10;
// Of all of them together, beyond that: nobody who means well has any.
constexpr std::uint64_t kHeldByStrangers = 2u << 20;
// Those that a key was the reason of are the gate's to count.
constexpr int kFailedHandshakes = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
// What a connection dropped that ended before anybody looked at it, for all that is known.
constexpr std::uint64_t kDroppedUnseen = 32u << 10;
// Greeting and handshake, before the first frame.
constexpr std::uint64_t kHandshake = 512;
// libzmq closes a connection that was shut down, unless nobody reads from it.
constexpr std::chrono::seconds kClosedWithin{2};
// What a long-lived connection says beside its messages (pings of ZMTP).
constexpr std::uint64_t kBesidePerSecond = 64;

bool IsTcp(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6);
}

}  // namespace

std::size_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, kMostFiles));
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto files = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, kMostFiles));
  return files > 2 * kOtherFiles ? files - kOtherFiles : files / 2;
}

Status ConnectionWatch::Attach(zmq::context_t& context, zmq::socket_t& socket, const Limits& limits) {
  static std::atomic<int> counter{0};
  limits_ = limits;
  const std::string address = fmt::format("inproc://tributary-watch-{}", ++counter);
  try {
    if (zmq_socket_monitor(socket.handle(), address.c_str(), ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | kFailedHandshakes) != 0) {
      return MakeError(Code::kInternal, "watching a socket: {}", zmq_strerror(zmq_errno()));
    }
    monitor_ = zmq::socket_t(context, zmq::socket_type::pair);
    monitor_.set(zmq::sockopt::linger, 0);
    // No mark: libzmq's thread would wait for room with a lock that ending the monitor takes, which is done by the one who reads.
    monitor_.set(zmq::sockopt::rcvhwm, 0);
    monitor_.connect(address);
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInternal, "watching a socket: {}", e.what());
  }
  return Ok();
}

std::chrono::milliseconds ConnectionWatch::Interval() const {
  return std::clamp(std::chrono::milliseconds(connections_.size() / 20), std::chrono::milliseconds(10), std::chrono::milliseconds(50));
}

std::vector<PeerId> ConnectionWatch::Detach() {
  if (monitor_.handle() != nullptr) ReadEvents();
  std::vector<PeerId> peers = std::move(news_.gone);
  for (auto& [fd, connection] : connections_) {
    if (!connection.peer.routing_id.empty()) peers.push_back(std::move(connection.peer));
  }
  connections_.clear();
  heard_.clear();
  stuck_ = 0;
  news_ = {};
  monitor_.close();
  return peers;
}

ConnectionWatch::Connection* ConnectionWatch::SenderOf(zmq::message_t& message, int& fd) {
  fd = zmq_msg_get(message.handle(), ZMQ_SRCFD);  // -1: unknown
  auto connection = connections_.find(fd);
  if (connection == connections_.end()) {
    ReadEvents();  // its first message came before we heard of the connection
    connection = connections_.find(fd);
    if (connection == connections_.end()) return nullptr;
  }
  connection->second.read = true;
  return &connection->second;
}

void ConnectionWatch::Read(zmq::message_t& message) {
  int fd = -1;
  static_cast<void>(SenderOf(message, fd));
}

void ConnectionWatch::Refuse(zmq::message_t& message, std::string why) {
  int fd = -1;
  Connection* const connection = SenderOf(message, fd);
  if (connection != nullptr && !connection->cut) Cut(fd, *connection, std::move(why));
}

void ConnectionWatch::Delivered(zmq::message_t& message, const PeerId& peer) {
  int fd = -1;
  Connection* const connection = SenderOf(message, fd);
  if (connection == nullptr) return;
  // A frame is its flags, its length in one byte or eight, and its body.
  const std::uint64_t body = message.size() + limits_.message_overhead;
  connection->delivered += body + (body > 255 ? 9 : 2);
  connection->moved = std::chrono::steady_clock::now();
  // What a connection that had this descriptor before left behind may come first: the last one told is right.
  if (connection->peer != peer) {
    connection->peer = peer;
    connection->user = UserOf(message);
    if (!connection->user.empty() && !std::exchange(connection->heard, true)) ++heard_[connection->user];
  }
}

void ConnectionWatch::Accepted(int fd) {
  Connection connection;
  connection.inode = InodeOf(fd);
  if (connection.inode == 0) return;  // it ended before we looked
  connection.tcp = IsTcp(fd);
  connection.begun = connection.moved = connection.taken = std::chrono::steady_clock::now();
  Connection& known = connections_[fd] = std::move(connection);
  if (connections_.size() <= limits_.connections) return;
  // Strangers make room first, the oldest of them: whoever has a key gets in while others fill the place.
  auto* leaves = &known;
  int leaving = fd;
  for (auto& [other_fd, other] : connections_) {
    if (!limits_.strangers || !other.user.empty() || other.cut || other.begun >= leaves->begun) continue;
    leaves = &other;
    leaving = other_fd;
  }
  leaves->surplus = true;
  Cut(leaving, *leaves, fmt::format("{} connections are open already", connections_.size() - 1));
}

void ConnectionWatch::ReadEvents() {
  for (;;) {
    zmq::message_t event;
    zmq::message_t address;
    if (!monitor_.recv(event, zmq::recv_flags::dontwait)) return;
    if (event.more() && !monitor_.recv(address, zmq::recv_flags::dontwait)) return;
    std::uint16_t type = 0;
    std::uint32_t value = 0;
    if (event.size() < sizeof type + sizeof value) continue;
    std::memcpy(&type, event.data(), sizeof type);
    std::memcpy(&value, static_cast<const std::byte*>(event.data()) + sizeof type, sizeof value);
    const int fd = static_cast<int>(value);
    if (type == ZMQ_EVENT_ACCEPTED) {
      Accepted(fd);
    } else if ((type & kFailedHandshakes) != 0) {
      ++failed_handshakes_;
      ++news_.failed_handshakes;
    } else if (const auto ended = connections_.find(fd); ended != connections_.end()) {
      const Connection& connection = ended->second;
      const std::uint64_t unseen = connection.tcp && connection.peer.routing_id.empty() ? kDroppedUnseen : 0;
      news_.dropped_bytes += std::max(connection.received - std::min(connection.received, connection.delivered), unseen);
      if (Unheard(connection) && !connection.cut) ++news_.unheard;
      if (!ended->second.peer.routing_id.empty()) news_.gone.push_back(std::move(ended->second.peer));
      connections_.erase(ended);
    }
  }
}

std::uint64_t ConnectionWatch::Held(int fd, Connection& connection, TimePoint now) const {
  if (!connection.tcp || InodeOf(fd) != connection.inode) return 0;
  int unread = 0;
  const auto counts = CountsOf(fd);
  if (!counts || ioctl(fd, FIONREAD, &unread) != 0) return 0;
  if (counts->received > connection.received) {
    connection.received = counts->received;
    connection.moved = now;
  }
  if (counts->acknowledged > connection.acknowledged) {
    connection.acknowledged = counts->acknowledged;
    connection.taken = now;
  }
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - connection.begun).count();
  const std::uint64_t known =
      connection.delivered + static_cast<std::uint64_t>(unread) + kHandshake + kBesidePerSecond * static_cast<std::uint64_t>(age);
  return counts->received > known ? counts->received - known : 0;
}

void ConnectionWatch::Cut(int fd, Connection& connection, std::string why, bool counts) {
  // A descriptor of our own: libzmq may close its one, and something else get the number, at any time.
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return;
  if (InodeOf(own) != connection.inode) {
    close(own);
    return;
  }
  connection.cut = true;
  connection.moved = std::chrono::steady_clock::now();
  // Now, not when it ends: libzmq does not close one whose messages nobody reads.
  if (Unheard(connection)) ++news_.unheard;
  // The peer is to be told at once, also while it waits for room to send: by a reset when libzmq closes.
  const linger now{1, 0};
  setsockopt(own, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  shutdown(own, SHUT_RDWR);
  close(own);
  if (counts) ++cut_off_;
  news_.cut.emplace_back(connection.peer, std::move(why));
}

ConnectionWatch::News ConnectionWatch::Look(TimePoint now, const std::function<std::uint64_t(const PeerId&)>& allowance) {
  ReadEvents();
  if (now < next_check_) return std::exchange(news_, {});
  next_check_ = now + Interval();
  struct Excess {
    std::uint64_t bytes;
    int fd;
    bool stranger;
  };
  std::vector<Excess> all;
  std::uint64_t sum = 0;
  std::uint64_t strangers = 0;  // of it
  stuck_ = 0;
  for (auto& [fd, connection] : connections_) {
    if (connection.cut) {
      if (now - connection.moved > kClosedWithin) ++stuck_;
      continue;
    }
    if (connection.surplus) {
      // There was no descriptor left to end it with.
      Cut(fd, connection, "too many connections are open");
      continue;
    }
    const std::uint64_t held = Held(fd, connection, now);
    const bool stranger = limits_.strangers && connection.user.empty();
    const std::uint64_t free = stranger ? kFreeToStrangers : kFree;
    if (held <= free) continue;
    const std::uint64_t allowed = free + (connection.peer.routing_id.empty() ? 0 : allowance(connection.peer));
    if (held <= allowed) continue;
    all.push_back({held - allowed, fd, stranger});
    sum += held - allowed;
    if (stranger) strangers += held - allowed;
  }
  std::sort(all.begin(), all.end(), [](const Excess& a, const Excess& b) { return a.bytes > b.bytes; });
  for (const Excess& excess : all) {
    const bool may_stay = excess.bytes <= limits_.held_each && sum <= limits_.held_all && (!excess.stranger || strangers <= kHeldByStrangers);
    if (may_stay) continue;
    sum -= excess.bytes;
    if (excess.stranger) strangers -= excess.bytes;
    Cut(excess.fd, connections_.at(excess.fd), fmt::format("it sent {} without ending a message", FormatBytes(excess.bytes)));
  }
  return std::exchange(news_, {});
}

std::optional<ConnectionWatch::TimePoint> ConnectionWatch::LastBytes(const PeerId& peer) const {
  for (const auto& [fd, connection] : connections_) {
    if (connection.peer == peer) return connection.moved;
  }
  return std::nullopt;
}

std::optional<ConnectionWatch::TimePoint> ConnectionWatch::LastTaken(const PeerId& peer) const {
  for (const auto& [fd, connection] : connections_) {
    if (connection.peer == peer && connection.tcp) return connection.taken;
  }
  return std::nullopt;
}

std::optional<std::chrono::microseconds> ConnectionWatch::RoundTrip(const PeerId& peer) const {
  for (const auto& [fd, connection] : connections_) {
    if (connection.peer != peer) continue;
    if (!connection.tcp || InodeOf(fd) != connection.inode) return std::nullopt;
    return RoundTripOf(fd);
  }
  return std::nullopt;
}

bool ConnectionWatch::OverNetwork(const PeerId& peer) const {
  for (const auto& [fd, connection] : connections_) {
    if (connection.peer == peer) return connection.tcp && InodeOf(fd) == connection.inode && IsRemote(fd);
  }
  return false;
}

void ConnectionWatch::Disconnect(const PeerId& peer) {
  for (auto& [fd, connection] : connections_) {
    if (connection.peer != peer || connection.cut) continue;
    Cut(fd, connection, "asked for", false);
    return;
  }
}

std::size_t ConnectionWatch::DisconnectUsers(const std::function<bool(const std::string& user)>& unwanted, const std::string& why) {
  std::size_t ended = 0;
  for (auto& [fd, connection] : connections_) {
    if (connection.cut || (!connection.user.empty() && !unwanted(connection.user))) continue;
    if (!connection.user.empty()) ++ended;
    Cut(fd, connection, why, false);
  }
  return ended;
}

}  // namespace tributary::transport
