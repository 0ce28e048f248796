#include "tributary/transport/bare_pair.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <vector>
#include <zmq.hpp>

#include "zmq_curve.h"

namespace tributary::transport {
namespace {

constexpr int kPatienceMs = 30'000;

// Buffers that live until the context has ended: libzmq may hold the last of them until then.
class Ring {
 public:
  explicit Ring(const BarePair& pair) : bytes_(pair.message_bytes) {
    const std::size_t count = std::min<std::size_t>(std::max<std::size_t>(1, pair.ring_bytes / bytes_), pair.messages);
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

// A ring of one byte, for the side that sends nothing.
BarePair Nothing() {
  BarePair pair;
  pair.message_bytes = pair.ring_bytes = 1;
  return pair;
}

double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

class Meter {
 public:
  BareRun Read() const {
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(), CpuSeconds() - cpu_};
  }

 private:
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const double cpu_ = CpuSeconds();
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

Result<BareRun> ServeOne(zmq::socket_t& socket, const BarePair& pair, Ring& ring, const OnBareMessage& on_message) {
  zmq::message_t peer;
  zmq::message_t message;
  if (!Receive(socket, peer) || !Receive(socket, message)) return NoProgress();
  const Meter meter;
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
  if (!pair.router_sends && !send(zmq::message_t())) return NoProgress();
  // The farewell: everything has been taken.
  if (!Receive(socket, peer) || !Receive(socket, message)) return NoProgress();
  return meter.Read();
}

}  // namespace

Result<BareRun> RunBareRouter(const std::string& endpoint, const BarePair& pair,
                              const std::function<void(const std::string&)>& bound, const OnBareMessage& on_message) {
  try {
    Ring ring(pair.router_sends ? pair : Nothing());
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::router);
    SetUp(socket, pair);
    socket.set(zmq::sockopt::router_mandatory, 1);  // else it drops what exceeds the mark
    if (pair.curve) UseCurve(socket, *pair.curve);
    socket.bind(endpoint);
    bound(socket.get(zmq::sockopt::last_endpoint));
    return ServeOne(socket, pair, ring, on_message);
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInvalidArgument, "the bare ROUTER at {}: {}", endpoint, e.what());
  }
}

Result<BareRun> RunBareDealer(const std::string& endpoint, const BarePair& pair, const OnBareMessage& on_message) {
  try {
    Ring ring(pair.router_sends ? Nothing() : pair);
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    SetUp(socket, pair);
    if (pair.curve) UseCurve(socket, CurveClient{*pair.curve, pair.curve->public_key});
    socket.connect(endpoint);
    const Meter meter;
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
    const BareRun run = meter.Read();
    // A farewell, so that neither closes before the other has everything; it must be on its way when this socket closes.
    socket.set(zmq::sockopt::linger, kPatienceMs);
    if (!socket.send(zmq::message_t(), zmq::send_flags::none)) return NoProgress();
    return run;
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInvalidArgument, "the bare DEALER to {}: {}", endpoint, e.what());
  }
}

}  // namespace tributary::transport
