#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "endpoints.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

std::string IpcEndpoint(const std::string& name) {
  return "ipc://" + (std::filesystem::temp_directory_path() / fmt::format("tributary-{}-{}", name, getpid())).string();
}

TEST(FrameClient, NamesAnEndpointThatIsNone) {
  const auto client = FrameClient::Connect(std::make_shared<Context>(), {"nonsense"});
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(client.error().message(), HasSubstr("nonsense cannot be connected to"));
}

TEST(FrameClient, TimesOutWhenNobodyAnswers) {
  const auto client = Dial(IpcEndpoint("nobody"));
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::Ping{})).ok());
  EXPECT_EQ(client->Receive(Duration(10))->event, Event::kTimeout);
}

TEST(FrameClient, IsInterruptedWhileItWaitsOrBefore) {
  const auto client = Dial(IpcEndpoint("nobody"));
  client->Interrupt();
  EXPECT_EQ(client->Receive(kPatience)->event, Event::kInterrupted);
  std::thread other([&] { client->Interrupt(); });
  EXPECT_EQ(client->Receive(kPatience)->event, Event::kInterrupted);
  other.join();
}

TEST(FrameClient, TellsThatTheServerIsGoneAfterItsLastFrame) {
  const std::string endpoint = IpcEndpoint("gone");
  QueueHandler handler;
  auto server = Serve(handler, wire::kMaxControlFrame, endpoint);
  const auto client = Dial(endpoint);
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::Ping{})).ok());
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  server->Send(got->peer, MakeFrame(1, wire::Pong{}));
  ASSERT_EQ(client->Receive(kPatience)->event, Event::kFrame);
  server.reset();
  EXPECT_EQ(client->Receive(kPatience)->event, Event::kLost);

  // A server on the same endpoint is found again, and a fresh socket brings nothing old along.
  ASSERT_TRUE(client->Send(MakeFrame(2, wire::Ping{})).ok());
  ASSERT_TRUE(client->Reset().ok());
  QueueHandler second;
  const auto again = Serve(second, wire::kMaxControlFrame, endpoint);
  ASSERT_TRUE(client->Send(MakeFrame(3, wire::Ping{})).ok());
  const auto first = second.Next();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->id, 3u);
  again->Send(first->peer, MakeFrame(3, wire::Pong{}));
  const auto received = client->Receive(kPatience);
  ASSERT_TRUE(received.ok() && received->event == Event::kFrame);
  EXPECT_EQ(received->frame.view().id, 3u);
}

TEST(FrameClient, ResetGivesQueuedBuffersBack) {
  memory::Pool pool(8_MiB);
  const auto client = Dial(IpcEndpoint("nobody"), wire::kMaxDataFrame);
  auto buffer = pool.TryAllocate(memory::Side::kWrite, 1 << 20);
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::PutChunk{.object = "o"}, std::move(buffer))).ok());
  EXPECT_GT(pool.Use().used[1], 0u);
  ASSERT_TRUE(client->Reset().ok());
  EXPECT_TRUE(Eventually([&] { return pool.Use().used[1] == 0; }));
}

TEST(FrameClient, RefusesToQueueWithoutEnd) {
  const auto client = Dial(IpcEndpoint("nobody"));
  Status status;
  for (int i = 0; i < 1100 && status.ok(); ++i) status = client->Send(MakeFrame(1, wire::Ping{}));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace tributary::transport
