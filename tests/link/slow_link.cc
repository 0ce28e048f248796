#include "tests/link/slow_link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <thread>
#include <vector>

namespace tributary::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kPiece = 16 * 1024;
constexpr std::chrono::milliseconds kRouterQueue{50};
constexpr std::uint64_t kUnlimited = std::uint64_t{8} << 30;

void Tune(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// One direction of the line, which all connections share.
struct Direction {
  Clock::time_point free{};  // when the line has sent all that it was given
  std::atomic<std::uint64_t> bytes{0};
};

struct Piece {
  Clock::time_point due;
  std::vector<char> bytes;
  std::size_t written = 0;
};

// Bytes of one connection on their way from one socket to the other.
struct Flow {
  int from = -1;
  int to = -1;
  Direction* direction = nullptr;
  std::deque<Piece> pieces;
  bool ended = false;  // no more comes
};

struct Connection {
  int client = -1;
  int target = -1;
  std::array<Flow, 2> flows;
  bool broken = false;
};

}  // namespace

struct SlowLink::Impl {
  Line line;
  sockaddr_in target{};
  int listener = -1;
  std::uint16_t port = 0;
  int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::atomic<bool> stopping{false};
  std::atomic<bool> broken{false};
  std::atomic<bool> cut{false};
  std::array<Direction, 2> directions;  // up, down
  std::list<Connection> connections;    // the thread's
  std::thread thread;

  std::uint64_t Rate() const { return line.rate > 0 ? line.rate : kUnlimited; }

