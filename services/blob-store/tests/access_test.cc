#include "services/blob-store/access.h"

#include <gmock/gmock.h>

#include <optional>

#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service {
namespace {

using transport::Identity;
using transport::PeerRole;

// What the session has shown; reset by each test.
std::optional<wire::Grant> shown;

template <class M>
Status Check(const Identity& who, const M& message) {
  const std::string frame = wire::EncodeFrame(1, message);
  const auto view = wire::ParseFrame(std::as_bytes(std::span(frame)));
  EXPECT_TRUE(view.ok());
  return CheckAccess(who, shown, *view);
}
bool Reads(const Identity& who, const std::string& object) {
  wire::GetChunk get;
  get.object = object;
  wire::Stat stat;
  stat.object = object;
  wire::GetRoot root;
  root.object = object;
  wire::GetSpec spec;
  spec.object = object;
  wire::GetPage page;
  page.object = object;
  wire::GetMissing missing;
  missing.object = object;
  wire::GetDigests digests;
  digests.object = object;
  const bool chunk = Check(who, get).ok();
  for (const bool same : {Check(who, stat).ok(), Check(who, root).ok(), Check(who, spec).ok(), Check(who, page).ok(), Check(who, missing).ok(), Check(who, digests).ok()}) {
    EXPECT_EQ(same, chunk) << who.str() << " " << object;
  }
  return chunk;
}
bool Writes(const Identity& who, const std::string& object) {
  wire::PutChunk put;
  put.object = object;
  wire::Create create;
  create.object = object;
  wire::Seal seal;
  seal.object = object;
  wire::PutDigests digests;
  digests.object = object;
  const bool chunk = Check(who, put).ok();
  for (const bool same : {Check(who, create).ok(), Check(who, seal).ok(), Check(who, digests).ok()}) EXPECT_EQ(same, chunk) << who.str() << " " << object;
  return chunk;
}
bool Removes(const Identity& who, const std::string& object) {
  wire::Remove remove;
  remove.object = object;
  return Check(who, remove).ok();
}
bool Lists(const Identity& who, const std::string& prefix) {
  wire::List list;
  list.prefix = prefix;
  return Check(who, list).ok();
}

const Identity kSite{PeerRole::kTrainer, "hospital-a"};
const std::string kUpdate = "jobs/j/rounds/2/updates/hospital-a/0";

wire::Grant GrantFor(wire::TaskKind kind, std::vector<std::string> reads, std::vector<std::string> writes) {
  return {"trainer", "hospital-a", "j", static_cast<std::uint32_t>(kind), std::move(reads), std::move(writes), 0};
}
wire::Grant Training() { return GrantFor(wire::TaskKind::kTrain, {"jobs/j/broadcasts/1", "models/base", "models/base.tokenizer"}, {kUpdate}); }

class Access : public testing::Test {
 protected:
  void SetUp() override { shown.reset(); }
};

TEST_F(Access, ATrainerWithoutAGrantMayNothingButSayHello) {
  for (const char* object : {"jobs/j/models/0", "jobs/j/broadcasts/0", "models/base", kUpdate.c_str(), "offers/hospital-a/life-1", ""}) {
    EXPECT_FALSE(Reads(kSite, object) || Writes(kSite, object) || Removes(kSite, object)) << object;
  }
  EXPECT_FALSE(Lists(kSite, ""));
  EXPECT_EQ(Check(kSite, wire::CreditRequest{}).error().code(), Code::kPermission);
  wire::GetChunk get;
  get.object = "jobs/j/models/0";
  EXPECT_THAT(Check(kSite, get).error().message(), testing::HasSubstr("trainer hospital-a may not read 'jobs/j/models/0': it shows no grant"));
}

TEST_F(Access, ATrainerReadsAndWritesWhatItsTaskNames) {
  shown = Training();
  for (const char* named : {"jobs/j/broadcasts/1", "models/base", "models/base.tokenizer"}) {
    EXPECT_TRUE(Reads(kSite, named)) << named;
    EXPECT_FALSE(Writes(kSite, named) || Removes(kSite, named)) << named;
  }
  EXPECT_TRUE(Reads(kSite, kUpdate) && Writes(kSite, kUpdate));
  EXPECT_FALSE(Removes(kSite, kUpdate));
  for (const char* other : {"jobs/j/models/1", "jobs/j/broadcasts/0", "jobs/other/broadcasts/1", "models/other", "models", "shared/secret", "jobs/j/rounds/2/updates/hospital-b/0",
                            "jobs/j/rounds/2/updates/hospital-a/1", "jobs/j/rounds/1/updates/hospital-a/0", "jobs/j/rounds/2/updates/hospital-a/0.g2", "jobs/j/models/0",
                            "offers/hospital-a/life-1", "jobs/j/broadcasts/1/", "jobs/j/broadcasts/10", ""}) {
    EXPECT_FALSE(Reads(kSite, other) || Writes(kSite, other) || Removes(kSite, other)) << other;
  }
  EXPECT_FALSE(Lists(kSite, "") || Lists(kSite, "jobs/j/rounds/2/updates/"));
}

TEST_F(Access, AGrantIsWorthNothingToAnotherIdentity) {
  shown = Training();
  // A connection whose key has become another site's, on a list that was read anew.
  const Identity other{PeerRole::kTrainer, "hospital-b"};
  EXPECT_FALSE(Reads(other, "jobs/j/broadcasts/1") || Writes(other, kUpdate) || Writes(other, "jobs/j/rounds/2/updates/hospital-b/0"));
  const Identity coordinator{PeerRole::kCoordinator, "hospital-a"};
  EXPECT_FALSE(Reads(coordinator, "jobs/j/broadcasts/1") || Writes(coordinator, kUpdate));
}

TEST_F(Access, NoGrantLetsATrainerWriteWhatIsNotATrainersWork) {
  const std::vector<std::string> never = {"jobs/j/models/1", "jobs/j/broadcasts/2", "models/base", "shared/list", "jobs/j/rounds/2/updates/hospital-b/0", "offers/hospital-b/life-1"};
  shown = GrantFor(wire::TaskKind::kInit, {}, never);
  for (const std::string& object : never) EXPECT_FALSE(Writes(kSite, object) || Reads(kSite, object)) << object;
  shown->kind = static_cast<std::uint32_t>(wire::TaskKind::kRemove);
  for (const std::string& object : never) EXPECT_FALSE(Removes(kSite, object)) << object;
}

TEST_F(Access, TheFirstModelIsMadeByWhoIsAskedTo) {
  shown = GrantFor(wire::TaskKind::kInit, {"models/base"}, {"jobs/j/models/0", "jobs/j/broadcasts/0"});
  for (const char* made : {"jobs/j/models/0", "jobs/j/broadcasts/0"}) {
    EXPECT_TRUE(Writes(kSite, made) && Reads(kSite, made)) << made;
    EXPECT_FALSE(Removes(kSite, made)) << made;
  }
  EXPECT_FALSE(Writes(kSite, "jobs/other/models/0"));
}

TEST_F(Access, AnOfferIsPutByItsTaskAndRemovedByItsTask) {
  const std::string offer = "offers/hospital-a/life-1";
  shown = GrantFor(wire::TaskKind::kOffer, {}, {offer});
  EXPECT_TRUE(Writes(kSite, offer) && Reads(kSite, offer) && Removes(kSite, offer));
  shown = GrantFor(wire::TaskKind::kRemove, {}, {offer});
  EXPECT_TRUE(Removes(kSite, offer));
  EXPECT_FALSE(Writes(kSite, offer));
  EXPECT_FALSE(Removes(kSite, "offers/hospital-a/life-2"));
}

TEST_F(Access, ALinkNeedsBothRights) {
  shown = Training();
  wire::LinkChunk link;
  link.object = kUpdate;
  link.from = "jobs/j/broadcasts/1";
  EXPECT_TRUE(Check(kSite, link).ok());
  link.from = "jobs/other/broadcasts/1";
  EXPECT_EQ(Check(kSite, link).error().code(), Code::kPermission);
  link.from = "jobs/j/broadcasts/1";
  link.object = "jobs/j/models/1";
  EXPECT_THAT(Check(kSite, link).error().message(), testing::HasSubstr("trainer hospital-a may not write 'jobs/j/models/1': its task's grant does not name it"));
}

TEST_F(Access, OtherRolesHaveWhatTheirWorkNeeds) {
  const Identity aggregator{PeerRole::kAggregator, "aggregator"};
  EXPECT_TRUE(Reads(aggregator, "jobs/j/rounds/1/updates/hospital-a/0") && Writes(aggregator, "jobs/j/models/1") && Removes(aggregator, "jobs/j/rounds/1/updates/hospital-a/0"));
  EXPECT_TRUE(Reads(aggregator, "models/smollm2") && Removes(aggregator, "offers/hospital-a/life-1"));
  EXPECT_FALSE(Writes(aggregator, "models/smollm2"));
  EXPECT_FALSE(Reads(aggregator, "shared/secret"));
  EXPECT_FALSE(Reads(aggregator, "offers/hospital-a/life-1"));
  const Identity store{PeerRole::kBlobStore, "blob-store"};
  EXPECT_FALSE(Reads(store, "jobs/j/models/1") || Writes(store, "jobs/j/models/1"));
  const Identity cache{PeerRole::kCache, "cache"};
  EXPECT_TRUE(Reads(cache, "jobs/j/models/1"));
  EXPECT_FALSE(Writes(cache, "jobs/j/models/1") || Removes(cache, "jobs/j/models/1") || Lists(cache, ""));
  const Identity coordinator{PeerRole::kCoordinator, "coordinator"};
  EXPECT_FALSE(Reads(coordinator, "jobs/j/models/1") || Writes(coordinator, "jobs/j/models/1"));
  const Identity person{PeerRole::kOperator, "operator"};
  EXPECT_TRUE(Reads(person, "shared/secret") && Writes(person, "shared/secret") && Removes(person, "jobs/j/models/1") && Lists(person, ""));
}

TEST_F(Access, WhatConcernsTheSessionAloneIsEverybodys) {
  shown = Training();
  EXPECT_TRUE(Check(kSite, wire::CreditRequest{}).ok());
  // Who only reads has no use for credit.
  shown->writes.clear();
  EXPECT_FALSE(Check(kSite, wire::CreditRequest{}).ok());
  EXPECT_TRUE(Check(kSite, wire::CancelReads{}).ok());
}

}  // namespace
}  // namespace tributary::service
