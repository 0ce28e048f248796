// Which role may send which message to a coordinator with keys: every message of the protocol from everybody, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"
#include "libs/transport/tests/ask.h"
#include "libs/wire/tests/samples.h"
#include "services/coordinator/coordinator_service.h"

namespace tributary::service {
namespace {

using transport::PeerRole;
using transport::testing::Answer;
using wire::Type;

// The roles that are answered: Coordinator, Blob-store, Aggregator, Trainer, Operator, cacHe. A message without a row fails the test.
const std::map<Type, std::string_view> kMay = {
    {Type::kPing, "CBATOH"}, {Type::kHello, "AT"}, {Type::kReport, "AT"}, {Type::kGetJobText, "ATO"},
    {Type::kSubmit, "O"}, {Type::kGetStatus, "O"}, {Type::kListJobs, "O"}, {Type::kStopJob, "O"}, {Type::kGetLog, "O"},
    {Type::kListOffers, "O"}, {Type::kRetrieve, "O"}, {Type::kResumeJob, "O"},
    // What it says itself.
    {Type::kError, ""}, {Type::kPong, ""}, {Type::kWelcome, ""}, {Type::kAssignment, ""}, {Type::kJobText, ""}, {Type::kSubmitted, ""}, {Type::kStatus, ""},
    {Type::kJobList, ""}, {Type::kStopped, ""}, {Type::kLog, ""}, {Type::kOfferList, ""}, {Type::kRetrieval, ""}, {Type::kResumed, ""},
    // The data plane.
    {Type::kStoreHello, ""}, {Type::kStoreWelcome, ""}, {Type::kCreate, ""}, {Type::kCreated, ""}, {Type::kStat, ""}, {Type::kObjectStatus, ""}, {Type::kGetSpec, ""},
    {Type::kSpec, ""}, {Type::kGetMissing, ""}, {Type::kMissing, ""}, {Type::kCreditRequest, ""}, {Type::kCreditGrant, ""}, {Type::kPutChunk, ""}, {Type::kPutAck, ""},
    {Type::kGetChunk, ""}, {Type::kChunk, ""}, {Type::kCancelReads, ""}, {Type::kLinkChunk, ""}, {Type::kSeal, ""}, {Type::kSealed, ""}, {Type::kGetRoot, ""},
    {Type::kRoot, ""}, {Type::kGetPage, ""}, {Type::kPage, ""}, {Type::kGetDigests, ""}, {Type::kPutDigests, ""}, {Type::kRemove, ""}, {Type::kRemoved, ""},
    {Type::kList, ""}, {Type::kObjectList, ""},
};

class CoordinatorRoles : public ::testing::Test {
 protected:
  CoordinatorRoles() {
    transport::Keyring own{transport::GenerateCurveKeys().value(), {}, {}};
    for (const PeerRole role : kRoles) {
      keys_[role] = role == PeerRole::kCoordinator ? own.own : transport::GenerateCurveKeys().value();
      EXPECT_TRUE(own.peers.Add({role, role == PeerRole::kTrainer ? "site" : "one"}, keys_[role].public_key).ok());
    }
    CoordinatorService::Spec spec;
    spec.listen = "tcp://127.0.0.1:0";
    spec.state_dir = directory_.File("state");
    spec.blob_stores = {"tcp://store:7710"};
    spec.keyring = own;
    auto started = CoordinatorService::Start(std::move(spec));
    EXPECT_TRUE(started.ok()) << started.error().message();
    service_ = *std::move(started);
  }
  std::unique_ptr<transport::FrameClient> Dial(std::optional<transport::CurveKeys> own) {
    return transport::testing::Dial(service_->endpoint(), std::move(own), PeerRole::kCoordinator, keys_[PeerRole::kCoordinator].public_key);
  }
  static constexpr PeerRole kRoles[] = {PeerRole::kCoordinator, PeerRole::kBlobStore, PeerRole::kAggregator, PeerRole::kTrainer, PeerRole::kOperator, PeerRole::kCache};

  const TempDirectory directory_;
  std::map<PeerRole, transport::CurveKeys> keys_;
  std::unique_ptr<CoordinatorService> service_;
};

TEST_F(CoordinatorRoles, EachIsAnsweredWhatItMaySendAndNothingElse) {
  for (const PeerRole role : kRoles) {
    const auto client = Dial(keys_[role]);
    const char letter = "CBATOH"[static_cast<std::size_t>(role)];
    std::uint64_t id = 0;
    wire::ForEachSample([&](auto message) {
      using M = decltype(message);
      const auto row = kMay.find(M::kType);
      ASSERT_TRUE(row != kMay.end()) << wire::TypeName(M::kType) << " has no row: who may send it?";
      if constexpr (std::is_same_v<M, wire::Hello>) message.role = role == PeerRole::kTrainer ? 1 : 2;  // as another one: keys_test
      const Answer answer = transport::testing::Ask(*client, ++id, message);
      const bool may = row->second.find(letter) != std::string_view::npos;
      // Nobody may send what no coordinator takes: an operator is told that, everybody else that it is not his to send.
      const Answer expected = may ? Answer::kServed : (row->second.empty() && role == PeerRole::kOperator ? Answer::kNotTaken : Answer::kForbidden);
      EXPECT_EQ(answer, expected) << transport::RoleName(role) << ", " << wire::TypeName(M::kType);
    });
  }
}

TEST_F(CoordinatorRoles, StrangersAreNotAnswered) {
  for (const bool keys : {true, false}) {
    const auto client = Dial(keys ? std::optional(transport::GenerateCurveKeys().value()) : std::nullopt);
    wire::ForEachSample([&](const auto& message) { EXPECT_EQ(transport::testing::Ask(*client, 1, message), Answer::kNone) << wire::TypeName(message.kType); });
  }
}

}  // namespace
}  // namespace tributary::service
