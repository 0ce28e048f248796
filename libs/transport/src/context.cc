#include "tributary/transport/context.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>

#include "zmq_frame.h"

namespace tributary::transport {

namespace {

constexpr int kMaxSockets = 4096;

}  // namespace

struct Context::Impl {
  Impl(int threads, std::optional<Keyring> who) : context(threads), keyring(std::move(who)) {
    // libzmq numbers connections from rand(): a peer that knows the next number takes it for its own name, and the
    // next connection then ends the process.
    // Each connection of a client is three of these; libzmq's default is 1,023.
    context.set(zmq::ctxopt::max_sockets, kMaxSockets);
    static std::once_flag once;
    std::call_once(once, [] { srand(std::random_device{}()); });
  }
  zmq::context_t context;
  const std::optional<Keyring> keyring;
};

Context::Context(int io_threads, std::optional<Keyring> keyring) : impl_(std::make_unique<Impl>(io_threads, std::move(keyring))) {}
Context::~Context() {
  impl_.reset();
  TakenFromZmq();
}
const std::optional<Keyring>& Context::keyring() const { return impl_->keyring; }
void* Context::native() const { return &impl_->context; }

InFrame::InFrame() = default;
InFrame::InFrame(std::unique_ptr<Message> message, wire::FrameView view) : message_(std::move(message)), view_(view) {
  if (message_) message_->Count();
}
InFrame::InFrame(InFrame&&) noexcept = default;
// The message goes before the reservation that covers it.
InFrame& InFrame::operator=(InFrame&& other) noexcept {
  message_ = std::move(other.message_);
  view_ = other.view_;
  sender_ = std::move(other.sender_);
  reservation_ = std::move(other.reservation_);
  return *this;
}
InFrame::~InFrame() { message_.reset(); }
std::size_t InFrame::size() const { return message_ ? message_->message.size() : 0; }

zmq::message_t ToMessage(OutFrame frame) {
  if (!frame.payload) return zmq::message_t(frame.header.data(), frame.header.size());
  const auto headroom = frame.payload->headroom();
  const auto payload = frame.payload->payload();
  if (frame.header.size() > headroom.size()) {
    // Names and fields are bounded so that this does not happen; a copy is still a correct frame.
    zmq::message_t message(frame.header.size() + payload.size());
    std::memcpy(message.data(), frame.header.data(), frame.header.size());
    std::memcpy(static_cast<std::byte*>(message.data()) + frame.header.size(), payload.data(), payload.size());
    return message;
  }
  std::byte* begin = headroom.data() + headroom.size() - frame.header.size();
  std::memcpy(begin, frame.header.data(), frame.header.size());
  const std::size_t size = frame.header.size() + payload.size();
  auto* hold = new memory::BufferPtr(std::move(frame.payload));
  GivenToZmq();
  return zmq::message_t(
      begin, size,
      [](void*, void* hint) {
        TakenFromZmq();
        delete static_cast<memory::BufferPtr*>(hint);
        GivenToZmq();
      },
      hold);
}

}  // namespace tributary::transport
