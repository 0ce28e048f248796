#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "services/blob-store/tests/harness.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::CodeOf;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using blob::testing::PutBytes;

// Reads all of the object; the number of chunks that were right.
std::uint64_t ReadAll(blob::BlobStore& store, const ObjectName& name, const tensor::Layout& layout, std::uint64_t salt = 0) {
  auto reader = store.Read(blob::SlotsOf(name, layout.all_slots()), {});
  std::uint64_t right = 0;
  for (;;) {
    auto chunk = (*reader)->Next();
    EXPECT_TRUE(chunk.ok()) << chunk.error().message();
    if (!chunk.ok() || !chunk->has_value()) return right;
    if (std::ranges::equal((*chunk)->bytes, Pattern((*chunk)->bytes.size(), (*chunk)->slot, salt))) ++right;
  }
}

TEST(BlobStoreService, ClientsSideBySideStayWithinTheBudget) {
  Server server(8_MiB);
  const auto spec = OneTensorSpec(24_MiB, 1_MiB);
  const auto layout = LayoutOf(spec);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      Client client(server.endpoint());
      const ObjectName name = Object("o/" + std::to_string(i));
      EXPECT_TRUE(client->Create(name, spec, false).ok());
      const Status put = PutAll(*client, name, layout, i);
      EXPECT_TRUE(put.ok()) << put.error().message();
      EXPECT_TRUE(client->Seal(name, 0, false).ok());
      EXPECT_EQ(ReadAll(*client, name, layout, i), layout.slot_count());
      EXPECT_LE(client.pool().Use().peak, 8_MiB);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto stats = server->stats();
  EXPECT_LE(stats.pool.peak, 8_MiB);
  EXPECT_EQ(stats.chunks_in, 72u);
  EXPECT_EQ(stats.chunks_out, 72u);
  EXPECT_EQ(stats.bytes_in, 72_MiB);
  EXPECT_EQ(stats.credit_violations, 0u);
  EXPECT_EQ(stats.protocol_errors, 0u);
}

TEST(BlobStoreService, TheLargestChunksPassThroughTheSmallestBudgets) {
  Server server(8_MiB);
  Client client(server.endpoint(), 9_MiB);
  const auto spec = OneTensorSpec(20_MiB, 4_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  const Status put = PutAll(*client, Object("a"), LayoutOf(spec));
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_EQ(ReadAll(*client, Object("a"), LayoutOf(spec)), 5u);
}

TEST(BlobStoreService, APeerThatDoesNotReadItsRepliesStopsItselfAlone) {
  Server server(8_MiB);
  Client client(server.endpoint());
  const auto spec = OneTensorSpec(32_MiB, 1_MiB);
  const auto layout = LayoutOf(spec);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("a"), layout).ok());
  auto context = std::make_shared<transport::Context>();
  auto stalled = transport::FrameClient::Connect(context, {server.endpoint(), wire::kMaxDataFrame});
  ASSERT_TRUE(stalled.ok());
  ASSERT_TRUE((*stalled)->Send(transport::MakeFrame(1, wire::StoreHello{"stalled", 0})).ok());
  for (std::uint64_t i = 0; i < 32; ++i) {
    ASSERT_TRUE((*stalled)->Send(transport::MakeFrame(2 + i, wire::GetChunk{"a", i, 0, 0})).ok());
  }
  EXPECT_EQ(ReadAll(*client, Object("a"), layout), layout.slot_count());
  ASSERT_TRUE(client->Create(Object("b"), spec, false).ok());
  EXPECT_TRUE(PutAll(*client, Object("b"), layout).ok());
  EXPECT_LE(server->stats().pool.peak, 8_MiB);
}

