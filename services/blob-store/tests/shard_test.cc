// Shards on the wire: digests of a page are told and taken, slots of others are errors to whoever asked, and nothing else.
#include <gmock/gmock.h>

#include "libs/blob/testing/shards.h"
#include "services/blob-store/tests/harness.h"
#include "tributary/digest/digest.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::Pattern;
using blob::testing::SmallSpec;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A shard, and a peer of it that sends one frame at a time.
class RawShard {
 public:
  RawShard(std::uint32_t number, std::uint32_t count) {
    server_.Kill();
    std::filesystem::remove_all(server_.spec().directory);
    server_.spec().shard = number;
    server_.spec().shards = count;
    server_.Start();
    peer_ = transport::FrameClient::Connect(context_, {server_.endpoint(), wire::kMaxDataFrame}).value();
    const auto welcome = Ask<wire::StoreWelcome>(wire::StoreHello{"test", 0});
    EXPECT_TRUE(welcome.ok());
    EXPECT_EQ(welcome->shard, number);
    EXPECT_EQ(welcome->shards, count);
  }
  Server& server() { return server_; }

  transport::InFrame Exchange(transport::OutFrame frame) {
    EXPECT_TRUE(peer_->Send(std::move(frame)).ok());
    return Await();
  }
  template <class Reply, class M>
  Result<Reply> Ask(const M& message) {
    return wire::Expect<Reply>(Exchange(transport::MakeFrame(++id_, message)).view());
  }
  // With a payload for which it has credit.
  template <class Reply, class M>
  Result<Reply> Send(const M& message, std::span<const std::byte> payload) {
    TRIBUTARY_TRY(GetCredit(payload.size()));
    return SendWithoutCredit<Reply>(message, payload);
  }
  template <class Reply, class M>
  Result<Reply> SendWithoutCredit(const M& message, std::span<const std::byte> payload) {
    auto buffer = pool_.Allocate(memory::Side::kWrite, payload.size(), Duration(1000)).value();
    std::ranges::copy(payload, buffer->payload().begin());
    return wire::Expect<Reply>(Exchange(transport::MakeFrame(++id_, message, std::move(buffer))).view());
  }
  Status GetCredit(std::uint64_t bytes) { return Ask<wire::CreditGrant>(wire::CreditRequest{bytes, bytes}).status(); }
  Result<std::vector<wire::SlotDigest>> Digests(const std::string& object, std::uint64_t page) {
    const auto frame = Exchange(transport::MakeFrame(++id_, wire::GetDigests{object, page}));
    TRIBUTARY_ASSIGN(const auto body, wire::Expect<wire::PageBody>(frame.view()));
    EXPECT_EQ(body.page, page);
    return wire::DecodePage(frame.view().payload);
  }
  Status Create(const std::string& object, const wire::ObjectSpec& spec) {
    const std::string text = wire::EncodeObjectSpec(spec);
    return Send<wire::Created>(wire::Create{object, false}, std::as_bytes(std::span(text))).status();
  }
  Status Put(const std::string& object, std::uint64_t slot, std::span<const std::byte> bytes) {
    return Send<wire::PutAck>(wire::PutChunk{object, slot, 0, 0, digest::ComputeXxh128(bytes)}, bytes).status();
  }
  Result<wire::PutAck> PutDigests(const std::string& object, std::uint64_t page, std::span<const wire::SlotDigest> digests) {
    const std::string text = wire::EncodePage(digests);
    return Send<wire::PutAck>(wire::PutDigests{object, page, 0}, std::as_bytes(std::span(text)));
  }

