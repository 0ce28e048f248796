// Updates are averaged while they come: what the coordinator asks for, and what it takes back.
#include "world.h"

namespace tributary::federation {
namespace {

// A job in round 1's train phase with aggregator "agg-0" and trainers "a" (seat 0) and "b" (seat 1), one update suffices.
class Streaming : public ::testing::Test {
 protected:
  static job::Job Spec() {
    job::Job spec = World::TwoSeats(1);
    spec.participants.quorum = 1;
    return spec;
  }
  Streaming() : world(Spec()) {
    EXPECT_TRUE(world.Submit().ok());
    agg = world.Connect(World::Aggregator("agg-0"));
    a = world.Connect(World::Trainer("a"));
    b = world.Connect(World::Trainer("b"));
    world.Work(agg);
    EXPECT_EQ(world.Status().phase, "train");
  }
  // The update of its task is open, and on its way.
  void Open(const std::string& key, double samples, std::uint64_t done = 1) {
    ASSERT_EQ(world.Tasks(key).size(), 1u);
    wire::Report report;
    report.tasks.push_back(World::Running(world.Tasks(key)[0].task, done));
    report.tasks[0].phase = "upload";
    report.tasks[0].metrics["samples"] = samples;
    world.Send(key, report);
  }
  wire::TaskSpec Part() {
    const auto tasks = world.Tasks(agg);
    EXPECT_EQ(tasks.size(), 1u);
    return tasks.empty() ? wire::TaskSpec{} : tasks[0];
  }