TEST(BlobStoreService, APeerThatTakesNoReplyForLongLosesItsSession) {
  Server server(8_MiB);
  server.Kill();
  server.spec().unread_limit = Duration(2'000);
  server.Start();
  Client client(server.endpoint());
  const auto spec = OneTensorSpec(32_MiB, 1_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("a"), LayoutOf(spec)).ok());
  auto context = std::make_shared<transport::Context>();
  auto stalled = transport::FrameClient::Connect(context, {server.endpoint(), wire::kMaxDataFrame});
  ASSERT_TRUE((*stalled)->Send(transport::MakeFrame(1, wire::StoreHello{"stalled", 0})).ok());
  for (std::uint64_t i = 0; i < 32; ++i) {
    ASSERT_TRUE((*stalled)->Send(transport::MakeFrame(2 + i, wire::GetChunk{"a", i, 0, 0})).ok());
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto waits = [&] { return std::chrono::steady_clock::now() < end; };
  while (server->stats().peers != 2 && waits()) std::this_thread::yield();
  while (server->stats().peers != 1 && waits()) std::this_thread::yield();
  // Its connection ends, and with it what its replies held; what arrived before is read first.
  while (server->stats().pool.used[0] > 0 && waits()) std::this_thread::yield();
  ASSERT_TRUE(waits());
  auto event = transport::Event::kFrame;
  while (event == transport::Event::kFrame) event = (*stalled)->Receive(Duration(20'000))->event;
  EXPECT_EQ(event, transport::Event::kLost);
  EXPECT_EQ(ReadAll(*client, Object("a"), LayoutOf(spec)), 32u);
  EXPECT_EQ(client->counters().sessions, 1u);
}

TEST(BlobStoreService, ThoseWhoTakeNothingAreCutOffWhenOthersWaitForTheMemory) {
  Server server(8_MiB);
  server.Kill();
  server.spec().listen = "tcp://127.0.0.1:0";
  server.spec().unread_limit = std::chrono::hours(1);
  server.spec().stalled_limit = Duration(500);
  server.Start();
  const std::string endpoint = server->endpoint();
  Client client(endpoint);
  const auto spec = OneTensorSpec(32_MiB, 1_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("a"), LayoutOf(spec)).ok());
  auto context = std::make_shared<transport::Context>();
  std::vector<std::unique_ptr<transport::FrameClient>> stalled;
  for (int peer = 0; peer < 6; ++peer) {
    stalled.push_back(std::move(*transport::FrameClient::Connect(context, {endpoint, wire::kMaxDataFrame})));
    ASSERT_TRUE(stalled.back()->Send(transport::MakeFrame(1, wire::StoreHello{"stalled", 0})).ok());
    for (std::uint64_t i = 0; i < 32; ++i) {
      ASSERT_TRUE(stalled.back()->Send(transport::MakeFrame(2 + i, wire::GetChunk{"a", i, 0, 0})).ok());
    }
  }
  // All of the read side is theirs, but for what is no whole chunk.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (server->stats().pool.used[0] < 3_MiB && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(ReadAll(*client, Object("a"), LayoutOf(spec)), 32u);
  EXPECT_LT(server->stats().peers, 7u);
  EXPECT_GT(server->stats().stalled_reads, 0u);
}

TEST(BlobStoreService, AReaderAndAWriterOfOneClientPassAModelThrough) {
  Server server(8_MiB);
  Client client(server.endpoint(), 4_MiB);
  const auto spec = OneTensorSpec(16_MiB, 512_KiB);
  const auto layout = LayoutOf(spec);
  ASSERT_TRUE(client->Create(Object("in"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("in"), layout).ok());
  ASSERT_TRUE(client->Create(Object("out"), spec, false).ok());
  auto reader = client->Read(blob::SlotsOf(Object("in"), layout.all_slots()), {});
  auto writer = client->Write({});
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    auto chunk = (*reader)->Next();
    ASSERT_TRUE(chunk.ok() && chunk->has_value());
    const Status put = PutBytes(**writer, Object("out"), slot, (*chunk)->bytes);
    ASSERT_TRUE(put.ok()) << put.error().message();
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_EQ(*client->Seal(Object("out"), 0, false), *client->Seal(Object("in"), 0, false));
}

TEST(BlobStoreService, AReaderThatIsDroppedLeavesNoMemoryBehind) {
  Server server(8_MiB);
  Client client(server.endpoint());
  const auto spec = OneTensorSpec(16_MiB, 1_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("a"), LayoutOf(spec)).ok());
  for (int i = 0; i < 5; ++i) {
    auto reader = client->Read(blob::SlotsOf(Object("a"), {0, 16}), {});
    ASSERT_TRUE((*reader)->Next().ok());
  }
  EXPECT_EQ(client.pool().Use().used[0], 0u);
  EXPECT_EQ(client->counters().sessions, 1u);
  EXPECT_EQ(ReadAll(*client, Object("a"), LayoutOf(spec)), 16u);
}

TEST(BlobStoreService, ChunksThatAreKeptFillTheBudgetAndTheErrorSaysSo) {
  Server server(8_MiB);
  Client client(server.endpoint(), 4_MiB, Duration(300));
  const auto spec = OneTensorSpec(16_MiB, 1_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("a"), LayoutOf(spec)).ok());
  auto reader = client->Read(blob::SlotsOf(Object("a"), {0, 16}), {});
  std::vector<blob::Chunk> held;
  for (;;) {
    auto chunk = (*reader)->Next();
    if (!chunk.ok()) {
      EXPECT_EQ(CodeOf(chunk), "resource exhausted");
      EXPECT_THAT(chunk.error().message(), ::testing::HasSubstr("--memory-budget"));
      break;
    }
    ASSERT_TRUE(chunk->has_value());
    held.push_back(**std::move(chunk));
  }
  EXPECT_GE(held.size(), 1u);
}

TEST(BlobStoreService, AChunkLargerThanTheBudgetOfTheStoreIsRefusedWithTheRemedy) {
  Server server(1_MiB);
  Client client(server.endpoint());
  const auto spec = OneTensorSpec(4_MiB, 2_MiB);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  const Status put = PutAll(*client, Object("a"), LayoutOf(spec));
  ASSERT_EQ(CodeOf(put), "resource exhausted");
  EXPECT_THAT(put.error().message(), ::testing::HasSubstr("--memory-budget"));
}

TEST(BlobStoreService, MissingRangesComeInSeveralFrames) {
  Server server(8_MiB);
  Client client(server.endpoint());
  const auto spec = OneTensorSpec(4096ULL * 10'000, 4096);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  auto writer = client->Write({});
  for (std::uint64_t slot = 0; slot < 10'000; slot += 2) {
    ASSERT_TRUE(PutBytes(**writer, Object("a"), slot, Pattern(4096, slot)).ok());
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  const auto missing = client->Missing(Object("a"), {0, 10'000}, 0);
  ASSERT_TRUE(missing.ok()) << missing.error().message();
  ASSERT_EQ(missing->size(), 5'000u);
  for (std::uint64_t i = 0; i < 5'000; ++i) EXPECT_EQ((*missing)[i], (tensor::SlotRange{2 * i + 1, 2 * i + 2}));
}

TEST(BlobStoreService, ASecondServiceAtTheSameEndpointSaysWhatToDo) {
  Server server(8_MiB);
  TempDirectory other;
  const auto second = BlobStoreService::Start({.listen = server.endpoint(), .directory = other.path() / "s"});
  ASSERT_EQ(CodeOf(second), "unavailable");
  EXPECT_THAT(second.error().message(), ::testing::AllOf(::testing::HasSubstr(server.endpoint()), ::testing::HasSubstr("--listen")));
}

TEST(BlobStoreService, ADirectoryThatCannotBeMadeIsNamed) {
  const auto service = BlobStoreService::Start({.listen = "tcp://127.0.0.1:0", .directory = "/proc/no/such"});
  ASSERT_FALSE(service.ok());
  EXPECT_THAT(service.error().message(), ::testing::AllOf(::testing::HasSubstr("--data-dir"), ::testing::HasSubstr("/proc/no")));
}

TEST(BlobStoreService, WaitEndsWithStop) {
  Server server(8_MiB);
  EXPECT_FALSE(*server->Wait(Duration(1)));
  std::thread stopper([&] { server->Stop(); });
  EXPECT_TRUE(*server->Wait());
  stopper.join();
  server->Stop();
}

}  // namespace
}  // namespace tributary::service::testing
