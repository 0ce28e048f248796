// Private: CURVE on a socket that is not bound or connected yet. Throws what libzmq throws.
#pragma once

#include <string_view>
#include <zmq.hpp>

#include "tributary/transport/curve.h"

namespace tributary::transport {

// What CURVE adds to each message on the wire: its command's name, a nonce, flags and a MAC.
constexpr std::uint64_t kCurveOverhead = 33;

inline void UseCurve(zmq::socket_t& socket, const CurveKeys& server) {
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_publickey, server.public_key);
  socket.set(zmq::sockopt::curve_secretkey, server.secret_key);
}
inline void UseCurve(zmq::socket_t& socket, const CurveClient& client) {
  socket.set(zmq::sockopt::curve_serverkey, client.server_key);
  socket.set(zmq::sockopt::curve_publickey, client.own.public_key);
  socket.set(zmq::sockopt::curve_secretkey, client.own.secret_key);
}

// The key that the connection of this message was admitted with; empty: none.
inline std::string_view UserOf(zmq::message_t& message) {
  const char* const user = zmq_msg_gets(message.handle(), "User-Id");
  return user == nullptr ? std::string_view() : std::string_view(user);
}

}  // namespace tributary::transport
