// Frames with and without payload, and what becomes of the buffers that carry them.
#include <gmock/gmock.h>

#include "endpoints.h"

namespace tributary::transport {
namespace {

memory::BufferPtr Filled(memory::Pool& pool, memory::Side side, std::size_t size) {
  auto buffer = pool.TryAllocate(side, size);
  EXPECT_NE(buffer, nullptr);
  for (std::size_t i = 0; i < size; ++i) buffer->payload()[i] = static_cast<std::byte>(i * 7);
  return buffer;
}

TEST(Frames, CrossWithoutPayload) {
  QueueHandler handler;
  const auto server = Serve(handler);
  const auto client = Dial(server->endpoint());
  ASSERT_TRUE(client->Send(MakeFrame(7, wire::GetJobText{"job-1"})).ok());
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->type, wire::Type::kGetJobText);
  EXPECT_EQ(got->id, 7u);
  EXPECT_TRUE(got->payload.empty());
  server->Send(got->peer, MakeFrame(7, wire::JobText{"job-1", "text"}));
  const auto received = client->Receive(kPatience);
  ASSERT_TRUE(received.ok());
  ASSERT_EQ(received->event, Event::kFrame);
  EXPECT_EQ(wire::Expect<wire::JobText>(received->frame.view())->text, "text");
}

TEST(Frames, CarryPayloadsBothWaysAtAlignedPlaces) {
  QueueHandler handler;
  memory::Pool pool(32_MiB);  // outlives the sockets, which may hold the last of its buffers
  const auto server = Serve(handler, wire::kMaxDataFrame);
  const auto client = Dial(server->endpoint(), wire::kMaxDataFrame);
  for (const std::size_t size : {std::size_t{1}, std::size_t{63}, std::size_t{1} << 20, wire::kMaxPayload}) {
    wire::PutChunk put;
    put.object = "o";
    put.slot = size;
    auto buffer = Filled(pool, memory::Side::kWrite, size);
    const std::string sent(reinterpret_cast<const char*>(buffer->payload().data()), size);
    ASSERT_TRUE(client->Send(MakeFrame(1, put, std::move(buffer))).ok());
    const auto got = handler.Next();
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->payload, sent);
    server->Send(got->peer, MakeFrame(2, wire::Chunk{.slot = size}, Filled(pool, memory::Side::kRead, size)));
    const auto received = client->Receive(kPatience);
    ASSERT_TRUE(received.ok() && received->event == Event::kFrame);
    const auto payload = received->frame.view().payload;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(payload.data()), payload.size()), sent);
  }
}

TEST(Frames, GiveTheirBuffersBackOnceSent) {
  QueueHandler handler;
  memory::Pool pool(32_MiB);  // outlives the sockets, which may hold the last of its buffers
  const auto server = Serve(handler, wire::kMaxDataFrame);
  const auto client = Dial(server->endpoint(), wire::kMaxDataFrame);
  for (int i = 0; i < 8; ++i) {
    auto buffer = Filled(pool, memory::Side::kWrite, 1 << 20);
    ASSERT_TRUE(client->Send(MakeFrame(1, wire::PutChunk{.object = "o"}, std::move(buffer))).ok());
  }
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(handler.Next().has_value());
  EXPECT_TRUE(Eventually([&] { return pool.Use().used[1] == 0; }));
}

TEST(Frames, GiveTheirBuffersBackWhenTheServerDropsThem) {
  memory::Pool pool(8_MiB);
  QueueHandler handler;
  const auto server = Serve(handler, wire::kMaxDataFrame);
  server->Send(PeerId{"nobody"}, MakeFrame(1, wire::Chunk{}, Filled(pool, memory::Side::kRead, 1 << 20)));
  EXPECT_TRUE(handler.WaitForGone(1));
  EXPECT_TRUE(Eventually([&] { return pool.Use().used[0] == 0; }));
  EXPECT_EQ(server->counters().unroutable, 1u);
}

TEST(Frames, AHeaderThatDoesNotFitTheHeadroomIsStillACorrectFrame) {
  QueueHandler handler;
  memory::Pool pool(8_MiB);  // outlives the sockets, which may hold the last of its buffers
  const auto server = Serve(handler, wire::kMaxDataFrame);
  const auto client = Dial(server->endpoint(), wire::kMaxDataFrame);
  auto buffer = Filled(pool, memory::Side::kWrite, 100);
  ASSERT_TRUE(client->Send(MakeFrame(1, wire::PutChunk{.object = std::string(800, 'x')}, std::move(buffer))).ok());
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->payload.size(), 100u);
  EXPECT_THAT(got->body, testing::HasSubstr(std::string(800, 'x')));
}

TEST(Frames, HoldAReservationForTheirLife) {
  memory::Pool pool(8_MiB);
  InFrame outer;
  {
    InFrame frame;
    frame.Attach(*pool.TryReserve(memory::Side::kRead, 1000));
    EXPECT_EQ(pool.Use().used[0], 1000u);
    outer = std::move(frame);
  }
  EXPECT_EQ(pool.Use().used[0], 1000u);
  outer = InFrame();
  EXPECT_EQ(pool.Use().used[0], 0u);
}

}  // namespace
}  // namespace tributary::transport
