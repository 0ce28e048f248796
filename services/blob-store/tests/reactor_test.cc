// The reactor over a store that takes its time: what one connection may make it hold.
#include "services/blob-store/reactor.h"

#include <gmock/gmock.h>

#include "libs/blob/testing/store_testing.h"
#include "tributary/transport/context.h"
#include "tributary/transport/frame_client.h"

namespace tributary::service {
namespace {

using blob::testing::Object;

// Seals and puts wait until the gate opens.
class GatedStore final : public blob::SlotStore {
 public:
  explicit GatedStore(memory::Pool& pool) : store_(blob::MakeMemoryStore(pool)) {}
  void Open() { gate_.count_down(); }
  void RereadFromNowOn() { rereads_ = true; }
  bool Rereads(const ObjectName&) override { return rereads_; }

  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    return store_->Create(name, spec, replace);
  }
  Result<blob::ObjectInfo> Stat(const ObjectName& name) override { return store_->Stat(name); }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override { return store_->Spec(name); }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) override {
    return store_->Missing(name, range, generation);
  }
  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence sequence, const blob::ReadOptions& options) override {
    return store_->Read(std::move(sequence), options);
  }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions& options) override { return store_->Write(options); }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    gate_.wait();
    return store_->Seal(name, generation, durable);
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override { return store_->Root(name); }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override { return store_->Page(name, page); }
  Status Remove(const ObjectName& name) override { return store_->Remove(name); }
  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after, std::uint32_t limit) override {
    return store_->List(prefix, after, limit);
  }
  Result<blob::SlotMeta> PutSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation,
                                 std::span<const std::byte> bytes, const digest::Xxh128* expected,
                                 const digest::Sha256* sha256) override {
    gate_.wait();
    return store_->PutSlot(name, slot, generation, bytes, expected, sha256);
  }
  Result<blob::SlotMeta> StatSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation) override {
    return store_->StatSlot(name, slot, generation);
  }
  Result<blob::SlotMeta> GetSlot(const ObjectName& name, std::uint64_t slot, std::span<std::byte> out) override {
    return store_->GetSlot(name, slot, out);
  }

  Result<std::uint64_t> DocumentBytes(const ObjectName& name, blob::Document document, std::uint64_t page) override {
    return store_->DocumentBytes(name, document, page);
  }
  Status ReadDocument(const ObjectName& name, blob::Document document, std::uint64_t page, std::span<std::byte> out) override {
    return store_->ReadDocument(name, document, page, out);
  }
  Status PutDigests(const ObjectName& name, std::uint64_t page, std::uint64_t generation,
                    std::span<const wire::SlotDigest> digests) override {
    return store_->PutDigests(name, page, generation, digests);
  }

 private:
  std::latch gate_{1};
  std::atomic<bool> rereads_{false};
  std::unique_ptr<blob::SlotStore> store_;
};

class ReactorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    transport::ServerOptions options;
    options.endpoint = "tcp://127.0.0.1:0";
    options.max_frame_bytes = wire::kMaxDataFrame;
    auto server = transport::FrameServer::Start(context_, options, reactor_);
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
    reactor_.Attach(*server_);
    auto client = transport::FrameClient::Connect(context_, {server_->endpoint(), wire::kMaxDataFrame, 1000});
    ASSERT_TRUE(client.ok());
    client_ = *std::move(client);
    Hello();
  }
  void TearDown() override {
    store_.Open();
    server_->Stop();
    reactor_.Detach();
  }
  void Hello() {
    Send(wire::StoreHello{"test", 0});
    EXPECT_EQ(Await().view().type, wire::Type::kStoreWelcome);
  }
  template <class M>
  void Send(const M& message) {
    ASSERT_TRUE(client_->Send(transport::MakeFrame(++last_id_, message)).ok());
  }
  template <class M>
  void SendPayload(const M& message, std::size_t bytes) {
    auto buffer = client_pool_.Allocate(memory::Side::kWrite, bytes, Duration(1000)).value();
    std::ranges::fill(buffer->payload(), std::byte{1});
    ASSERT_TRUE(client_->Send(transport::MakeFrame(++last_id_, message, std::move(buffer))).ok());
  }
  transport::InFrame Await() {
    auto received = client_->Receive(Duration(20'000));
    if (!received.ok() || received->event != transport::Event::kFrame) {
      ADD_FAILURE() << "no frame: " << (received.ok() ? "timeout or lost" : received.error().message());
      return {};
    }
    return std::move(received->frame);
  }
  Error AwaitError() {
    const auto frame = Await();
    if (frame.view().type != wire::Type::kError) return Error(Code::kUnknown, "not an error");
    last_error_id_ = frame.view().id;
    return wire::ErrorOf(frame.view());
  }
  std::uint64_t AwaitGrant() {
    const auto grant = wire::Expect<wire::CreditGrant>(Await().view());
    return grant.ok() ? grant->bytes : 0;
  }

  memory::Pool pool_{8_MiB};
  memory::Pool client_pool_{16_MiB};
  GatedStore store_{pool_};
  Reactor reactor_{store_, pool_, {}};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<transport::FrameServer> server_;
  std::unique_ptr<transport::FrameClient> client_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_error_id_ = 0;
};

TEST_F(ReactorTest, AHelloMakesNoRoomForMoreRequests) {
  for (int i = 0; i < 16; ++i) Send(wire::Seal{"a"});
  Hello();
  Send(wire::Seal{"a"});
  const Error error = AwaitError();
  EXPECT_EQ(error.code(), Code::kProtocol);
  EXPECT_THAT(error.message(), ::testing::HasSubstr("requests under way"));
  store_.Open();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(AwaitError().code(), Code::kNotFound);
  Send(wire::Seal{"a"});
  EXPECT_EQ(AwaitError().code(), Code::kNotFound);
}

TEST_F(ReactorTest, ManySmallPutsAtATimeEndTheSessionAndAHelloMakesNoRoom) {
  Send(wire::CreditRequest{4096, 4096});
  ASSERT_EQ(AwaitGrant(), 4096u);
  for (int i = 0; i < 32; ++i) SendPayload(wire::PutChunk{"a", 0, 0, 0, {}}, 1);
  SendPayload(wire::PutChunk{"a", 0, 0, 0, {}}, 1);
  EXPECT_EQ(AwaitError().code(), Code::kUnavailable);
  EXPECT_EQ(last_error_id_, 0u);
  Hello();
  Send(wire::CreditRequest{4096, 4096});
  ASSERT_EQ(AwaitGrant(), 4096u);
  SendPayload(wire::PutChunk{"a", 0, 0, 0, {}}, 1);
  EXPECT_EQ(AwaitError().code(), Code::kUnavailable);
  EXPECT_EQ(last_error_id_, 0u);
}

TEST_F(ReactorTest, ALongHeaderInFrontOfAPayloadIsAViolation) {
  Send(wire::CreditRequest{4096, 4096});
  ASSERT_EQ(AwaitGrant(), 4096u);
  SendPayload(wire::PutChunk{std::string(600, 'a'), 0, 0, 0, {}}, 1);
  const Error error = AwaitError();
  EXPECT_EQ(error.code(), Code::kProtocol);
  EXPECT_THAT(error.message(), ::testing::HasSubstr("512"));
  EXPECT_EQ(reactor_.counters().credit_violations, 1u);
}

TEST_F(ReactorTest, APayloadWhereNoneBelongsIsAViolation) {
  SendPayload(wire::Stat{"a"}, 4096);
  EXPECT_EQ(AwaitError().code(), Code::kProtocol);
  EXPECT_EQ(reactor_.counters().credit_violations, 1u);
}

TEST_F(ReactorTest, ViolationsCountOverSessions) {
  for (int i = 0; i < 2; ++i) {
    SendPayload(wire::Stat{"a"}, 64);
    EXPECT_EQ(AwaitError().code(), Code::kProtocol);
    Hello();
  }
  SendPayload(wire::Stat{"a"}, 64);
  // Perhaps after one more error.
  auto event = client_->Receive(Duration(20'000))->event;
  if (event == transport::Event::kFrame) event = client_->Receive(Duration(20'000))->event;
  EXPECT_EQ(event, transport::Event::kLost);
}

TEST_F(ReactorTest, NamesToListAreBounded) {
  Send(wire::List{std::string(256, 'p'), "", 1});
  EXPECT_EQ(AwaitError().code(), Code::kInvalidArgument);
  Send(wire::List{"p", std::string(256, 'a'), 1});
  EXPECT_EQ(AwaitError().code(), Code::kInvalidArgument);
  Send(wire::List{std::string(255, 'p'), "", 1});
  EXPECT_EQ(Await().view().type, wire::Type::kObjectList);
}

TEST_F(ReactorTest, ListsAndMissingSlotsAreRepliedFromTheBudget) {
  ASSERT_TRUE(store_.Create(Object("a"), blob::testing::SmallSpec(), false).ok());
  Send(wire::List{"", "", 10});
  EXPECT_EQ(wire::Expect<wire::ObjectList>(Await().view())->objects, std::vector<std::string>{"a"});
  EXPECT_GE(pool_.Use().peak, 4096u);
  // None of it is there now, so that the request waits for its turn.
  auto all = pool_.TryReserve(memory::Side::kRead, 4_MiB);
  ASSERT_TRUE(all);
  Send(wire::GetMissing{"a", 0, 7, 0});
  Send(wire::Stat{"a"});
  EXPECT_EQ(Await().view().type, wire::Type::kObjectStatus);
  all.reset();
  const auto missing = wire::Expect<wire::Missing>(Await().view());
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->ranges, (std::vector<std::uint64_t>{0, 7}));
}

TEST_F(ReactorTest, DigestsWaitForASealOnlyWhereSlotsHaveToBeReadFirst) {
  ASSERT_TRUE(store_.Create(Object("a"), blob::testing::SmallSpec(), false).ok());
  Send(wire::CreditRequest{2 * 48, 48});
  ASSERT_EQ(AwaitGrant(), 2u * 48);
  Send(wire::Seal{"b"});
  const std::uint64_t seal = last_id_;
  Send(wire::GetDigests{"a", 0});
  EXPECT_EQ(AwaitError().code(), Code::kUnavailable);
  SendPayload(wire::PutDigests{"a", 0, 0}, 48);
  EXPECT_EQ(AwaitError().code(), Code::kInvalidArgument);  // it has all slots
  store_.RereadFromNowOn();
  Send(wire::GetDigests{"a", 0});
  SendPayload(wire::PutDigests{"a", 0, 0}, 48);
  Send(wire::Stat{"a"});
  EXPECT_EQ(Await().view().type, wire::Type::kObjectStatus);
  store_.Open();
  EXPECT_EQ(AwaitError().code(), Code::kNotFound);
  EXPECT_EQ(last_error_id_, seal);
  EXPECT_EQ(AwaitError().code(), Code::kUnavailable);
  EXPECT_EQ(AwaitError().code(), Code::kInvalidArgument);
}

TEST_F(ReactorTest, APingWithoutASessionIsAnsweredAndToldSo) {
  auto stranger = transport::FrameClient::Connect(context_, {server_->endpoint(), wire::kMaxDataFrame});
  ASSERT_TRUE(stranger.ok());
  client_ = *std::move(stranger);
  Send(wire::Ping{});
  EXPECT_EQ(Await().view().type, wire::Type::kPong);
  EXPECT_EQ(AwaitError().code(), Code::kUnavailable);
  EXPECT_EQ(last_error_id_, 0u);
}

}  // namespace
}  // namespace tributary::service