  World world;
  std::string agg, a, b;
};

TEST_F(Streaming, AggregationBeginsWhenTheLastUpdateIsOpenAndEndsAfterTheLastIsDone) {
  Open(a, 10);
  EXPECT_EQ(world.Status().phase, "train");
  EXPECT_TRUE(world.Tasks(agg).empty());
  Open(b, 20);
  EXPECT_EQ(world.Status().phase, "aggregate");
  const auto part = Part();
  EXPECT_EQ(part.generation, 1u);
  ASSERT_EQ(part.inputs.size(), 2u);
  EXPECT_EQ(part.inputs[0].digest, "");
  EXPECT_DOUBLE_EQ(part.inputs[0].weight, 1.0 / 3);
  EXPECT_DOUBLE_EQ(part.inputs[1].weight, 2.0 / 3);
  EXPECT_EQ(world.Tasks(a).size(), 1u);

  world.Work(a);
  EXPECT_TRUE(world.Tasks(a).empty());
  EXPECT_EQ(Part().task, part.task);
  world.Work(b);
  EXPECT_EQ(world.Status().phase, "aggregate");
  world.Work(agg);
  EXPECT_EQ(world.Status().phase, "seal");
  // The seal looks whether what was averaged is what was sealed.
  const auto seal = Part();
  ASSERT_EQ(seal.inputs.size(), 2u);
  EXPECT_EQ(seal.inputs[1].digest, world.store.sealed.at("jobs/job/rounds/1/updates/site/1"));
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.done.at({"job", 1}).participants, (std::vector<std::string>{"site/0", "site/1"}));
}

TEST_F(Streaming, APartThatIsDoneWaitsForTheReportOfTheLastTrainer) {
  Open(a, 10);
  Open(b, 20);
  world.Work(a);
  const auto train = world.Tasks(b)[0];
  const auto last = world.Do(train);  // sealed, but nobody has told
  world.Work(agg);
  EXPECT_EQ(world.Status().phase, "aggregate");
  wire::Report report;
  report.tasks.push_back(last);
  world.Send(b, report);
  EXPECT_EQ(world.Status().phase, "seal");
}

TEST_F(Streaming, WithoutATrainerThatFallsOutAllSlotsAreMadeAgain) {
  Open(a, 10);
  Open(b, 20);
  const auto old = Part();
  world.Work(a);
  world.WaitWith(Duration(62'000), {agg, a});
  EXPECT_EQ(world.Status().phase, "aggregate");
  const auto part = Part();
  EXPECT_NE(part.task, old.task);
  EXPECT_EQ(part.generation, 2u);
  ASSERT_EQ(part.inputs.size(), 1u);
  EXPECT_DOUBLE_EQ(part.inputs[0].weight, 1.0);
  world.RunAll({agg, a});
  EXPECT_EQ(world.done.at({"job", 1}).participants, (std::vector<std::string>{"site/0"}));
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(Streaming, AnAggregatorIsNotBlamedForALateTrainer) {
  Open(a, 10);
  Open(b, 20);
  world.Work(a);
  wire::Report report;
  report.tasks.push_back(World::Running(Part().task, 3));
  world.Send(agg, report);
  // The trainer goes on slowly, and the aggregator can do nothing.
  for (std::uint64_t done = 2; done < 6; ++done) {
    world.WaitWith(Duration(40'000), {agg, a, b});
    Open(b, 20, done);
  }
  EXPECT_EQ(world.journal.tasks.at({"job", 1, wire::TaskKind::kAggregate, 0}).failures, 0u);
  // Once the last update is there, it has the whole deadline for itself.
  world.WaitWith(Duration(55'000), {agg, a, b});
  world.Work(b);
  world.WaitWith(Duration(55'000), {agg, a, b});
  EXPECT_EQ(world.journal.tasks.at({"job", 1, wire::TaskKind::kAggregate, 0}).failures, 0u);
  world.WaitWith(Duration(7'000), {agg, a, b});
  EXPECT_EQ(world.journal.tasks.at({"job", 1, wire::TaskKind::kAggregate, 0}).failures, 1u);
}

TEST_F(Streaming, ASeatThatIsTakenOverIsWaitedForUnderAnotherName) {
  Open(a, 10);
  Open(b, 20);
  const auto spare = world.Connect(World::Trainer("spare"));
  world.Work(a);
  world.WaitWith(Duration(18'000), {agg, a, spare});
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "site/1");
  EXPECT_EQ(world.Status().phase, "train");
  EXPECT_TRUE(world.Tasks(agg).empty());
  Open(spare, 30);
  EXPECT_EQ(world.Status().phase, "aggregate");
  const auto part = Part();
  EXPECT_EQ(part.generation, 2u);
  EXPECT_EQ(part.inputs[1].object, "jobs/job/rounds/1/updates/site/1.g1");
  EXPECT_DOUBLE_EQ(part.inputs[1].weight, 0.75);
  world.RunAll({agg, a, spare});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Streaming, ATaskThatIsTriedAgainGoesOnWithItsOpenUpdate) {
  Open(a, 10);
  Open(b, 20);
  const auto part = Part();
  world.Fail(b, world.Tasks(b)[0].task, Code::kDeadline, "no acknowledgement");
  world.WaitWith(Duration(2'000), {agg, a, b});
  EXPECT_EQ(Part().task, part.task);
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].output, "jobs/job/rounds/1/updates/site/1");
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Streaming, ATaskWhoseBytesDifferFromThoseThatAreThereWritesAnUpdateOfItsOwn) {
  Open(a, 10);
  Open(b, 20);
  world.Fail(b, world.Tasks(b)[0].task, Code::kConflict, "slot 3 of update ... holds other bytes");
  EXPECT_EQ(world.Status().phase, "train");
  EXPECT_TRUE(world.Tasks(agg).empty());
  world.WaitWith(Duration(2'000), {agg, a, b});
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].output, "jobs/job/rounds/1/updates/site/1.g1");
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
  // What the seat wrote first goes, too, when the round is over.
  world.store.open["jobs/job/rounds/1/updates/site/1"] = {};
  world.Work(agg);
  EXPECT_EQ(world.store.open.count("jobs/job/rounds/1/updates/site/1"), 0u);
  EXPECT_EQ(world.store.sealed.size(), 1u);
}

TEST_F(Streaming, OtherBytesAfterAFailureDoNotCostTheSeat) {
  Open(a, 10);
  Open(b, 20);
  world.Fail(b, world.Tasks(b)[0].task, Code::kDeadline, "no acknowledgement");
  world.WaitWith(Duration(2'000), {agg, a, b});
  world.Fail(b, world.Tasks(b)[0].task, Code::kConflict, "slot 3 of update ... holds other bytes");
  world.WaitWith(Duration(2'000), {agg, a, b});
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].output, "jobs/job/rounds/1/updates/site/1.g2");
  // But not for ever.
  world.Fail(b, world.Tasks(b)[0].task, Code::kConflict, "slot 3 of update ... holds other bytes");
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(Streaming, AnotherSampleCountThanAtTheOpeningGivesOtherWeights) {
  Open(a, 10);
  Open(b, 1000);
  world.Work(a);
  world.Work(b);  // says 20
  const auto part = Part();
  EXPECT_EQ(part.generation, 2u);
  EXPECT_DOUBLE_EQ(part.inputs[1].weight, 2.0 / 3);
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Streaming, AReportThatCannotBeUsedLeavesTheUpdateOpen) {
  Open(a, 10);
  Open(b, 20);
  wire::Report report;
  wire::TaskReport done;
  done.task = world.Tasks(b)[0].task;
  done.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  report.tasks.push_back(done);
  world.Send(b, report);
  const auto part = Part();
  EXPECT_DOUBLE_EQ(part.inputs[1].weight, 2.0 / 3);
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Streaming, AnUpdateThatTheSealRefusesIsLeftOut) {
  Open(a, 10);
  Open(b, 20);
  ASSERT_TRUE(world.RunTo("seal", 1, {a, b, agg}));
  const auto seal = Part();
  world.Fail(agg, seal.task, Code::kInvalidArgument,
             "update jobs/job/rounds/1/updates/site/1 has digest x, its trainer reported y: somebody else wrote it");
  EXPECT_EQ(world.Status().phase, "aggregate");
  const auto part = Part();
  EXPECT_EQ(part.kind, static_cast<std::uint32_t>(wire::TaskKind::kAggregate));
  EXPECT_EQ(part.generation, 2u);
  EXPECT_EQ(part.inputs.size(), 1u);
  ASSERT_TRUE(world.RunTo("seal", 1, {a, b, agg}));
  EXPECT_NE(Part().task, seal.task);
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(Streaming, AfterACrashTheSameTasksAreWanted) {
  Open(a, 10);
  Open(b, 20);
  world.Work(a);
  const auto part = Part();
  const auto train = world.Tasks(b)[0].task;
  world.Crash();
  for (const auto& key : {agg, a, b}) world.Heartbeat(key);
  EXPECT_EQ(world.Status().phase, "aggregate");
  EXPECT_EQ(Part().task, part.task);
  EXPECT_DOUBLE_EQ(Part().inputs[1].weight, 2.0 / 3);
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].task, train);
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Streaming, SampleCountsThatAreNoneOpenNothing) {
  for (const double samples : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Open(a, samples);
  }
  EXPECT_EQ(world.journal.tasks.at({"job", 1, wire::TaskKind::kTrain, 0}).state, RowState::kPending);
}

}  // namespace
}  // namespace tributary::federation
