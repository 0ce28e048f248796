// Peers that do not keep to the protocol: each harms itself alone.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "libs/transport/tests/raw_connection.h"
#include "services/blob-store/tests/harness.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::CodeOf;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::Pattern;
using blob::testing::SmallSpec;

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto raw = transport::FrameClient::Connect(context_, {server_.endpoint(), wire::kMaxDataFrame});
    ASSERT_TRUE(raw.ok());
    raw_ = *std::move(raw);
  }
  void Hello() {
    ASSERT_TRUE(raw_->Send(transport::MakeFrame(1, wire::StoreHello{"bad", 0})).ok());
    const auto welcome = Await();
    ASSERT_TRUE(wire::Expect<wire::StoreWelcome>(welcome.view()).ok());
  }
  transport::InFrame Await() {
    auto received = raw_->Receive(Duration(20'000));
    if (!received.ok() || received->event != transport::Event::kFrame) {
      ADD_FAILURE() << "no frame: " << (received.ok() ? "timeout or lost" : received.error().message());
      return {};
    }
    return std::move(received->frame);
  }
  Error AwaitError() {
    const auto frame = Await();
    if (frame.view().type != wire::Type::kError) return Error(Code::kUnknown, "not an error");
    return wire::ErrorOf(frame.view());
  }
  transport::OutFrame Put(std::uint64_t id, std::size_t bytes) {
    auto buffer = pool_.Allocate(memory::Side::kWrite, bytes, Duration(1000)).value();
    std::ranges::fill(buffer->payload(), std::byte{7});
    return transport::MakeFrame(id, wire::PutChunk{"a", 0, 0, 0, {}}, std::move(buffer));
  }
  void ExpectStillServing() {
    Client client(server_.endpoint());
    const auto created = client->Create(Object("good"), SmallSpec(), false);
    EXPECT_TRUE(created.ok());
    EXPECT_TRUE(blob::testing::PutAll(*client, Object("good"), LayoutOf(SmallSpec())).ok());
    EXPECT_TRUE(client->Seal(Object("good"), 0, false).ok());
  }

  Server server_;
  memory::Pool pool_{64_MiB};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<transport::FrameClient> raw_;
};

TEST_F(HostileTest, FramesBeforeHelloAreAnsweredWithTheEndOfTheSession) {
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(9, wire::Stat{"a"})).ok());
  const auto frame = Await();
  ASSERT_EQ(frame.view().type, wire::Type::kError);
  EXPECT_EQ(frame.view().id, 0u);
  EXPECT_EQ(wire::ErrorOf(frame.view()).code(), Code::kUnavailable);
}

TEST_F(HostileTest, AnotherProtocolVersionIsToldBothNumbers) {
  ASSERT_TRUE(raw_->Send({wire::MakeHeader(wire::Type::kStoreHello, 3, wire::EncodeBody(wire::StoreHello{}), false, 77), nullptr}).ok());
  const Error error = AwaitError();
  EXPECT_EQ(error.code(), Code::kProtocol);
  EXPECT_THAT(error.message(), ::testing::AllOf(::testing::HasSubstr("77"), ::testing::HasSubstr("protocol 1")));
}

TEST_F(HostileTest, ChunksWithoutCreditAreRefusedAndThenTheConnectionEnds) {
  Hello();
  for (std::uint64_t i = 1; i <= 2; ++i) {
    ASSERT_TRUE(raw_->Send(Put(i, 4096)).ok());
    const Error error = AwaitError();
    EXPECT_EQ(error.code(), Code::kProtocol);
    EXPECT_THAT(error.message(), ::testing::HasSubstr("without credit"));
  }
  ASSERT_TRUE(raw_->Send(Put(3, 4096)).ok());
  // Perhaps after one more error.
  auto event = raw_->Receive(Duration(20'000))->event;
  if (event == transport::Event::kFrame) event = raw_->Receive(Duration(20'000))->event;
  EXPECT_EQ(event, transport::Event::kLost);
  EXPECT_EQ(server_->stats().credit_violations, 3u);
  ExpectStillServing();
  EXPECT_EQ(server_->stats().pool.used[1], 0u);
}

TEST_F(HostileTest, CreditIsSpentByTheByte) {
  Hello();
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::CreditRequest{4096, 4096})).ok());
  const auto grant = wire::Expect<wire::CreditGrant>(Await().view());
  ASSERT_TRUE(grant.ok());
  EXPECT_EQ(grant->bytes, 4096u);
  ASSERT_TRUE(raw_->Send(Put(3, 8192)).ok());
  EXPECT_EQ(AwaitError().code(), Code::kProtocol);
  ASSERT_TRUE(raw_->Send(Put(4, 4096)).ok());
  EXPECT_EQ(AwaitError().code(), Code::kNotFound);  // within credit, but there is no object
  EXPECT_EQ(server_->stats().credit_violations, 1u);
}

TEST_F(HostileTest, GreedyCreditRequestsGetAWindowOnly) {
  Hello();
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::CreditRequest{1ULL << 60, 1_MiB})).ok());
  const auto grant = wire::Expect<wire::CreditGrant>(Await().view());
  ASSERT_TRUE(grant.ok());
  EXPECT_LE(grant->bytes, 4_MiB);
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(3, wire::CreditRequest{0, 0})).ok());
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(4, wire::CreditRequest{1, 1ULL << 40})).ok());
  EXPECT_EQ(AwaitError().code(), Code::kResourceExhausted);
  ExpectStillServing();
}

