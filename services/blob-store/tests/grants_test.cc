// A store with keys: what a trainer shows with its hello decides what it may do, whoever asked for it and whatever shard or cache it shows it to.
#include <gmock/gmock.h>

#include "services/blob-store/tests/harness.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/grants.h"

namespace tributary::service::testing {
namespace {

using ::testing::HasSubstr;
using transport::PeerRole;

const std::string kUpdate = "jobs/j/rounds/1/updates/a/0";
const std::string kModel = "jobs/j/models/0";

class StoreWithKeys : public ::testing::Test {
 protected:
  StoreWithKeys() {
    for (transport::CurveKeys* keys : {&coordinator_.own, &store_.own, &a_, &b_}) *keys = transport::GenerateCurveKeys().value();
    transport::PeerList list;
    EXPECT_TRUE(list.Add({PeerRole::kCoordinator, "coordinator"}, coordinator_.own.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kBlobStore, "blob-store"}, store_.own.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kTrainer, "a"}, a_.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kTrainer, "b"}, b_.public_key).ok());
    coordinator_.peers = store_.peers = list;
    server_.Kill();
    server_.spec().keyring = store_;
    server_.Start();
  }

  std::vector<std::byte> Grant(std::int64_t until = 4'000'000'000) const {
    return (*transport::GrantSigner::Make(coordinator_).value()).Sign({"trainer", "a", "j", static_cast<std::uint32_t>(wire::TaskKind::kTrain), {kModel}, {kUpdate}, until}).value();
  }
  std::unique_ptr<blob_client::RemoteStore> Connect(const transport::CurveKeys& own, std::vector<std::byte> grant) {
    blob_client::RemoteOptions options;
    options.endpoints = {server_.endpoint()};
    options.instance = "test";
    options.grant = std::move(grant);
    options.request_timeout = options.connect_timeout = Duration(30'000);
    auto context = std::make_shared<transport::Context>(1, transport::Keyring{own, store_.peers});
    return blob_client::ConnectStore(std::move(context), pool_, options).value();
  }
  static Result<blob::CreateOutcome> Create(blob_client::RemoteStore& store, const std::string& object) {
    wire::ObjectSpec spec;
    spec.kind = wire::ObjectKind::kUpdate;
    spec.tensors = {{"w", tensor::DType::kF32, {16}}};
    spec.sample_count = 1;
    spec.base_digest = std::string(64, 'a');
    return store.Create(ObjectName::Trusted(object), spec, false);
  }
  static std::string Refusal(const Status& status) {
    if (status.ok()) return "not refused";
    EXPECT_EQ(status.error().code(), Code::kPermission) << status.error().message();
    return status.error().message();
  }

  transport::Keyring coordinator_, store_;
  transport::CurveKeys a_, b_;
  memory::Pool pool_{8_MiB};
  Server server_;
};

TEST_F(StoreWithKeys, ATaskWritesItsOutputAndReadsWhatItNames) {
  const auto store = Connect(a_, Grant());
  const auto created = Create(*store, kUpdate);
  ASSERT_TRUE(created.ok()) << created.error().message();
  EXPECT_TRUE(store->Stat(ObjectName::Trusted(kUpdate)).ok());
  EXPECT_EQ(store->Stat(ObjectName::Trusted(kModel)).error().code(), Code::kNotFound);  // it may know
  EXPECT_THAT(Refusal(store->Stat(ObjectName::Trusted("jobs/j/models/1")).status()), HasSubstr("trainer a may not read 'jobs/j/models/1': its task's grant does not name it"));
  EXPECT_THAT(Refusal(Create(*store, kModel).status()), HasSubstr("trainer a may not write"));
}

TEST_F(StoreWithKeys, WithoutAGrantThereIsNothing) {
  const auto store = Connect(a_, {});
  EXPECT_THAT(Refusal(store->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("it shows no grant of a task"));
  EXPECT_THAT(Refusal(Create(*store, kUpdate).status()), HasSubstr("trainer a may not"));
}

TEST_F(StoreWithKeys, ABadGrantIsRefusedAtTheHello) {
  auto forged = Grant();
  forged.back() ^= std::byte{1};
  EXPECT_THAT(Refusal(Connect(a_, forged)->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("not signed"));
  EXPECT_THAT(Refusal(Connect(a_, {std::byte{1}})->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("not signed"));
  EXPECT_THAT(Refusal(Connect(b_, Grant())->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("trainer b shows a grant of trainer a"));
  EXPECT_THAT(Refusal(Connect(a_, Grant(1'000'000'000))->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("over"));
}

TEST_F(StoreWithKeys, ANewSessionShowsTheGrantAgain) {
  const auto store = Connect(a_, Grant());
  ASSERT_TRUE(Create(*store, kUpdate).ok());
  server_.Kill();
  server_.Start();
  const auto stat = store->Stat(ObjectName::Trusted(kUpdate));
  EXPECT_TRUE(stat.ok()) << stat.error().message();
}

}  // namespace
}  // namespace tributary::service::testing
