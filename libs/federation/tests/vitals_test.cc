// What metrics are told of a job on its way.
#include "world.h"

#include "tributary/federation/plan.h"

namespace tributary::federation {
namespace {

class Watching : public ::testing::Test {
 protected:
  static job::Job Spec() {
    job::Job spec = World::TwoSeats(1);
    spec.participants.quorum = 1;
    spec.transfer.chunk_bytes = 1_MiB;
    return spec;
  }
  Watching() : world(Spec()) {
    agg = world.Connect(World::Aggregator("agg-0"));
    a = world.Connect(World::Trainer("a"));
    b = world.Connect(World::Trainer("b"));
  }
  void Begin() {
    ASSERT_TRUE(world.Submit().ok());
    world.Work(agg);
    ASSERT_EQ(world.Status().phase, "train");
  }
  Vitals Watch() { return world.federation->Watch(world.now); }
  JobVitals Job() {
    const Vitals vitals = Watch();
    EXPECT_EQ(vitals.running.size(), 1u);
    return vitals.running.empty() ? JobVitals{} : vitals.running[0];
  }
  void Open(const std::string& key) {
    wire::Report report;
    report.tasks.push_back(World::Running(world.Tasks(key)[0].task, 1));
    report.tasks[0].phase = "upload";
    report.tasks[0].metrics["samples"] = 10;
    world.Send(key, report);
  }
  World world;
  std::string agg, a, b;
};

TEST_F(Watching, WithoutAJobThereIsNothing) {
  const Vitals vitals = Watch();
  EXPECT_TRUE(vitals.running.empty());
  EXPECT_TRUE(vitals.jobs.empty());
}

TEST_F(Watching, ATrainingRound) {
  Begin();
  const JobVitals vitals = Job();
  EXPECT_EQ(vitals.job, "job");
  EXPECT_EQ(vitals.seats_taken, 2u);
  EXPECT_EQ(vitals.seats_free, 0u);
  EXPECT_EQ(vitals.phase, "train");
  EXPECT_EQ(vitals.round, 1u);
  EXPECT_EQ(vitals.rounds, 1u);
  EXPECT_EQ(vitals.round_size, 2u);
  EXPECT_EQ(vitals.round_deadline, Duration(60'000));
  EXPECT_EQ(vitals.model_bytes, World::kSlots * 1_MiB);
  EXPECT_EQ(vitals.training, 2u);
  EXPECT_EQ(Watch().jobs.at(JobState::kRunning), 1u);
}

TEST_F(Watching, SeatsThatStandStillAgeAndOnesThatMoveDoNot) {
  Begin();
  wire::Report report;
  report.tasks.push_back(World::Running(world.Tasks(a)[0].task, 1));
  report.tasks[0].phase = "dreaming";  // a label's value is never a peer's word
  world.Send(a, report);
  world.WaitWith(Duration(20'000), {agg, a, b});
  report.tasks[0].done = 2;
  world.Send(a, report);
  const JobVitals vitals = Job();
  ASSERT_EQ(vitals.seats.size(), 2u);
  EXPECT_EQ(vitals.seats[0].seat, "site/0");
  EXPECT_EQ(vitals.seats[0].phase, "other");
  EXPECT_EQ(vitals.seats[0].unchanged, Duration(0));
  EXPECT_EQ(vitals.seats[1].phase, "run");
  EXPECT_EQ(vitals.seats[1].unchanged, Duration(20'000));
}

TEST_F(Watching, UpdatesAndPartsByState) {
  Begin();
  world.Work(a);
  Open(b);
  JobVitals vitals = Job();
  EXPECT_EQ(vitals.phase, "aggregate");
  EXPECT_EQ(vitals.done, 1u);
  EXPECT_EQ(vitals.sending, 1u);
  EXPECT_EQ(vitals.parts_leased, 1u);
  EXPECT_EQ(vitals.slots_left, World::kSlots);
  wire::Report report;
  report.tasks.push_back(World::Running(world.Tasks(agg)[0].task, 3));
  report.tasks[0].unit = "slots";
  world.Send(agg, report);
  EXPECT_EQ(Job().slots_done, 3u);
  wire::Report leaving;
  leaving.leaving = true;
  world.Send(agg, leaving);
  vitals = Job();
  EXPECT_EQ(vitals.parts_waiting, 1u);
  EXPECT_EQ(vitals.parts_leased, 0u);
}

TEST_F(Watching, UpdatesThatAreRefusedHaveAReason) {
  Begin();
  world.Fail(b, "job.r1.train.1", Code::kInvalidArgument, "not finite");
  world.Wait(Duration(2'000));
  world.Fail(b, "job.r1.train.1.g1", Code::kInvalidArgument, "not finite");
  EXPECT_EQ(Watch().refused.at(Refusal::kInvalid), 1u);
  EXPECT_EQ(Job().left_out, 1u);
}

TEST_F(Watching, LateAndMissingUpdates) {
  Begin();
  world.Work(a);
  world.WaitWith(Duration(61'000), {agg, a});
  EXPECT_EQ(Watch().refused.at(Refusal::kLate), 1u);
  const auto part = world.Tasks(agg);
  ASSERT_EQ(part.size(), 1u);
  world.Fail(agg, part[0].task, Code::kNotFound, "no object " + part[0].inputs[0].object + " in the store");
  EXPECT_EQ(Watch().refused.at(Refusal::kMissing), 1u);
}

TEST_F(Watching, AFinishedJobIsCountedAndNoMore) {
  Begin();
  world.RunAll({agg, a, b});
  const Vitals vitals = Watch();
  EXPECT_TRUE(vitals.running.empty());
  EXPECT_EQ(vitals.jobs.at(JobState::kCompleted), 1u);
  EXPECT_TRUE(vitals.refused.empty());
}

TEST(RoundSize, IsTheFractionOfTheSeatsAndAtLeastTheQuorum) {
  job::Participants participants;
  participants.fraction = 0.1;
  participants.quorum = 2;
  EXPECT_EQ(RoundSize(participants, 30), 3u);
  EXPECT_EQ(RoundSize(participants, 31), 4u);
  EXPECT_EQ(RoundSize(participants, 5), 2u);
  EXPECT_EQ(RoundSize(participants, 1), 1u);
}

}  // namespace
}  // namespace tributary::federation
