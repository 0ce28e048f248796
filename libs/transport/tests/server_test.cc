#include <gmock/gmock.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "endpoints.h"

namespace tributary::transport {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(FrameServer, NamesAPortInUse) {
  QueueHandler handler;
  const auto server = Serve(handler);
  const auto second = FrameServer::Start(std::make_shared<Context>(), {.endpoint = server->endpoint()}, handler);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
  EXPECT_THAT(second.error().message(), AllOf(HasSubstr(server->endpoint()), HasSubstr("in use"), HasSubstr("--listen")));
}

TEST(FrameServer, NamesAnEndpointThatIsNone) {
  QueueHandler handler;
  const auto server = FrameServer::Start(std::make_shared<Context>(), {.endpoint = "nonsense"}, handler);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(server.error().message(), HasSubstr("nonsense cannot be bound"));
}

TEST(FrameServer, ToldTheRealPort) {
  QueueHandler handler;
  const auto server = Serve(handler);
  EXPECT_THAT(server->endpoint(), AllOf(HasSubstr("tcp://127.0.0.1:"), testing::Not(testing::EndsWith(":0"))));
}

TEST(FrameServer, ServesManyPeersAndKeepsTheOrderOfEach) {
  QueueHandler handler;
  const auto server = Serve(handler);
  constexpr int kPeers = 40;
  constexpr int kFrames = 25;
  const auto context = std::make_shared<Context>();
  std::vector<std::unique_ptr<FrameClient>> clients;
  for (int i = 0; i < kPeers; ++i) clients.push_back(std::move(*FrameClient::Connect(context, {server->endpoint()})));
  for (std::uint64_t n = 1; n <= kFrames; ++n) {
    for (auto& client : clients) ASSERT_TRUE(client->Send(MakeFrame(n, wire::Ping{})).ok());
  }
  std::map<PeerId, std::uint64_t> newest;
  for (int i = 0; i < kPeers * kFrames; ++i) {
    const auto got = handler.Next();
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->id, newest[got->peer] + 1);
    newest[got->peer] = got->id;
    server->Send(got->peer, MakeFrame(got->id, wire::Pong{"test", "1"}));
  }
  EXPECT_EQ(newest.size(), static_cast<std::size_t>(kPeers));
  for (auto& client : clients) {
    for (std::uint64_t n = 1; n <= kFrames; ++n) {
      const auto received = client->Receive(kPatience);
      ASSERT_TRUE(received.ok() && received->event == Event::kFrame);
      EXPECT_EQ(received->frame.view().id, n);
    }
  }
}

TEST(FrameServer, TellsOfAPeerThatWentAway) {
  QueueHandler handler;
  const auto server = Serve(handler);
  auto client = Dial(server->endpoint());
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::Ping{})).ok());
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  client.reset();
  // The server learns it from the first frame that has nowhere to go.
  EXPECT_TRUE(Eventually([&] {
    server->Send(got->peer, MakeFrame(1, wire::Pong{}));
    return server->counters().unroutable > 0;
  }));
  EXPECT_TRUE(handler.WaitForGone(1));
}

TEST(FrameServer, KnowsTheRoundTripOfTcpConnectionsAndThatTheyAreWithinTheMachine) {
  const auto round_trip = [](const std::string& endpoint) {
    QueueHandler handler;
    const auto server = std::move(*FrameServer::Start(std::make_shared<Context>(), {.endpoint = endpoint}, handler));
    const auto client = std::move(*FrameClient::Connect(std::make_shared<Context>(), {server->endpoint()}));
    EXPECT_TRUE(client->Send(MakeFrame(1, wire::Ping{})).ok());
    const auto got = handler.Next();
    if (!got) return std::optional<std::chrono::microseconds>();
    std::promise<std::optional<std::chrono::microseconds>> told;
    server->Post([&] {
      EXPECT_FALSE(server->OverNetwork(got->peer));
      told.set_value(server->RoundTrip(got->peer));
    });
    return told.get_future().get();
  };
  EXPECT_TRUE(round_trip("tcp://127.0.0.1:0").has_value());
  EXPECT_FALSE(round_trip("ipc://@tributary-round-trip-" + std::to_string(getpid())).has_value());
}

TEST(FrameServer, RunsPostedWorkOnItsOwnThreadInOrder) {
  QueueHandler handler;
  const auto server = Serve(handler);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> order;
  std::thread::id thread;
  for (int i = 0; i < 3; ++i) {
    server->Post([&, i] {
      const std::lock_guard lock(mutex);
      order.push_back(i);
      thread = std::this_thread::get_id();
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return order.size() == 3; }));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(FrameServer, TicksAndStops) {
  QueueHandler handler;
  const auto server = Serve(handler);
  EXPECT_TRUE(handler.WaitForTicks(3));
  server->Stop();
  server->Stop();
  server->Send(PeerId{"x"}, MakeFrame(1, wire::Ping{}));  // no effect, no harm
}

}  // namespace
}  // namespace tributary::transport