TEST_F(HostileTest, AnOversizeFrameEndsItsConnectionOnly) {
  Hello();
  auto buffer = pool_.Allocate(memory::Side::kWrite, 8_MiB, Duration(1000)).value();
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::PutChunk{"a", 0, 0, 0, {}}, std::move(buffer))).ok());
  const auto received = raw_->Receive(Duration(20'000));
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->event, transport::Event::kLost);
  ExpectStillServing();
}

TEST_F(HostileTest, MalformedAndUnknownFramesAreAnsweredWithAnError) {
  Hello();
  for (const std::string& text : {std::string("\xff\xff\xff\xff"), std::string("x"), std::string(100, '\0')}) {
    ASSERT_TRUE(raw_->Send({text, nullptr}).ok());
    EXPECT_EQ(AwaitError().code(), Code::kProtocol);
  }
  ASSERT_TRUE(raw_->Send({wire::MakeHeader(static_cast<wire::Type>(999), 6, wire::EncodeBody(wire::Ping{}), false), nullptr}).ok());
  EXPECT_THAT(AwaitError().message(), ::testing::HasSubstr("999"));
  ASSERT_TRUE(raw_->Send({wire::MakeHeader(wire::Type::kStat, 7, "\x81\xa6object\x07", false), nullptr}).ok());
  EXPECT_EQ(AwaitError().code(), Code::kProtocol);
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(8, wire::Stat{"../../etc/passwd"})).ok());
  EXPECT_EQ(AwaitError().code(), Code::kInvalidArgument);
  ExpectStillServing();
}

TEST_F(HostileTest, TooManyReadsAtATimeAreRefused) {
  Hello();
  Client client(server_.endpoint());
  ASSERT_TRUE(client->Create(Object("a"), SmallSpec(), false).ok());
  for (std::uint64_t i = 0; i < 65; ++i) {
    ASSERT_TRUE(raw_->Send(transport::MakeFrame(100 + i, wire::GetChunk{"a", 0, 0, 60'000})).ok());
  }
  EXPECT_EQ(AwaitError().code(), Code::kProtocol);
  // The parked ones are each answered when they are cancelled.
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::CancelReads{})).ok());
  int cancelled = 0;
  while (cancelled < 64) {
    const Error error = AwaitError();
    ASSERT_EQ(error.code(), Code::kCancelled) << error.message();
    ++cancelled;
  }
}

TEST_F(HostileTest, AChunkOfOtherBytesThanItsDigestIsDataLoss) {
  Client client(server_.endpoint());
  ASSERT_TRUE(client->Create(Object("a"), SmallSpec(), false).ok());
  Hello();
  ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::CreditRequest{4096, 4096})).ok());
  ASSERT_TRUE(wire::Expect<wire::CreditGrant>(Await().view()).ok());
  ASSERT_TRUE(raw_->Send(Put(3, 4096)).ok());
  EXPECT_EQ(AwaitError().code(), Code::kDataLoss);
  EXPECT_EQ(client->Stat(Object("a"))->slots_present, 0u);
}

// Not hostile, but the rule against credit that lies unused would take it for that.
TEST_F(HostileTest, AWriterOnASlowLinkKeepsItsCreditAndOneThatIsSilentDoesNot) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto peers_become = [&](std::uint64_t count) {
    while (server_->stats().peers != count && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(Duration(5));
    return server_->stats().peers == count;
  };
  raw_.reset();
  server_.Kill();
  server_.spec().credit_idle = Duration(1'000);
  server_.Start();
  transport::RawConnection slow(server_.endpoint());
  const auto send = [&](const std::string& frame) { return slow.Frame(frame.size(), frame); };
  ASSERT_TRUE(send(wire::EncodeFrame(1, wire::StoreHello{"slow", 0})));
  ASSERT_TRUE(peers_become(1));
  ASSERT_TRUE(send(wire::EncodeFrame(2, wire::CreditRequest{1_MiB, 1_MiB})));
  const std::string put = wire::MakeHeader(wire::Type::kPutChunk, 3, wire::EncodeBody(wire::PutChunk{"a", 0, 0, 0, {}}), true) + std::string(1_MiB, 'x');
  // Three times as long as credit may lie unused.
  ASSERT_TRUE(slow.Frame(put.size(), ""));
  for (std::size_t at = 0; at < put.size() / 2; at += put.size() / 60) {
    ASSERT_TRUE(slow.Write(put.substr(at, put.size() / 60)));
    std::this_thread::sleep_for(Duration(100));
    ASSERT_EQ(server_->stats().peers, 1u);
  }
  EXPECT_TRUE(peers_become(0)) << "half of a chunk, and then nothing";
}

}  // namespace
}  // namespace tributary::service::testing
