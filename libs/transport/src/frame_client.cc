#include "tributary/transport/frame_client.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "tcp_counts.h"
#include "zmq_curve.h"
#include "zmq_frame.h"

namespace tributary::transport {
namespace {

constexpr int kSendHighWater = 1000;
constexpr int kEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

struct FrameClient::Impl {
  std::shared_ptr<Context> context;
  ClientOptions options;
  zmq::socket_t socket;
  zmq::socket_t monitor;
  WakeFd wake;
  int connection = -1;  // libzmq's
  ino_t inode = 0;      // the number may be another file's by now
  std::optional<CurveClient> curve;
  std::string trouble;  // of the last handshake
  bool refused = false;  // it failed for keys, and not because somebody hung up

  Status Open() {
    static std::atomic<std::uint64_t> counter{0};
    try {
      socket = zmq::socket_t(Native(*context), zmq::socket_type::dealer);
      socket.set(zmq::sockopt::linger, 0);
      socket.set(zmq::sockopt::rcvhwm, options.receive_high_water);
      socket.set(zmq::sockopt::sndhwm, kSendHighWater);
      socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.max_frame_bytes + (curve ? kCurveOverhead : 0)));
      socket.set(zmq::sockopt::reconnect_ivl, 50);
      socket.set(zmq::sockopt::reconnect_ivl_max, 2000);
      socket.set(zmq::sockopt::tcp_keepalive, 1);
      socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
      if (curve) UseCurve(socket, *curve);
      const std::string address = "inproc://monitor-" + std::to_string(++counter);
      if (zmq_socket_monitor(socket.handle(), address.c_str(), kEvents) != 0) throw zmq::error_t();
      monitor = zmq::socket_t(Native(*context), zmq::socket_type::pair);
      monitor.set(zmq::sockopt::linger, 0);
      monitor.connect(address);
      socket.connect(options.endpoint);
    } catch (const zmq::error_t& e) {
      if (e.num() == EMFILE) {
        return MakeError(Code::kResourceExhausted, "no socket is left for {}: too many connections of this process, or open files (ulimit -n)",
                         options.endpoint);
      }
      return MakeError(Code::kInvalidArgument, "{} cannot be connected to: {}; write tcp://HOST:PORT or ipc://PATH",
                       options.endpoint, e.what());
    }
    return Ok();
  }

  // First the monitor's end in libzmq: its I/O thread would wait for ever to tell a monitor that is gone of a connection that has just come up, and
  // with it everything else of this context.
  void Close() {
    if (socket.handle() != nullptr) zmq_socket_monitor(socket.handle(), nullptr, 0);
    socket.close();
    monitor.close();
  }

  // Reads what the monitor tells; true if a disconnect was among it, or a handshake that failed: after one libzmq does not dial again by itself.
  bool DrainMonitor() {
    bool lost = false;
    for (;;) {
      zmq::message_t part;
      if (!monitor.recv(part, zmq::recv_flags::dontwait)) return lost;
      std::uint16_t event = 0;
      std::uint32_t value = 0;
      if (part.size() >= sizeof event) std::memcpy(&event, part.data(), sizeof event);
      if (part.size() >= sizeof event + sizeof value) std::memcpy(&value, static_cast<const std::byte*>(part.data()) + sizeof event, sizeof value);
      constexpr int kFailed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
      lost = lost || (event & kFailed) != 0;
      if ((event & kFailed) != 0) refused = event != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
      // Closed: nobody took the connection, and what an earlier one failed for is not why.
      if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED || event == ZMQ_EVENT_CLOSED) {
        trouble.clear();
        refused = false;
      } else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        trouble = fmt::format("; it refuses this process's key, {}: have it added to the server's --peers", curve ? curve->own.public_key : "");
      } else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL || event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
        trouble = curve ? fmt::format("; it breaks off the handshake: it has no keys, or its key is not {} as --peers says of the {}", curve->server_key, RoleName(options.server))
                        : "; it breaks off the handshake: it has keys, give --key and --peers";
      } else if (event == ZMQ_EVENT_DISCONNECTED) {
        lost = true;
        connection = -1;
      } else if (event == ZMQ_EVENT_CONNECTED) {
        connection = static_cast<int>(value);
        inode = InodeOf(connection);
      }
      while (part.more() && monitor.recv(part, zmq::recv_flags::dontwait)) {
      }
    }
  }

  Result<Received> ReceiveFrame() {
    auto message = std::make_unique<InFrame::Message>();
    if (!socket.recv(message->message, zmq::recv_flags::dontwait)) return Received{};
    TakenFromZmq();
    if (message->message.more()) {
      zmq::message_t rest;
      do {
        if (!socket.recv(rest, zmq::recv_flags::dontwait)) break;
      } while (rest.more());
      return MakeError(Code::kProtocol, "{} sent a message of several parts", options.endpoint);
    }
    auto view = wire::ParseFrame({static_cast<const std::byte*>(message->message.data()), message->message.size()});
    if (!view.ok()) return view.error().Wrap(options.endpoint);
    return Received{Event::kFrame, InFrame(std::move(message), *view)};
  }
};