  void Wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = write(wake, &one, sizeof one);
  }

  void Accept() {
    const int client = accept(listener, nullptr, nullptr);
    if (client < 0) return;
    const int far = socket(AF_INET, SOCK_STREAM, 0);
    if (far < 0 || connect(far, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
      close(client);
      if (far >= 0) close(far);
      return;
    }
    Tune(client);
    Tune(far);
    Connection connection;
    connection.client = client;
    connection.target = far;
    connection.flows[0] = {client, far, &directions[0], {}, false};
    connection.flows[1] = {far, client, &directions[1], {}, false};
    connections.push_back(std::move(connection));
  }

  bool MayRead(const Flow& flow, Clock::time_point now) const {
    return !flow.ended && flow.direction->free <= now + kRouterQueue;
  }

  void Read(Connection& connection, Flow& flow, Clock::time_point now) {
    std::vector<char> bytes(kPiece);
    const ssize_t n = recv(flow.from, bytes.data(), bytes.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
      connection.broken = true;
      return;
    }
    if (n == 0) {
      flow.ended = true;
      return;
    }
    bytes.resize(static_cast<std::size_t>(n));
    Direction& direction = *flow.direction;
    direction.bytes += static_cast<std::uint64_t>(n);
    direction.free = std::max(direction.free, now) + std::chrono::nanoseconds(static_cast<std::uint64_t>(n) * 1'000'000'000 / Rate());
    flow.pieces.push_back({direction.free + line.delay, std::move(bytes)});
  }

  // What has arrived by now.
  void Write(Connection& connection, Flow& flow, Clock::time_point now) {
    while (!flow.pieces.empty() && flow.pieces.front().due <= now) {
      Piece& piece = flow.pieces.front();
      const ssize_t n = send(flow.to, piece.bytes.data() + piece.written, piece.bytes.size() - piece.written, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n < 0) {
        connection.broken = true;
        return;
      }
      piece.written += static_cast<std::size_t>(n);
      if (piece.written == piece.bytes.size()) flow.pieces.pop_front();
    }
    if (flow.ended && flow.pieces.empty()) shutdown(flow.to, SHUT_WR);
  }

  void Close(Connection& connection) {
    close(connection.client);
    close(connection.target);
  }

  // When something happens that no socket tells of.
  Clock::duration UntilNext(Clock::time_point now) const {
    Clock::time_point next = now + std::chrono::milliseconds(200);
    for (const Connection& connection : connections) {
      for (const Flow& flow : connection.flows) {
        if (!flow.pieces.empty() && flow.pieces.front().due > now) next = std::min(next, flow.pieces.front().due);
        if (!flow.ended && !MayRead(flow, now)) next = std::min(next, flow.direction->free - kRouterQueue);
      }
    }
    return std::max(next - now, Clock::duration(0));
  }

  void Run() {
    while (!stopping) {
      if (cut.exchange(false)) {
        for (Connection& connection : connections) connection.broken = true;
      }
      const auto now = Clock::now();
      const bool passes = !broken;
      if (passes) {
        for (Connection& connection : connections) {
          for (Flow& flow : connection.flows) Write(connection, flow, now);
          const bool over = connection.flows[0].ended && connection.flows[1].ended && connection.flows[0].pieces.empty() &&
                            connection.flows[1].pieces.empty();
          if (over) connection.broken = true;
        }
      }
      connections.remove_if([this](Connection& connection) {
        if (connection.broken) Close(connection);
        return connection.broken;
      });

      std::vector<pollfd> polled{{wake, POLLIN, 0}, {listener, static_cast<short>(passes ? POLLIN : 0), 0}};
      std::vector<std::pair<Connection*, Flow*>> flows;
      for (Connection& connection : connections) {
        for (Flow& flow : connection.flows) {
          if (!passes || !MayRead(flow, now)) continue;
          polled.push_back({flow.from, POLLIN, 0});
          flows.emplace_back(&connection, &flow);
        }
        for (Flow& flow : connection.flows) {
          const bool waits = passes && !flow.pieces.empty() && flow.pieces.front().due <= now;
          if (waits) polled.push_back({flow.to, POLLOUT, 0});  // its buffer was full
        }
      }
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(UntilNext(now));
      const timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
      ppoll(polled.data(), polled.size(), &wait, nullptr);
      if ((polled[0].revents & POLLIN) != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = read(wake, &count, sizeof count);
      }
      if ((polled[1].revents & POLLIN) != 0) Accept();
      const auto after = Clock::now();
      for (auto& [connection, flow] : flows) {
        // Asked anew: an earlier flow may have filled the line.
        if (MayRead(*flow, after)) Read(*connection, *flow, after);
      }
    }
    for (Connection& connection : connections) Close(connection);
  }
};

SlowLink::SlowLink() : impl_(std::make_unique<Impl>()) {}

SlowLink::~SlowLink() {
  impl_->stopping = true;
  impl_->Wake();
  if (impl_->thread.joinable()) impl_->thread.join();
  if (impl_->listener >= 0) close(impl_->listener);
  close(impl_->wake);
}

Result<std::unique_ptr<SlowLink>> SlowLink::Start(const std::string& target, const Line& line) {
  const std::string prefix = "tcp://127.0.0.1:";
  const int port = target.starts_with(prefix) ? std::atoi(target.c_str() + prefix.size()) : 0;
  if (port <= 0 || port > 65535) return MakeError(Code::kInvalidArgument, "'{}' is no endpoint of the form {}PORT", target, prefix);
  std::unique_ptr<SlowLink> link(new SlowLink());
  Impl& impl = *link->impl_;
  impl.line = line;
  impl.target.sin_family = AF_INET;
  impl.target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  impl.target.sin_port = htons(static_cast<std::uint16_t>(port));
  impl.listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof own;
  if (impl.listener < 0 || bind(impl.listener, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      listen(impl.listener, 64) != 0 || getsockname(impl.listener, reinterpret_cast<sockaddr*>(&own), &length) != 0) {
    return MakeError(Code::kIo, "no loopback port could be bound for the link to {}: {}", target, std::strerror(errno));
  }
  impl.port = ntohs(own.sin_port);
  impl.thread = std::thread([&impl] { impl.Run(); });
  return link;
}

std::string SlowLink::endpoint() const { return "tcp://127.0.0.1:" + std::to_string(impl_->port); }
void SlowLink::Break() {
  impl_->broken = true;
  impl_->Wake();
}
void SlowLink::Mend() {
  impl_->broken = false;
  impl_->Wake();
}
void SlowLink::Cut() {
  impl_->cut = true;
  impl_->Wake();
}
std::uint64_t SlowLink::up() const { return impl_->directions[0].bytes; }
std::uint64_t SlowLink::down() const { return impl_->directions[1].bytes; }

}  // namespace tributary::testing
