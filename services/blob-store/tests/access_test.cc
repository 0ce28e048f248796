#include "services/blob-store/access.h"

#include <gmock/gmock.h>

#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service {
namespace {

using transport::Identity;
using transport::PeerRole;

template <class M>
Status Check(const Identity& who, const M& message) {
  const std::string frame = wire::EncodeFrame(1, message);
  const auto view = wire::ParseFrame(std::as_bytes(std::span(frame)));
  EXPECT_TRUE(view.ok());
  return CheckAccess(who, *view);
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

TEST(Access, ATrainerReadsModelsAndWritesItsOwnUpdatesAlone) {
  for (const char* model : {"jobs/j/models/0", "jobs/j/models/17", "jobs/j/broadcasts/3", "models/smollm2", "models/team/base"}) EXPECT_TRUE(Reads(kSite, model)) << model;
  for (const char* own : {"jobs/j/rounds/1/updates/hospital-a/0", "jobs/j/rounds/9/updates/hospital-a/3.g2", "offers/hospital-a/life-1"}) {
    EXPECT_TRUE(Reads(kSite, own) && Writes(kSite, own) && Removes(kSite, own)) << own;
  }
  for (const char* other : {"jobs/j/rounds/1/updates/hospital-b/0", "jobs/j/rounds/1/updates/hospital-a2/0", "jobs/j/rounds/1/updates/hospital-a", "offers/hospital-b/life-1",
                            "offers/hospital-a", "shared/secret", "jobs/j/other/hospital-a", "jobs/rounds/updates/hospital-a/models/0/x", "models"}) {
    EXPECT_FALSE(Reads(kSite, other)) << other;
    EXPECT_FALSE(Writes(kSite, other)) << other;
    EXPECT_FALSE(Removes(kSite, other)) << other;
  }
  // The first model is made by the trainer that is asked to; no later one is.
  EXPECT_TRUE(Writes(kSite, "jobs/j/models/0"));
  EXPECT_TRUE(Writes(kSite, "jobs/j/broadcasts/0"));
  EXPECT_FALSE(Writes(kSite, "jobs/j/models/1"));
  EXPECT_FALSE(Writes(kSite, "jobs/j/broadcasts/1"));
  EXPECT_FALSE(Writes(kSite, "models/smollm2"));
  EXPECT_FALSE(Removes(kSite, "jobs/j/models/0"));
  EXPECT_FALSE(Lists(kSite, ""));
  EXPECT_FALSE(Lists(kSite, "jobs/j/rounds/1/updates/"));
}

TEST(Access, ALinkNeedsBothRights) {
  wire::LinkChunk link;
  link.object = "jobs/j/rounds/1/updates/hospital-a/0";
  link.from = "jobs/j/models/0";
  EXPECT_TRUE(Check(kSite, link).ok());
  link.from = "shared/secret";
  EXPECT_EQ(Check(kSite, link).error().code(), Code::kPermission);
  link.from = "jobs/j/models/0";
  link.object = "jobs/j/models/1";
  EXPECT_THAT(Check(kSite, link).error().message(), testing::HasSubstr("trainer hospital-a may not write 'jobs/j/models/1'"));
}

TEST(Access, OtherRolesHaveWhatTheirWorkNeeds) {
  const Identity aggregator{PeerRole::kAggregator, "aggregator"};
  EXPECT_TRUE(Reads(aggregator, "jobs/j/rounds/1/updates/hospital-a/0") && Writes(aggregator, "jobs/j/models/1") && Removes(aggregator, "jobs/j/rounds/1/updates/hospital-a/0"));
  EXPECT_TRUE(Reads(aggregator, "models/smollm2") && Removes(aggregator, "offers/hospital-a/life-1"));
  EXPECT_FALSE(Writes(aggregator, "models/smollm2"));
  EXPECT_FALSE(Reads(aggregator, "shared/secret"));
  EXPECT_FALSE(Reads(aggregator, "offers/hospital-a/life-1"));
  const Identity cache{PeerRole::kBlobStore, "cache"};
  EXPECT_TRUE(Reads(cache, "jobs/j/models/1"));
  EXPECT_FALSE(Writes(cache, "jobs/j/models/1") || Removes(cache, "jobs/j/models/1") || Lists(cache, ""));
  const Identity coordinator{PeerRole::kCoordinator, "coordinator"};
  EXPECT_FALSE(Reads(coordinator, "jobs/j/models/1") || Writes(coordinator, "jobs/j/models/1"));
  const Identity person{PeerRole::kOperator, "operator"};
  EXPECT_TRUE(Reads(person, "shared/secret") && Writes(person, "shared/secret") && Removes(person, "jobs/j/models/1") && Lists(person, ""));
}

TEST(Access, WhatConcernsTheSessionAloneIsEverybodys) {
  EXPECT_TRUE(Check(kSite, wire::CreditRequest{}).ok());
  EXPECT_TRUE(Check(kSite, wire::CancelReads{}).ok());
}

}  // namespace
}  // namespace tributary::service