FrameClient::FrameClient() : impl_(std::make_unique<Impl>()) {}
FrameClient::~FrameClient() {
  if (impl_) impl_->Close();
}

Result<std::unique_ptr<FrameClient>> FrameClient::Connect(std::shared_ptr<Context> context,
                                                          const ClientOptions& options) {
  std::unique_ptr<FrameClient> client(new FrameClient());
  client->impl_->context = std::move(context);
  client->impl_->options = options;
  if (const auto& keyring = client->impl_->context->keyring()) {
    const auto key = keyring->peers.KeyToDial(options.server, options.server_name);
    if (!key.ok()) return key.error().Wrap(options.endpoint);
    client->impl_->curve = CurveClient{keyring->own, *key};
  }
  TRIBUTARY_TRY(client->impl_->Open());
  return client;
}

Status FrameClient::Send(OutFrame frame) {
  try {
    zmq::message_t message = ToMessage(std::move(frame));
    GivenToZmq();
    if (!impl_->socket.send(message, zmq::send_flags::dontwait)) {
      return MakeError(Code::kUnavailable, "{} does not take what is sent to it", impl_->options.endpoint);
    }
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kIo, "sending to {}: {}", impl_->options.endpoint, e.what());
  }
  return Ok();
}

Result<Received> FrameClient::Receive(Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    try {
      auto received = impl_->ReceiveFrame();
      if (!received.ok() || received->event == Event::kFrame) return received;
      const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
      zmq::pollitem_t items[] = {{impl_->socket.handle(), 0, ZMQ_POLLIN, 0},
                                 {impl_->monitor.handle(), 0, ZMQ_POLLIN, 0},
                                 {nullptr, impl_->wake.fd(), ZMQ_POLLIN, 0}};
      const int ready = zmq::poll(items, 3, std::max(left, Duration(0)));
      if (items[2].revents != 0) {
        impl_->wake.Drain();
        return Received{Event::kInterrupted, {}};
      }
      if (items[0].revents != 0) continue;  // frames first: a reply may precede the loss
      if (items[1].revents != 0 && impl_->DrainMonitor()) return Received{Event::kLost, {}};
      if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return Received{Event::kTimeout, {}};
    } catch (const zmq::error_t& e) {
      if (e.num() == EINTR) continue;
      return MakeError(Code::kIo, "receiving from {}: {}", impl_->options.endpoint, e.what());
    }
  }
}

Status FrameClient::WaitAny(std::span<FrameClient* const> clients, Duration timeout) {
  std::vector<zmq::pollitem_t> items;
  items.reserve(3 * clients.size());
  for (FrameClient* const client : clients) {
    items.push_back({client->impl_->socket.handle(), 0, ZMQ_POLLIN, 0});
    items.push_back({client->impl_->monitor.handle(), 0, ZMQ_POLLIN, 0});
    items.push_back({nullptr, client->impl_->wake.fd(), ZMQ_POLLIN, 0});
  }
  try {
    zmq::poll(items, std::max(timeout, Duration(0)));
  } catch (const zmq::error_t& e) {
    if (e.num() != EINTR) return MakeError(Code::kIo, "waiting for {} connections: {}", clients.size(), e.what());
  }
  return Ok();
}

std::optional<LineBytes> FrameClient::Line() const {
  if (impl_->connection < 0 || impl_->inode == 0 || InodeOf(impl_->connection) != impl_->inode) return std::nullopt;
  const auto counts = CountsOf(impl_->connection);
  if (!counts) return std::nullopt;
  return LineBytes{counts->acknowledged, counts->received};
}

Status FrameClient::Reset() {
  impl_->connection = -1;
  impl_->Close();
  return impl_->Open();
}

void FrameClient::Interrupt() { impl_->wake.Signal(); }

std::string FrameClient::Trouble() const { return impl_->trouble; }

bool FrameClient::Refused() const { return impl_->refused; }

const std::string& FrameClient::endpoint() const { return impl_->options.endpoint; }

}  // namespace tributary::transport
