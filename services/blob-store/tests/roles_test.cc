// Which role may do what with which object at a store with keys: every message of the protocol from everybody, over real sockets.
#include <gmock/gmock.h>

#include "libs/wire/tests/samples.h"
#include "services/blob-store/tests/keyed_store.h"

namespace tributary::service::testing {
namespace {

using transport::testing::Answer;
using wire::Type;

enum class Right { kRead, kWrite, kRemove, kList, kCredit, kSession, kNobody };

// A message without a row fails the test.
const std::map<Type, Right> kNeeds = {
    {Type::kPing, Right::kSession}, {Type::kStoreHello, Right::kSession}, {Type::kCancelReads, Right::kSession}, {Type::kCreditRequest, Right::kCredit},
    {Type::kStat, Right::kRead}, {Type::kGetSpec, Right::kRead}, {Type::kGetMissing, Right::kRead}, {Type::kGetChunk, Right::kRead}, {Type::kGetRoot, Right::kRead},
    {Type::kGetPage, Right::kRead}, {Type::kGetDigests, Right::kRead},
    {Type::kCreate, Right::kWrite}, {Type::kPutChunk, Right::kWrite}, {Type::kLinkChunk, Right::kWrite}, {Type::kSeal, Right::kWrite}, {Type::kPutDigests, Right::kWrite},
    {Type::kRemove, Right::kRemove}, {Type::kList, Right::kList},
    // What it says itself.
    {Type::kError, Right::kNobody}, {Type::kPong, Right::kNobody}, {Type::kStoreWelcome, Right::kNobody}, {Type::kCreated, Right::kNobody}, {Type::kObjectStatus, Right::kNobody},
    {Type::kSpec, Right::kNobody}, {Type::kMissing, Right::kNobody}, {Type::kCreditGrant, Right::kNobody}, {Type::kPutAck, Right::kNobody}, {Type::kChunk, Right::kNobody},
    {Type::kSealed, Right::kNobody}, {Type::kRoot, Right::kNobody}, {Type::kPage, Right::kNobody}, {Type::kRemoved, Right::kNobody}, {Type::kObjectList, Right::kNobody},
    // The control plane.
    {Type::kHello, Right::kNobody}, {Type::kWelcome, Right::kNobody}, {Type::kReport, Right::kNobody}, {Type::kAssignment, Right::kNobody}, {Type::kGetJobText, Right::kNobody},
    {Type::kJobText, Right::kNobody}, {Type::kSubmit, Right::kNobody}, {Type::kSubmitted, Right::kNobody}, {Type::kGetStatus, Right::kNobody}, {Type::kStatus, Right::kNobody},
    {Type::kListJobs, Right::kNobody}, {Type::kJobList, Right::kNobody}, {Type::kStopJob, Right::kNobody}, {Type::kStopped, Right::kNobody}, {Type::kGetLog, Right::kNobody},
    {Type::kLog, Right::kNobody}, {Type::kListOffers, Right::kNobody}, {Type::kOfferList, Right::kNobody}, {Type::kRetrieve, Right::kNobody}, {Type::kRetrieval, Right::kNobody},
    {Type::kResumeJob, Right::kNobody}, {Type::kResumed, Right::kNobody},
};

struct Who {
  const char* name;
  const transport::CurveKeys& key;
  std::vector<std::byte> grant;
  // What it may do with each of the objects: Read, Write, reMove, List.
  std::map<std::string, std::string_view> may;
  bool credit = true;
};

TEST_F(StoreWithKeys, EachRoleDoesWhatItsWorkNeedsAndNothingElse) {
  const std::string import = "models/base", offer = "offers/a/1", other = "shared/x";
  const std::vector<Who> everybody = {
      {"operator", operator_, {}, {{kUpdate, "RWML"}, {kModel, "RWML"}, {import, "RWML"}, {offer, "RWML"}, {other, "RWML"}}},
      {"aggregator", aggregator_, {}, {{kUpdate, "RWM"}, {kModel, "RWM"}, {import, "R"}, {offer, "M"}}},
      {"trainer a, at its task", a_, Grant(), {{kUpdate, "RW"}, {kModel, "R"}}},
      {"trainer b, without one", b_, {}, {}, false},
      {"cache", cache_, {}, {{kModel, "R"}, {import, "R"}}, false},
      {"blob-store", store_.own, {}, {}, false},
      {"coordinator", coordinator_.own, {}, {}, false},
  };
  for (const Who& who : everybody) {
    for (const std::string& object : {kUpdate, kModel, import, offer, other}) {
      const auto found = who.may.find(object);
      const std::string_view may = found == who.may.end() ? "" : found->second;
      std::unique_ptr<transport::FrameClient> client;
      std::uint64_t id = 0;
      const auto begin = [&] {
        client = Dial(who.key);
        ASSERT_EQ(transport::testing::Ask(*client, ++id, wire::StoreHello{"test", 0, who.grant}), Answer::kServed) << who.name;
      };
      begin();
      wire::ForEachSample([&](auto message) {
        using M = decltype(message);
        const auto row = kNeeds.find(M::kType);
        ASSERT_TRUE(row != kNeeds.end()) << wire::TypeName(M::kType) << " has no row: what does it need?";
        if constexpr (requires { message.object; }) message.object = object;
        if constexpr (requires { message.wait_ms; }) message.wait_ms = 0;
        if constexpr (std::is_same_v<M, wire::List>) message.prefix = object;
        if constexpr (std::is_same_v<M, wire::StoreHello>) message.grant = who.grant;
        if constexpr (std::is_same_v<M, wire::LinkChunk>) message.from = may.find('R') == std::string_view::npos ? kModel : object, message.bytes = 0;
        if constexpr (std::is_same_v<M, wire::CancelReads>) {
          ASSERT_TRUE(client->Send(transport::MakeFrame(++id, message)).ok());  // has no answer of its own
          return;
        }
        const Right right = row->second;
        const bool allowed = right == Right::kSession || (right == Right::kCredit && who.credit) ||
                             (right <= Right::kList && may.find("RWML"[static_cast<std::size_t>(right)]) != std::string_view::npos);
        // Without the credit and the payload that they want, what writes gets no further than this.
        const bool empty = M::kType == Type::kCreate || M::kType == Type::kPutChunk || M::kType == Type::kPutDigests || M::kType == Type::kLinkChunk;
        const Answer expected = right == Right::kNobody || (allowed && empty) ? Answer::kNotTaken : (allowed ? Answer::kServed : Answer::kForbidden);
        EXPECT_EQ(transport::testing::Ask(*client, ++id, message), expected) << who.name << ", " << wire::TypeName(M::kType) << " of " << object;
        if (allowed && empty) begin();  // three such end a connection
      });
      EXPECT_EQ(transport::testing::Ask(*client, ++id, wire::Ping{}), Answer::kServed) << who.name;
    }
  }
}

TEST_F(StoreWithKeys, StrangersAreNotAnswered) {
  for (const bool keys : {true, false}) {
    const auto client = Dial(keys ? std::optional(transport::GenerateCurveKeys().value()) : std::nullopt);
    wire::ForEachSample([&](const auto& message) { EXPECT_EQ(transport::testing::Ask(*client, 1, message), Answer::kNone) << wire::TypeName(message.kType); });
  }
}

}  // namespace
}  // namespace tributary::service::testing
