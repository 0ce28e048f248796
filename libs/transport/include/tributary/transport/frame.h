// Frames as they pass through sockets: received ones own libzmq's message, sent ones may carry a pool buffer.
//
// InFrame: `view` points into the message; both live until the InFrame is destroyed. OutFrame: a header (from wire::MakeHeader or
// EncodeFrame) and perhaps a payload, which is sent without a copy: the buffer's headroom takes the header, and the
// buffer is released when libzmq has put the bytes on the wire or dropped them. Movable values.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tributary/memory/pool.h"
#include "tributary/transport/peers.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/frame.h"

namespace tributary::transport {

class InFrame {
 public:
  struct Message;  // libzmq's
  InFrame();
  explicit InFrame(std::unique_ptr<Message> message, wire::FrameView view);
  InFrame(InFrame&&) noexcept;
  InFrame& operator=(InFrame&&) noexcept;
  ~InFrame();

  const wire::FrameView& view() const { return view_; }
  std::size_t size() const;  // bytes of the whole frame
  // Who sent it, as its connection's key says and the list of peers of this moment; null where the server has no keys. Never what the frame itself claims.
  const Identity* sender() const { return sender_.get(); }
  void SetSender(std::shared_ptr<const Identity> sender) { sender_ = std::move(sender); }
  // Pool bytes that the frame holds while it lives.
  void Attach(memory::Reservation reservation) { reservation_ = std::move(reservation); }

 private:
  std::unique_ptr<Message> message_;
  wire::FrameView view_;
  std::shared_ptr<const Identity> sender_;
  memory::Reservation reservation_;
};

struct OutFrame {
  std::string header;           // a whole frame if there is no payload
  memory::BufferPtr payload;    // or null
};

template <class Message>
OutFrame MakeFrame(std::uint64_t id, const Message& message) {
  return {wire::EncodeFrame(id, message), nullptr};
}
// REQUIRES: payload->payload() not empty.
template <class Message>
OutFrame MakeFrame(std::uint64_t id, const Message& message, memory::BufferPtr payload) {
  return {wire::MakeHeader(Message::kType, id, wire::EncodeBody(message), true), std::move(payload)};
}

}  // namespace tributary::transport
