// A DEALER that sends what no client of ours would.
#pragma once

#include <gtest/gtest.h>
#include <zmq.h>

#include <string>

#include "tributary/transport/curve.h"

namespace tributary::transport {

// A DEALER of bare libzmq with keys and whatever routing id it likes.
class RawDealer {
 public:
  RawDealer(const std::string& endpoint, const CurveKeys& own, const std::string& server_key, const std::string& routing_id = "")
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, own.public_key.c_str(), own.public_key.size() + 1);
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, own.secret_key.c_str(), own.secret_key.size() + 1);
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, server_key.c_str(), server_key.size() + 1);
    if (!routing_id.empty()) zmq_setsockopt(socket_, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~RawDealer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  bool Send(const std::string& bytes, bool more = false) {
    return zmq_send(socket_, bytes.data(), bytes.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) == static_cast<int>(bytes.size());
  }

 private:
  void* context_;
  void* socket_;
};

}  // namespace tributary::transport
