// A store with keys, and whom it knows.
#pragma once

#include <map>

#include "libs/transport/tests/ask.h"
#include "services/blob-store/tests/harness.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/grants.h"

namespace tributary::service::testing {

using transport::PeerRole;

inline const std::string kUpdate = "jobs/j/rounds/1/updates/a/0";
inline const std::string kModel = "jobs/j/models/0";

class StoreWithKeys : public ::testing::Test {
 protected:
  StoreWithKeys() {
    for (transport::CurveKeys* keys : {&coordinator_.own, &store_.own, &a_, &b_, &aggregator_, &operator_, &cache_}) *keys = transport::GenerateCurveKeys().value();
    transport::PeerList list;
    EXPECT_TRUE(list.Add({PeerRole::kCoordinator, "coordinator"}, coordinator_.own.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kBlobStore, "blob-store"}, store_.own.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kAggregator, "aggregator"}, aggregator_.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kCache, "region"}, cache_.public_key).ok());
    EXPECT_TRUE(list.Add({PeerRole::kOperator, "operator"}, operator_.public_key).ok());
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
  std::unique_ptr<transport::FrameClient> Dial(std::optional<transport::CurveKeys> own) {
    return transport::testing::Dial(server_.endpoint(), std::move(own), PeerRole::kBlobStore, store_.own.public_key);
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
  transport::CurveKeys a_, b_, aggregator_, operator_, cache_;
  memory::Pool pool_{8_MiB};
  Server server_;
};

}  // namespace tributary::service::testing
