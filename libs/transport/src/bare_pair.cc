#include "tributary/transport/bare_pair.h"

#include <algorithm>
#include <chrono>
#include <vector>
#include <zmq.hpp>

namespace tributary::transport {
namespace {

constexpr int kPatienceMs = 30'000;

// Buffers that live until the context has ended: libzmq may hold the last of them until then.
class Ring {
 public:
  explicit Ring(const BarePair& pair) : bytes_(pair.message_bytes) {
    const std::size_t count = std::max<std::size_t>(1, pair.ring_bytes / bytes_);
    // Written to, so that no page is faulted in while time counts.
    for (std::size_t i = 0; i < count; ++i) buffers_.emplace_back(bytes_, std::byte(i + 1));
  }
  zmq::message_t Next() {
    std::vector<std::byte>& buffer = buffers_[next_++ % buffers_.size()];
    return zmq::message_t(buffer.data(), bytes_, [](void*, void*) {}, nullptr);
  }

 private:
  const std::size_t bytes_;
  std::vector<std::vector<std::byte>> buffers_;
  std::size_t next_ = 0;
};

void SetUp(zmq::socket_t& socket, const BarePair& pair) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, pair.high_water);
  socket.set(zmq::sockopt::rcvhwm, pair.high_water);
  socket.set(zmq::sockopt::sndtimeo, kPatienceMs);
  socket.set(zmq::sockopt::rcvtimeo, kPatienceMs);
}

Error NoProgress() { return MakeError(Code::kDeadline, "the other side of the bare pair did not move for {} s", kPatienceMs / 1000); }

bool Receive(zmq::socket_t& socket, zmq::message_t& message) { return socket.recv(message, zmq::recv_flags::none).has_value(); }

std::span<const std::byte> BytesOf(const zmq::message_t& message) {
  return {static_cast<const std::byte*>(message.data()), message.size()};
}

Status ServeOne(zmq::socket_t& socket, const BarePair& pair, Ring& ring, const OnBareMessage& on_message) {
  zmq::message_t peer;
  zmq::message_t message;
  if (!Receive(socket, peer) || !Receive(socket, message)) return NoProgress();
  const std::string id = peer.to_string();
  const auto send = [&](zmq::message_t body) {
    return socket.send(zmq::message_t(id.data(), id.size()), zmq::send_flags::sndmore).has_value() &&
           socket.send(body, zmq::send_flags::none).has_value();
  };
  for (std::uint64_t i = 0; i < pair.messages; ++i) {
    if (pair.router_sends) {
      if (!send(ring.Next())) return NoProgress();
    } else {
      if (!Receive(socket, peer) || !Receive(socket, message)) return NoProgress();
      on_message(BytesOf(message));
    }
  }
  // Asked for by the sender, or told to it: that everything has been taken.
  if (pair.router_sends) return Receive(socket, peer) && Receive(socket, message) ? Ok() : Status(NoProgress());
  if (!send(zmq::message_t())) return NoProgress();
  return Receive(socket, peer) && Receive(socket, message) ? Ok() : Status(NoProgress());
}

}  // namespace

Status RunBareRouter(const std::string& endpoint, const BarePair& pair, const std::function<void(const std::string&)>& bound,
                     const OnBareMessage& on_message) {
  try {
    Ring ring(pair.router_sends ? pair : BarePair{false, 1, 1, 1, 1});
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::router);
    SetUp(socket, pair);
    socket.set(zmq::sockopt::router_mandatory, 1);  // else it drops what exceeds the mark
    socket.bind(endpoint);
    bound(socket.get(zmq::sockopt::last_endpoint));
    return ServeOne(socket, pair, ring, on_message);
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInvalidArgument, "the bare ROUTER at {}: {}", endpoint, e.what());
  }
}

Result<double> RunBareDealer(const std::string& endpoint, const BarePair& pair, const OnBareMessage& on_message) {
  try {
    Ring ring(pair.router_sends ? BarePair{false, 1, 1, 1, 1} : pair);
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    SetUp(socket, pair);
    socket.connect(endpoint);
    const auto begun = std::chrono::steady_clock::now();
    if (!socket.send(zmq::message_t(), zmq::send_flags::none)) return NoProgress();
    zmq::message_t message;
    for (std::uint64_t i = 0; i < pair.messages; ++i) {
      if (!pair.router_sends) {
        if (!socket.send(ring.Next(), zmq::send_flags::none)) return NoProgress();
      } else {
        if (!Receive(socket, message)) return NoProgress();
        on_message(BytesOf(message));
      }
    }
    if (!pair.router_sends && !Receive(socket, message)) return NoProgress();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    // A farewell, so that neither closes before the other has everything; it must be on its way when this socket closes.
    socket.set(zmq::sockopt::linger, kPatienceMs);
    if (!socket.send(zmq::message_t(), zmq::send_flags::none)) return NoProgress();
    return seconds;
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInvalidArgument, "the bare DEALER to {}: {}", endpoint, e.what());
  }
}

}  // namespace tributary::transport
