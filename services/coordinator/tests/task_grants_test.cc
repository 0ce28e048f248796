// What a task's grant names, by kind, and that it stays the same.
#include "services/coordinator/task_grants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::service {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kNow = 20'000 * kDay + 100;
const transport::Identity kOwner{transport::PeerRole::kTrainer, "a"};
const std::vector<std::string> kImports{"models/base", "models/base.tokenizer"};

wire::TaskSpec Task(wire::TaskKind kind, const std::string& base, const std::string& output) {
  wire::TaskSpec task;
  task.kind = static_cast<std::uint32_t>(kind);
  task.job = "j";
  task.base = base;
  task.output = output;
  return task;
}

TEST(TaskGrants, ATrainTaskReadsItsBaseAndImportsAndWritesItsUpdate) {
  const auto grant = GrantOf(Task(wire::TaskKind::kTrain, "jobs/j/models/1", "jobs/j/rounds/2/updates/a/0"), kOwner, kImports, kNow);
  EXPECT_EQ(grant.role, "trainer");
  EXPECT_EQ(grant.name, "a");
  EXPECT_EQ(grant.job, "j");
  EXPECT_THAT(grant.reads, ElementsAre("models/base", "models/base.tokenizer", "jobs/j/models/1"));
  EXPECT_THAT(grant.writes, ElementsAre("jobs/j/rounds/2/updates/a/0"));
}

TEST(TaskGrants, AValidationWritesNothing) {
  const auto grant = GrantOf(Task(wire::TaskKind::kValidate, "jobs/j/models/2", ""), kOwner, {}, kNow);
  EXPECT_THAT(grant.reads, ElementsAre("jobs/j/models/2"));
  EXPECT_THAT(grant.writes, IsEmpty());
}

TEST(TaskGrants, TheFirstModelIsWrittenWithItsBroadcast) {
  auto task = Task(wire::TaskKind::kInit, "", "jobs/j/models/0");
  task.broadcast = "jobs/j/broadcasts/0";
  const auto grant = GrantOf(task, kOwner, kImports, kNow);
  EXPECT_EQ(grant.reads, kImports);
  EXPECT_THAT(grant.writes, ElementsAre("jobs/j/models/0", "jobs/j/broadcasts/0"));
}

TEST(TaskGrants, AnOffersNameIsNoObject) {
  const auto offer = GrantOf(Task(wire::TaskKind::kOffer, "scans", "offers/a/life-1"), kOwner, {}, kNow);
  EXPECT_THAT(offer.reads, IsEmpty());
  EXPECT_THAT(offer.writes, ElementsAre("offers/a/life-1"));
  auto task = Task(wire::TaskKind::kRemove, "", "");
  task.objects = {"offers/a/life-1"};
  EXPECT_THAT(GrantOf(task, kOwner, {}, kNow).writes, ElementsAre("offers/a/life-1"));
}

TEST(TaskGrants, AnAggregatorsKindsGrantNothing) {
  for (const auto kind : {wire::TaskKind::kAggregate, wire::TaskKind::kSeal, static_cast<wire::TaskKind>(99)}) {
    const auto grant = GrantOf(Task(kind, "jobs/j/models/1", "jobs/j/models/2"), kOwner, kImports, kNow);
    EXPECT_THAT(grant.reads, IsEmpty());
    EXPECT_THAT(grant.writes, IsEmpty());
  }
}

TEST(TaskGrants, AllOfADayAreTheSameAndLastThirtyDaysAtLeast) {
  const auto task = Task(wire::TaskKind::kTrain, "jobs/j/models/1", "jobs/j/rounds/2/updates/a/0");
  const auto grant = GrantOf(task, kOwner, kImports, kNow);
  EXPECT_EQ(GrantOf(task, kOwner, kImports, kNow + 3600), grant);
  EXPECT_GE(grant.until, kNow + 30 * kDay);
  EXPECT_GE(GrantOf(task, kOwner, kImports, kNow - 101).until, kNow - 101 + 30 * kDay);
  EXPECT_GT(GrantOf(task, kOwner, kImports, kNow + kDay).until, grant.until);
}

}  // namespace
}  // namespace tributary::service
