// Encode and decode any message struct of this library to and from a MessagePack map.
//
// Keys are the field names. A reader skips keys that it does not know and keeps the default of those that are
// missing, so that fields can be added; a value of the wrong type is an error that names message and field. Both directions come from
// one list of fields per message (src/*.cc). Sizes of strings, arrays and maps are bounded. Pure; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/wire/frame.h"

namespace tributary::wire {

template <class Message>
std::string EncodeBody(const Message& message);

template <class Message>
Result<Message> DecodeBody(std::span<const std::byte> body);

// A whole frame without payload.
template <class Message>
std::string EncodeFrame(std::uint64_t id, const Message& message) {
  return MakeHeader(Message::kType, id, EncodeBody(message), false);
}

// The body of a frame that must be of this type; a kError frame becomes its error.
template <class Message>
Result<Message> Expect(const FrameView& frame);

// The error that a kError frame carries. REQUIRES frame.type == Type::kError.
Error ErrorOf(const FrameView& frame);
// A whole kError frame in answer to request `id`.
std::string EncodeError(std::uint64_t id, const Error& error);

}  // namespace tributary::wire
