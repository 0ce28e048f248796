// Peers that break the rules: each loses its own frame or connection, and nobody else notices.
#include <gmock/gmock.h>

#include <zmq.h>

#include <algorithm>

#include "endpoints.h"
#include "tributary/base/log.h"

namespace tributary::transport {
namespace {

// A DEALER that sends whatever it is told to.
class RawPeer {
 public:
  explicit RawPeer(const std::string& endpoint, int receive_high_water = 1000)
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
    const int none = 0;
    const int patience = static_cast<int>(kPatience.count());
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &receive_high_water, sizeof receive_high_water);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~RawPeer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  void Send(const std::string& bytes, bool more = false) {
    EXPECT_EQ(zmq_send(socket_, bytes.data(), bytes.size(), more ? ZMQ_SNDMORE : 0), static_cast<int>(bytes.size()));
  }
  std::string Receive() {
    std::string bytes(1 << 16, '\0');
    const int size = zmq_recv(socket_, bytes.data(), bytes.size(), 0);
    bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return bytes;
  }

 private:
  void* context_;
  void* socket_;
};

Error AnswerTo(RawPeer& peer) {
  const std::string answer = peer.Receive();
  const auto view = wire::ParseFrame(std::as_bytes(std::span(answer)));
  EXPECT_TRUE(view.ok());
  if (!view.ok() || view->type != wire::Type::kError) return Error(Code::kUnknown, "no error came");
  return wire::ErrorOf(*view);
}

TEST(HostilePeer, AMalformedFrameIsAnsweredAndTheServerLives) {
  QueueHandler handler;
  const auto server = Serve(handler);
  const auto client = Dial(server->endpoint());
  RawPeer peer(server->endpoint());
  for (const std::string& frame : {std::string("x"), std::string(100, '\xff'), std::string(4, '\0')}) {
    peer.Send(frame);
    const Error error = AnswerTo(peer);
    EXPECT_EQ(error.code(), Code::kProtocol);
    EXPECT_THAT(error.message(), testing::HasSubstr("malformed frame"));
  }
  EXPECT_EQ(server->counters().malformed, 3u);
  ExpectServerAlive(*server, handler, *client);
  // Even the peer itself may go on with frames that are some.
  peer.Send(wire::EncodeFrame(1, wire::Ping{}));
  EXPECT_EQ(handler.Next()->id, 1u);
}

TEST(HostilePeer, MalformedFramesAreLoggedOnce) {
  log::InitLog("test", log::Level::kInfo, log::Format::kText);
  QueueHandler handler;
  const auto server = Serve(handler);
  RawPeer peer(server->endpoint());
  testing::internal::CaptureStderr();
  for (int i = 0; i < 50; ++i) {
    peer.Send("x");
    EXPECT_EQ(AnswerTo(peer).code(), Code::kProtocol);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(server->counters().malformed, 50u);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_THAT(text, testing::HasSubstr("malformed frame"));
}

TEST(HostilePeer, OneThatDoesNotReadIsGoneAtTheSendHighWaterMark) {
  QueueHandler handler;
  const auto server = Serve(handler, wire::kMaxControlFrame, "tcp://127.0.0.1:0", 4);
  const auto client = Dial(server->endpoint());
  RawPeer peer(server->endpoint(), 1);
  peer.Send(wire::EncodeFrame(1, wire::Ping{}));
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  // Far less than what a mark of 1000 and the kernel hold together.
  const std::string large(60'000, 'x');
  for (int i = 0; i < 600; ++i) server->Send(got->peer, MakeFrame(1, wire::JobText{"j", large}));
  EXPECT_TRUE(handler.WaitForGone(1));
  EXPECT_GT(server->counters().unroutable, 0u);
  ExpectServerAlive(*server, handler, *client);
}

TEST(HostilePeer, AFrameThatIsTooLongCostsItsSenderTheConnection) {
  QueueHandler handler;
  const auto server = Serve(handler, 4096);
  const auto client = Dial(server->endpoint());
  ExpectServerAlive(*server, handler, *client);
  const auto rude = Dial(server->endpoint());
  ASSERT_TRUE(rude->Send(MakeFrame(1, wire::JobText{"j", std::string(8000, 'x')})).ok());
  EXPECT_EQ(rude->Receive(kPatience)->event, Event::kLost);
  ExpectServerAlive(*server, handler, *client);
  EXPECT_EQ(client->Receive(Duration(0))->event, Event::kTimeout);  // not lost
}

TEST(HostilePeer, AMessageOfSeveralPartsIsDropped) {
  QueueHandler handler;
  const auto server = Serve(handler);
  const auto client = Dial(server->endpoint());
  RawPeer peer(server->endpoint());
  const std::string frame = wire::EncodeFrame(5, wire::Ping{});
  peer.Send(frame, true);
  peer.Send(frame, true);
  peer.Send(frame);
  peer.Send(wire::EncodeFrame(6, wire::Ping{}));
  EXPECT_EQ(handler.Next()->id, 6u);
  EXPECT_EQ(server->counters().multipart, 1u);
  ExpectServerAlive(*server, handler, *client);
}

TEST(HostilePeer, AServerThatBreaksTheRulesIsAnErrorAtTheClient) {
  void* context = zmq_ctx_new();
  void* router = zmq_socket(context, ZMQ_ROUTER);
  const int none = 0;
  zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof none);
  ASSERT_EQ(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
  char endpoint[256];
  std::size_t length = sizeof endpoint;
  ASSERT_EQ(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &length), 0);
  const auto client = Dial(endpoint);
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::Ping{})).ok());
  char id[256];
  const int id_size = zmq_recv(router, id, sizeof id, 0);
  char rest[256];
  ASSERT_GT(zmq_recv(router, rest, sizeof rest, 0), 0);
  const auto send = [&](const std::string& bytes, int flags) { zmq_send(router, bytes.data(), bytes.size(), flags); };
  zmq_send(router, id, static_cast<std::size_t>(id_size), ZMQ_SNDMORE);
  send("rubbish", 0);
  auto received = client->Receive(kPatience);
  ASSERT_FALSE(received.ok());
  EXPECT_EQ(received.error().code(), Code::kProtocol);
  zmq_send(router, id, static_cast<std::size_t>(id_size), ZMQ_SNDMORE);
  send("one", ZMQ_SNDMORE);
  send("two", 0);
  received = client->Receive(kPatience);
  ASSERT_FALSE(received.ok());
  EXPECT_THAT(received.error().message(), testing::HasSubstr("several parts"));
  zmq_send(router, id, static_cast<std::size_t>(id_size), ZMQ_SNDMORE);
  send(wire::EncodeFrame(1, wire::Pong{}), 0);
  received = client->Receive(kPatience);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->event, Event::kFrame);
  zmq_close(router);
  zmq_ctx_term(context);
}

}  // namespace
}  // namespace tributary::transport
