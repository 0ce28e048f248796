// Connections that cost memory without ever ending a message, and too many of them.
#include <gmock/gmock.h>

#include "endpoints.h"
#include "raw_connection.h"

namespace tributary::transport {
namespace {

constexpr std::size_t kFrame = 1u << 20;

class AllowingHandler : public Handler {
 public:
  explicit AllowingHandler(std::uint64_t allowance) : allowance_(allowance) {}
  void OnFrame(const PeerId&, InFrame) override { ++frames; }
  std::uint64_t Allowance(const PeerId&) override { return allowance_; }
  std::atomic<int> frames{0};

 private:
  const std::uint64_t allowance_;
};

template <class Condition>
bool Eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(Duration(5));
  }
  return true;
}

std::string PingFrame() { return wire::EncodeFrame(1, wire::Ping{}); }

TEST(Watch, AMessageOfEndlessPartsIsCutOff) {
  QueueHandler handler;
  const auto server = Serve(handler, kFrame);
  const auto client = Dial(server->endpoint());
  RawConnection peer(server->endpoint());
  const std::string part(kFrame, 'x');
  int parts = 0;
  while (parts < 4000 && peer.Frame(kFrame, part, true)) ++parts;
  EXPECT_LT(parts, 4000) << "gigabytes were taken";
  EXPECT_TRUE(Eventually([&] { return server->counters().cut_off == 1; }));
  ExpectServerAlive(*server, handler, *client);
}

TEST(Watch, ManyUnfinishedFramesAreCutOffDownToTheLimitOfAll) {
  QueueHandler handler;
  const auto server = Serve(handler, kFrame);  // four frames in all
  const auto client = Dial(server->endpoint());
  std::vector<std::unique_ptr<RawConnection>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<RawConnection>(server->endpoint()));
    peers.back()->Frame(kFrame, std::string(kFrame - 1, 'x'));
  }
  // 20 hold 940 KiB each beyond what is free; four of them stay.
  EXPECT_TRUE(Eventually([&] { return server->counters().cut_off == 16; })) << server->counters().cut_off;
  ExpectServerAlive(*server, handler, *client);
  EXPECT_EQ(server->counters().cut_off, 16u);
}

TEST(Watch, WhatTheHandlerAskedForIsNotCutOff) {
  const std::string ping = PingFrame();
  const std::string large(8 * kFrame, 'x');
  for (const std::uint64_t allowance : {std::uint64_t{0}, std::uint64_t{32 * kFrame}}) {
    AllowingHandler handler(allowance);
    ServerOptions options;
    options.endpoint = "tcp://127.0.0.1:0";
    options.max_frame_bytes = 16 * kFrame;
    options.max_unfinished_bytes = kFrame;
    auto server = FrameServer::Start(std::make_shared<Context>(), options, handler);
    ASSERT_TRUE(server.ok());
    RawConnection peer((*server)->endpoint());
    ASSERT_TRUE(peer.Frame(ping.size(), ping));
    ASSERT_TRUE(Eventually([&] { return handler.frames == 1; }));
    peer.Frame(large.size() + 1, large);
    if (allowance == 0) {
      EXPECT_TRUE(peer.WaitForEnd());
    } else {
      EXPECT_FALSE(peer.WaitForEnd(1));
      EXPECT_TRUE(peer.Write("x"));
      EXPECT_TRUE(Eventually([&] { return (*server)->counters().malformed == 1; })) << "the whole frame came";
    }
    EXPECT_TRUE(Eventually([&] { return (*server)->counters().cut_off == (allowance == 0 ? 1u : 0u); }));
  }
}

TEST(Watch, AConnectionOfManyMessagesIsNotCutOff) {
  AllowingHandler handler(0);
  ServerOptions options;
  options.endpoint = "tcp://127.0.0.1:0";
  options.max_unfinished_bytes = 64u << 10;
  auto server = FrameServer::Start(std::make_shared<Context>(), options, handler);
  ASSERT_TRUE(server.ok());
  const auto client = Dial((*server)->endpoint());
  // 20 MB in frames of a short and of a long header; the count must not drift.
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(Eventually([&] { return client->Send(MakeFrame(1, wire::Ping{})).ok(); }));
    ASSERT_TRUE(Eventually([&] { return client->Send(MakeFrame(1, wire::JobText{"job", std::string(10'000, 'x')})).ok(); }));
  }
  EXPECT_TRUE(Eventually([&] { return handler.frames == 4000; })) << handler.frames;
  EXPECT_EQ((*server)->counters().cut_off, 0u);
  EXPECT_EQ((*server)->counters().connections, 1u);
}

TEST(Watch, ConnectionsBeyondTheCapAreShutDown) {
  QueueHandler handler;
  ServerOptions options;
  options.endpoint = "tcp://127.0.0.1:0";
  options.max_connections = 3;
  auto server = FrameServer::Start(std::make_shared<Context>(), options, handler);
  ASSERT_TRUE(server.ok());
  const auto client = Dial((*server)->endpoint());
  ExpectServerAlive(**server, handler, *client);
  std::vector<std::unique_ptr<RawConnection>> peers;
  for (int i = 0; i < 2; ++i) peers.push_back(std::make_unique<RawConnection>((*server)->endpoint(), false));
  ASSERT_TRUE(Eventually([&] { return (*server)->counters().connections == 3; }));
  RawConnection late((*server)->endpoint(), false);
  EXPECT_TRUE(late.WaitForEnd());
  ExpectServerAlive(**server, handler, *client);
  peers.pop_back();
  ASSERT_TRUE(Eventually([&] { return (*server)->counters().connections == 2; }));
  const auto another = Dial((*server)->endpoint());
  ExpectServerAlive(**server, handler, *another);
}

TEST(Watch, APeerThatEndsIsGoneAndOneThatIsDisconnectedToo) {
  QueueHandler handler;
  const auto server = Serve(handler);
  const std::string ping = PingFrame();
  {
    RawConnection peer(server->endpoint());
    ASSERT_TRUE(peer.Frame(ping.size(), ping));
    ASSERT_TRUE(handler.Next().has_value());
  }
  EXPECT_TRUE(handler.WaitForGone(1));
  RawConnection second(server->endpoint());
  ASSERT_TRUE(second.Frame(ping.size(), ping));
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  server->Disconnect(got->peer);
  EXPECT_TRUE(second.WaitForEnd());
  EXPECT_TRUE(handler.WaitForGone(2));
}

}  // namespace
}  // namespace tributary::transport
