// Deduplication on the wire: slots that are equal to a sealed object's are copied by the store; nothing else can be learned or written by it.
#include <gmock/gmock.h>

#include "services/blob-store/tests/harness.h"
#include "tributary/digest/digest.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::GetOne;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using blob::testing::PutBytes;
using ::testing::HasSubstr;

wire::ObjectSpec Spec(wire::ObjectKind kind, std::uint64_t slots = 20) {
  auto spec = OneTensorSpec(slots * 4096, 4096);
  spec.kind = kind;
  return spec;
}

// "base", sealed, of 20 slots.
void MakeBase(Client& client, std::uint64_t slots = 20) {
  const auto spec = Spec(wire::ObjectKind::kModel, slots);
  ASSERT_TRUE(client->Create(Object("base"), spec, false).ok());
  ASSERT_TRUE(PutAll(*client, Object("base"), LayoutOf(spec)).ok());
  ASSERT_TRUE(client->Seal(Object("base"), 0, false).ok());
}

TEST(Deduplication, EqualSlotsDoNotCross) {
  Server server;
  Client client(server.endpoint());
  MakeBase(client);
  const auto before = server->stats();
  ASSERT_TRUE(client->Create(Object("update"), Spec(wire::ObjectKind::kUpdate), false).ok());
  blob::WriteOptions options;
  options.same_as = Object("base");
  {
    auto writer = client->Write(options);
    for (std::uint64_t slot = 0; slot < 20; ++slot) {
      // Every fifth was trained.
      ASSERT_TRUE(PutBytes(**writer, Object("update"), slot, Pattern(4096, slot, slot % 5 == 0 ? 9 : 0)).ok());
    }
    ASSERT_TRUE((*writer)->Flush().ok());
    EXPECT_EQ((*writer)->deduplicated(), 16u * 4096);
  }
  const auto after = server->stats();
  EXPECT_EQ(after.bytes_in - before.bytes_in, 4u * 4096);
  EXPECT_EQ(after.bytes_linked, 16u * 4096);
  EXPECT_EQ(client->counters().bytes_deduplicated, 16u * 4096);
  ASSERT_TRUE(client->Seal(Object("update"), 0, false).ok());
  for (std::uint64_t slot = 0; slot < 20; ++slot) {
    const auto bytes = GetOne(*client, Object("update"), slot);
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(*bytes, Pattern(4096, slot, slot % 5 == 0 ? 9 : 0)) << slot;
  }
  // The same object as one whose bytes were all sent.
  ASSERT_TRUE(client->Create(Object("sent"), Spec(wire::ObjectKind::kUpdate), false).ok());
  auto writer = client->Write({});
  for (std::uint64_t slot = 0; slot < 20; ++slot) {
    ASSERT_TRUE(PutBytes(**writer, Object("sent"), slot, Pattern(4096, slot, slot % 5 == 0 ? 9 : 0)).ok());
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_EQ(client->Seal(Object("sent"), 0, false).value(), client->Stat(Object("update"))->digest);
  EXPECT_EQ(server->stats().credit_violations, 0u);
  EXPECT_EQ(server->stats().pool.used[1], 0u);
}

TEST(Deduplication, HoldsAPageOfDigestsAtATime) {
  Server server;
  Client client(server.endpoint());
  const std::uint64_t slots = wire::kPageDigests + 3;
  MakeBase(client, slots);
  ASSERT_TRUE(client->Create(Object("update"), Spec(wire::ObjectKind::kUpdate, slots), false).ok());
  blob::WriteOptions options;
  options.same_as = Object("base");
  auto writer = client->Write(options);
  for (const std::uint64_t slot : {std::uint64_t{0}, wire::kPageDigests - 1, wire::kPageDigests, slots - 1}) {
    ASSERT_TRUE(PutBytes(**writer, Object("update"), slot, Pattern(4096, slot)).ok());
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_EQ((*writer)->deduplicated(), 4u * 4096);
}

TEST(Deduplication, WithoutABaseTheBytesAreSent) {
  Server server;
  Client client(server.endpoint());
  ASSERT_TRUE(client->Create(Object("update"), Spec(wire::ObjectKind::kUpdate), false).ok());
  ASSERT_TRUE(client->Create(Object("open"), Spec(wire::ObjectKind::kModel), false).ok());
  ASSERT_TRUE(PutAll(*client, Object("open"), LayoutOf(Spec(wire::ObjectKind::kModel))).ok());
  for (const char* base : {"absent", "open"}) {
    blob::WriteOptions options;
    options.same_as = Object(base);
    auto writer = client->Write(options);
    ASSERT_TRUE(PutBytes(**writer, Object("update"), 3, Pattern(4096, 3)).ok());
    ASSERT_TRUE((*writer)->Flush().ok());
    EXPECT_EQ((*writer)->deduplicated(), 0u);
  }
}

// A link is refused for what is wrong with its target as a put is, and the put that follows says so.
TEST(Deduplication, ASealedTargetIsTold) {
  Server server;
  Client client(server.endpoint());
  MakeBase(client);
  blob::WriteOptions options;
  options.same_as = Object("base");
  auto writer = client->Write(options);
  static_cast<void>(PutBytes(**writer, Object("base"), 3, Pattern(4096, 3)));
  const Status flushed = (*writer)->Flush();
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code(), Code::kConflict);
}

class HostileLink : public ::testing::Test {
 protected:
  void SetUp() override {
    auto raw = transport::FrameClient::Connect(context_, {server_.endpoint(), wire::kMaxDataFrame});
    ASSERT_TRUE(raw.ok());
    raw_ = *std::move(raw);
    MakeBase(client_);
    ASSERT_TRUE(client_->Create(Object("update"), Spec(wire::ObjectKind::kUpdate), false).ok());
    const auto bytes = Pattern(4096, 3);
    link_ = {"update", 3, 0, "base", 4096, digest::ComputeXxh128(bytes), digest::ComputeSha256(bytes)};
    ASSERT_TRUE(raw_->Send(transport::MakeFrame(1, wire::StoreHello{"bad", 0})).ok());
    ASSERT_TRUE(wire::Expect<wire::StoreWelcome>(Await().view()).ok());
  }
  transport::InFrame Await() {
    auto received = raw_->Receive(Duration(20'000));
    if (!received.ok() || received->event != transport::Event::kFrame) {
      ADD_FAILURE() << "no frame";
      return {};
    }
    return std::move(received->frame);
  }
  void GetCredit(std::uint64_t bytes) {
    ASSERT_TRUE(raw_->Send(transport::MakeFrame(2, wire::CreditRequest{bytes, 4096})).ok());
    ASSERT_TRUE(wire::Expect<wire::CreditGrant>(Await().view()).ok());
  }
  // What the store says to it.
  Result<wire::PutAck> Send(const wire::LinkChunk& link) {
    EXPECT_TRUE(raw_->Send(transport::MakeFrame(++id_, link)).ok());
    for (;;) {
      const auto frame = Await();
      if (frame.size() == 0 || frame.view().id == id_) return wire::Expect<wire::PutAck>(frame.view());
    }
  }
  Error Refusal(const wire::LinkChunk& link) {
    const auto ack = Send(link);
    return ack.ok() ? Error(Code::kUnknown, "it was taken") : ack.error();
  }
  bool Present(const char* object) { return client_->Missing(Object(object), {3, 4}, 0)->empty(); }

  Server server_;
  Client client_{server_.endpoint()};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<transport::FrameClient> raw_;
  wire::LinkChunk link_;
  std::uint64_t id_ = 10;
};

TEST_F(HostileLink, AsItShouldBeItIsTaken) {
  GetCredit(4096);
  EXPECT_TRUE(Send(link_).ok());
  EXPECT_TRUE(Present("update"));
}

TEST_F(HostileLink, WithoutCreditItIsAViolation) {
  EXPECT_THAT(Refusal(link_).message(), HasSubstr("without credit"));
  link_.bytes = 0;
  EXPECT_THAT(Refusal(link_).message(), HasSubstr("without credit"));
  EXPECT_EQ(server_->stats().credit_violations, 2u);
  EXPECT_FALSE(Present("update"));
}

TEST_F(HostileLink, OtherDigestsLengthsAndSlotsAreRefused) {
  GetCredit(8 * 4096);
  const auto with = [&](auto change) {
    auto link = link_;
    change(link);
    return Refusal(link).code();
  };
  EXPECT_EQ(with([](auto& link) { link.sha256[0] ^= std::byte{1}; }), Code::kConflict);
  EXPECT_EQ(with([](auto& link) { link.xxh128[0] ^= std::byte{1}; }), Code::kConflict);
  EXPECT_EQ(with([](auto& link) { link.slot = 4; }), Code::kConflict);
  EXPECT_EQ(with([](auto& link) { link.bytes = 4000; }), Code::kConflict);
  EXPECT_EQ(with([](auto& link) { link.slot = 1u << 30; }), Code::kNotFound);
  EXPECT_FALSE(Present("update"));
  EXPECT_TRUE(Send(link_).ok()) << "the peer is served on";
}

TEST_F(HostileLink, ForeignNamesAreRefused) {
  GetCredit(8 * 4096);
  const auto with = [&](auto change) {
    auto link = link_;
    change(link);
    return Refusal(link).code();
  };
  EXPECT_EQ(with([](auto& link) { link.from = "absent"; }), Code::kNotFound);
  EXPECT_EQ(with([](auto& link) { link.from = "../base"; }), Code::kInvalidArgument);
  EXPECT_EQ(with([](auto& link) { link.object = "absent"; }), Code::kNotFound);
  EXPECT_EQ(with([](auto& link) { link.object = ""; }), Code::kInvalidArgument);
  EXPECT_EQ(with([](auto& link) { link.object = "base"; }), Code::kConflict);  // sealed
}

// Whether another trainer sent certain bytes is not to be found out.
TEST_F(HostileLink, UpdatesOfOthersAreNoSourceSealedOrNot) {
  GetCredit(8 * 4096);
  ASSERT_TRUE(client_->Create(Object("theirs"), Spec(wire::ObjectKind::kUpdate), false).ok());
  ASSERT_TRUE(PutAll(*client_, Object("theirs"), LayoutOf(Spec(wire::ObjectKind::kUpdate))).ok());
  link_.from = "theirs";
  const Error open = Refusal(link_);
  EXPECT_EQ(open.code(), Code::kPermission);
  ASSERT_TRUE(client_->Seal(Object("theirs"), 0, false).ok());
  const Error sealed = Refusal(link_);
  EXPECT_EQ(sealed.message(), open.message());
  link_.sha256[0] ^= std::byte{1};
  EXPECT_EQ(Refusal(link_).message(), open.message()) << "right and wrong guesses are answered alike";
  EXPECT_FALSE(Present("update"));
}

TEST_F(HostileLink, BytesOfAnotherEncodingAreRefusedByTheirSizeOrContent) {
  GetCredit(8 * 4096);
  auto half = Spec(wire::ObjectKind::kUpdate);
  half.tensors = {{"t", tensor::DType::kF32, {20 * 1024}}};
  half.encoding = tensor::Encoding::kF16;
  ASSERT_TRUE(client_->Create(Object("half"), half, false).ok());
  link_.object = "half";
  EXPECT_EQ(Refusal(link_).code(), Code::kInvalidArgument);  // 4096 bytes for a slot of 2048
  // NaNs of a model do not get into an update that way.
  auto floats = half;
  floats.encoding = tensor::Encoding::kNative;
  floats.kind = wire::ObjectKind::kModel;
  ASSERT_TRUE(client_->Create(Object("nan"), floats, false).ok());
  const std::vector<std::byte> nan(4096, std::byte{0xFF});
  for (std::uint64_t slot = 0; slot < 20; ++slot) ASSERT_TRUE(blob::testing::PutOne(*client_, Object("nan"), slot, nan).ok());
  ASSERT_TRUE(client_->Seal(Object("nan"), 0, false).ok());
  floats.kind = wire::ObjectKind::kUpdate;
  ASSERT_TRUE(client_->Create(Object("finite"), floats, false).ok());
  const Error refused = Refusal({"finite", 3, 0, "nan", 4096, digest::ComputeXxh128(nan), digest::ComputeSha256(nan)});
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_THAT(refused.message(), HasSubstr("slot 3 of update 'finite' is refused"));
}

}  // namespace
}  // namespace tributary::service::testing