 private:
  transport::InFrame Await() {
    auto received = peer_->Receive(Duration(20'000));
    if (!received.ok() || received->event != transport::Event::kFrame) {
      ADD_FAILURE() << "no frame: " << (received.ok() ? "timeout or lost" : received.error().message());
      return {};
    }
    return std::move(received->frame);
  }

  Server server_;
  memory::Pool pool_{64_MiB};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<transport::FrameClient> peer_;
  std::uint64_t id_ = 0;
};

template <class R>
Code CodeOf(const R& result) {
  return result.ok() ? Code::kUnknown : result.error().code();
}

class ShardService : public ::testing::Test {
 protected:
  void Fill() {
    for (std::uint32_t number = 0; number < 2; ++number) ASSERT_TRUE(shards_[number].Create("o", spec_).ok());
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      const Status put = shards_[slot % 2].Put("o", slot, Pattern(layout_.SlotBytes(slot), slot));
      ASSERT_TRUE(put.ok()) << put.error().message();
    }
  }
  std::vector<wire::SlotDigest> Merged() {
    auto all = shards_[0].Digests("o", 0).value();
    const auto odd = shards_[1].Digests("o", 0).value();
    for (std::size_t slot = 1; slot < all.size(); slot += 2) {
      EXPECT_EQ(all[slot], wire::SlotDigest());
      all[slot] = odd[slot];
    }
    return all;
  }

  const wire::ObjectSpec spec_ = SmallSpec();
  const tensor::Layout layout_ = LayoutOf(spec_);
  RawShard shards_[2] = {{0, 2}, {1, 2}};
};

TEST_F(ShardService, TwoShardsSealToTheDigestOfOneStore) {
  ASSERT_TRUE(shards_[0].Create("o", spec_).ok());
  EXPECT_EQ(CodeOf(shards_[0].Digests("o", 0)), Code::kUnavailable);
  Fill();
  EXPECT_EQ(CodeOf(shards_[0].Ask<wire::Sealed>(wire::Seal{"o", 0, false})), Code::kUnavailable);
  const auto digests = Merged();
  memory::Pool pool(1_MiB);
  const auto one = blob::MakeMemoryStore(pool);
  ASSERT_TRUE(one->Create(Object("o"), spec_, false).ok());
  ASSERT_TRUE(blob::testing::PutAll(*one, Object("o"), layout_).ok());
  const std::string digest = one->Seal(Object("o"), 0, false).value();
  for (RawShard& shard : shards_) {
    const auto ack = shard.PutDigests("o", 0, digests);
    ASSERT_TRUE(ack.ok()) << ack.error().message();
    EXPECT_EQ(ack->slot, 0u);
    const auto sealed = shard.Ask<wire::Sealed>(wire::Seal{"o", 0, true});
    ASSERT_TRUE(sealed.ok()) << sealed.error().message();
    EXPECT_EQ(sealed->digest, digest);
    EXPECT_EQ(sealed->slots, 7u);
    EXPECT_EQ(CodeOf(shard.PutDigests("o", 0, digests)), Code::kConflict);
    const auto status = shard.Ask<wire::ObjectStatus>(wire::Stat{"o"});
    ASSERT_TRUE(status.ok());
    EXPECT_EQ(status->bytes, layout_.total_bytes());
    EXPECT_EQ(status->slots_present, &shard == &shards_[0] ? 4u : 3u);
    EXPECT_EQ(shard.server()->stats().credit_violations, 0u);
    EXPECT_EQ(shard.server()->stats().pool.used[1], 0u);
  }
  EXPECT_EQ(Merged(), digests) << "sealed ones tell theirs, too";
}

TEST_F(ShardService, SlotsOfAnotherShardAreAnErrorAndNothingElse) {
  Fill();
  RawShard& shard = shards_[0];
  const auto bytes = Pattern(4096, 3);
  const std::string text = "slot 3 of object 'o' lies on shard 1 of 2, this is shard 0";
  const Status put = shard.Put("o", 3, bytes);
  ASSERT_EQ(CodeOf(put), Code::kNotFound);
  EXPECT_EQ(put.error().message(), text);
  for (const std::uint64_t wait : {0, 60'000}) {
    const auto got = shard.Ask<wire::Chunk>(wire::GetChunk{"o", 3, 0, wait});
    ASSERT_EQ(CodeOf(got), Code::kNotFound);
    EXPECT_EQ(got.error().message(), text);
  }
  ASSERT_TRUE(shard.PutDigests("o", 0, Merged()).ok());
  ASSERT_TRUE(shard.Ask<wire::Sealed>(wire::Seal{"o", 0, false}).ok());
  ASSERT_TRUE(shard.Create("p", spec_).ok());
  ASSERT_TRUE(shard.GetCredit(4096).ok());
  const auto link = shard.Ask<wire::PutAck>(wire::LinkChunk{"p", 3, 0, "o", 4096, digest::ComputeXxh128(bytes), digest::ComputeSha256(bytes)});
  EXPECT_EQ(CodeOf(link), Code::kNotFound);
  const auto own = Pattern(4096, 2);
  ASSERT_TRUE(shard.GetCredit(4096).ok());
  EXPECT_TRUE(shard.Ask<wire::PutAck>(wire::LinkChunk{"p", 2, 0, "o", 4096, digest::ComputeXxh128(own), digest::ComputeSha256(own)}).ok());
  EXPECT_EQ(shard.server()->stats().credit_violations, 0u);
  EXPECT_EQ(shard.server()->stats().peers, 1u);
}

TEST_F(ShardService, DigestsThatCannotBeAreRefused) {
  Fill();
  RawShard& shard = shards_[0];
  const auto digests = Merged();
  const auto send = [&](std::size_t bytes, std::uint64_t page) {
    return shard.Send<wire::PutAck>(wire::PutDigests{"o", page, 0}, std::vector<std::byte>(bytes, std::byte{1}));
  };
  EXPECT_EQ(CodeOf(send(7 * 48 - 1, 0)), Code::kProtocol);
  EXPECT_EQ(CodeOf(send(wire::kPageDigests * 48 + 48, 0)), Code::kProtocol);
  EXPECT_EQ(CodeOf(send(1_MiB, 0)), Code::kProtocol);
  for (const std::size_t count : {1, 6, 8, 4096}) EXPECT_EQ(CodeOf(send(count * 48, 0)), Code::kInvalidArgument) << count;
  for (const std::uint64_t page : {std::uint64_t{1}, ~std::uint64_t{0} / 4096 + 1, ~std::uint64_t{0}}) {
    EXPECT_EQ(CodeOf(send(7 * 48, page)), Code::kInvalidArgument) << page;
    EXPECT_EQ(CodeOf(shard.Digests("o", page)), Code::kNotFound) << page;
  }
  EXPECT_EQ(CodeOf(shard.PutDigests("absent", 0, digests)), Code::kNotFound);
  EXPECT_EQ(CodeOf(shard.PutDigests("../o", 0, digests)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(shard.Digests("absent", 0)), Code::kNotFound);
  EXPECT_EQ(CodeOf(shard.Digests("../o", 0)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(shard.Ask<wire::Sealed>(wire::Seal{"o", 0, false})), Code::kUnavailable) << "none of these were taken";
  EXPECT_EQ(shard.server()->stats().credit_violations, 0u);
  EXPECT_EQ(shard.server()->stats().pool.used[1], 0u);
  EXPECT_TRUE(shard.PutDigests("o", 0, digests).ok()) << "the peer is served on";
}

TEST_F(ShardService, DigestsSpendCredit) {
  Fill();
  RawShard& shard = shards_[0];
  const std::string page = wire::EncodePage(Merged());
  const wire::PutDigests put{"o", 0, 0};
  const auto refused = shard.SendWithoutCredit<wire::PutAck>(put, std::as_bytes(std::span(page)));
  ASSERT_EQ(CodeOf(refused), Code::kProtocol);
  EXPECT_THAT(refused.error().message(), HasSubstr("without credit"));
  EXPECT_EQ(CodeOf(shard.Ask<wire::PutAck>(put)), Code::kProtocol) << "no payload at all";
  EXPECT_EQ(shard.server()->stats().credit_violations, 2u);
  EXPECT_EQ(CodeOf(shard.Ask<wire::Sealed>(wire::Seal{"o", 0, false})), Code::kUnavailable);
}

TEST_F(ShardService, GetDigestsTakesNoPayload) {
  const std::byte payload[48] = {};
  const auto refused = shards_[0].SendWithoutCredit<wire::PageBody>(wire::GetDigests{"o", 0}, payload);
  ASSERT_EQ(CodeOf(refused), Code::kProtocol);
  EXPECT_THAT(refused.error().message(), HasSubstr("takes no payload"));
}

TEST(OneShard, TellsItsDigestsAndTakesNone) {
  RawShard alone(0, 1);
  const auto spec = SmallSpec();
  ASSERT_TRUE(alone.Create("o", spec).ok());
  for (std::uint64_t slot = 0; slot < 7; ++slot) ASSERT_TRUE(alone.Put("o", slot, Pattern(LayoutOf(spec).SlotBytes(slot), slot)).ok());
  const auto digests = alone.Digests("o", 0);
  ASSERT_TRUE(digests.ok());
  EXPECT_EQ(digests->size(), 7u);
  const auto put = alone.PutDigests("o", 0, *digests);
  ASSERT_EQ(CodeOf(put), Code::kInvalidArgument);
  EXPECT_THAT(put.error().message(), HasSubstr("no other shard"));
  EXPECT_TRUE(alone.Ask<wire::Sealed>(wire::Seal{"o", 0, false}).ok());
}

TEST(ShardStart, ADirectoryOfAnotherShardAndAShardOfACacheAreRefused) {
  Server server;
  BlobStoreService::Spec spec = server.spec();
  server.Kill();
  spec.shard = 1;
  spec.shards = 3;
  const auto other = BlobStoreService::Start(spec);
  ASSERT_EQ(CodeOf(other), Code::kInvalidArgument);
  EXPECT_THAT(other.error().message(), AllOf(HasSubstr("--data-dir"), HasSubstr("a store of one shard"), HasSubstr("shard 1 of 3")));
  spec.upstream = {"tcp://127.0.0.1:1"};
  spec.directory = server.path() / "cache";
  const auto cache = BlobStoreService::Start(spec);
  ASSERT_EQ(CodeOf(cache), Code::kInvalidArgument);
  EXPECT_THAT(cache.error().message(), AllOf(HasSubstr("--upstream"), HasSubstr("--shards 3")));
}

}  // namespace
}  // namespace tributary::service::testing
