// What is refused gives back what it held: credit, memory and its place among the chunks that wait.
#include <gmock/gmock.h>

#include "services/blob-store/tests/keyed_store.h"
#include "tributary/digest/digest.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::LayoutOf;

constexpr std::uint64_t kChunk = 256_KiB;

class Refused : public StoreWithKeys {
 protected:
  void SetUp() override {
    // The update that its task writes, and the model that it reads.
    spec_.kind = wire::ObjectKind::kUpdate;
    spec_.tensors = {{"w", tensor::DType::kU8, {16 * kChunk}}};
    spec_.chunk_bytes = kChunk;
    spec_.sample_count = 1;
    spec_.base_digest = std::string(64, 'a');
    trainer_ = Connect(a_, Grant());
    ASSERT_TRUE(trainer_->Create(ObjectName::Trusted(kUpdate), spec_, false).ok());
    auto model = spec_;
    model.kind = wire::ObjectKind::kModel;
    const auto aggregator = Connect(aggregator_, {});
    ASSERT_TRUE(aggregator->Create(ObjectName::Trusted(kModel), model, false).ok());
    ASSERT_TRUE(blob::testing::PutAll(*aggregator, ObjectName::Trusted(kModel), LayoutOf(model)).ok());
    ASSERT_TRUE(aggregator->Seal(ObjectName::Trusted(kModel), 0, false).ok());
    raw_ = Dial(a_);
    ASSERT_EQ(transport::testing::Ask(*raw_, 1, wire::StoreHello{"raw", 1, Grant()}), transport::testing::Answer::kServed);
  }
  // With credit for it, what is refused with `code`; twice the budget in all.
  template <class M>
  void ExpectAlwaysRefused(const M& message, bool payload, Code code) {
    for (int i = 0; i < 64; ++i) {
      ASSERT_TRUE(raw_->Send(transport::MakeFrame(++id_, wire::CreditRequest{kChunk, kChunk, 0})).ok());
      const auto grant = Await(id_);
      ASSERT_EQ(grant.view().type, wire::Type::kCreditGrant) << "after " << i << " refusals";
      transport::OutFrame frame;
      if (payload) {
        auto buffer = pool_.Allocate(memory::Side::kWrite, kChunk, Duration(1'000)).value();
        std::ranges::fill(buffer->payload(), std::byte{7});
        frame = transport::MakeFrame(++id_, message, std::move(buffer));
      } else {
        frame = transport::MakeFrame(++id_, message);
      }
      ASSERT_TRUE(raw_->Send(std::move(frame)).ok());
      const auto answer = Await(id_);
      ASSERT_EQ(answer.view().type, wire::Type::kError) << i;
      ASSERT_EQ(wire::ErrorOf(answer.view()).code(), code) << wire::ErrorOf(answer.view()).message();
    }
  }
  transport::InFrame Await(std::uint64_t id) {
    for (;;) {
      auto received = raw_->Receive(Duration(20'000));
      if (!received.ok() || received->event != transport::Event::kFrame) {
        ADD_FAILURE() << "no frame";
        return {};
      }
      if (received->frame.view().id == id) return std::move(received->frame);
    }
  }

  wire::ObjectSpec spec_;
  std::unique_ptr<blob_client::RemoteStore> trainer_;
  std::unique_ptr<transport::FrameClient> raw_;
  std::uint64_t id_ = 1;
};

TEST_F(Refused, WritesAndLinksLeaveRoomForTheWholeUpdate) {
  const std::string other = "jobs/j/rounds/1/updates/b/0";
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::PutChunk{other, 0, 0, 0, {}}, true, Code::kPermission));
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::Create{other, false}, true, Code::kPermission));
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::LinkChunk{other, 0, 0, kModel, kChunk, {}, {}}, false, Code::kPermission));
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::LinkChunk{kUpdate, 0, 0, "jobs/j/models/1", kChunk, {}, {}}, false, Code::kPermission));
  // Its own object, and what is wrong with the bytes: another digest, no such slot, other bytes than the model's.
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::PutChunk{kUpdate, 0, 0, 0, {}}, true, Code::kDataLoss));
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::PutChunk{kUpdate, 99, 0, 0, digest::ComputeXxh128(std::vector<std::byte>(kChunk, std::byte{7}))}, true, Code::kNotFound));
  ASSERT_NO_FATAL_FAILURE(ExpectAlwaysRefused(wire::LinkChunk{kUpdate, 0, 0, kModel, kChunk, {}, {}}, false, Code::kConflict));
  EXPECT_EQ(server_->stats().pool.used[1], 0u);
  EXPECT_EQ(server_->stats().credit_violations, 0u);
  const Status put = blob::testing::PutAll(*trainer_, ObjectName::Trusted(kUpdate), LayoutOf(spec_), 1);
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_TRUE(trainer_->Seal(ObjectName::Trusted(kUpdate), 0, false).ok());
}

// A site's updates and offers, open and sealed, have a bound of their own; it is refused with what it needs, and nobody else notices.
TEST(SiteQuota, BoundsEachSiteAloneAndSurvivesARestart) {
  Server server;
  server.Kill();
  server.spec().site_quota = 1_MiB;
  server.Start();
  Client client(server.endpoint());
  const auto spec = blob::testing::OneTensorSpec(600_KiB, 64_KiB);
  const auto create = [&](const std::string& name) { return client->Create(ObjectName::Trusted(name), spec, false).status(); };
  const std::string first = "jobs/j/rounds/1/updates/a/0";
  ASSERT_TRUE(create(first).ok());
  ASSERT_TRUE(blob::testing::PutAll(*client, ObjectName::Trusted(first), LayoutOf(spec)).ok());
  ASSERT_TRUE(client->Seal(ObjectName::Trusted(first), 0, false).ok());
  for (const int turn : {1, 2}) {
    for (const char* more : {"jobs/j/rounds/2/updates/a/1", "jobs/other/rounds/1/updates/a/0", "offers/a/1"}) {
      const Status refused = create(more);
      ASSERT_FALSE(refused.ok()) << more;
      EXPECT_EQ(refused.error().code(), Code::kResourceExhausted);
      EXPECT_THAT(refused.error().message(), ::testing::AllOf(::testing::HasSubstr("'a'"), ::testing::HasSubstr("--site-quota"), ::testing::HasSubstr("of 1.0 MiB are taken")));
    }
    EXPECT_TRUE(create(fmt::format("jobs/j/rounds/{}/updates/b/0", turn)).ok() == (turn == 1)) << "b has as much, and no more";
    EXPECT_TRUE(create(fmt::format("jobs/j/models/{}", turn)).ok());
    EXPECT_TRUE(create(fmt::format("jobs/j/broadcasts/{}", turn)).ok());
    server.Kill();
    server.Start();
  }
  ASSERT_TRUE(client->Remove(ObjectName::Trusted(first)).ok());
  EXPECT_TRUE(create("offers/a/1").ok());
}

}  // namespace
}  // namespace tributary::service::testing
