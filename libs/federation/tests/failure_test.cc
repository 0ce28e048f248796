#include "world.h"

namespace tributary::federation {
namespace {

// A job in round 1's train phase with aggregator "agg-0" and trainers "a" (seat 0) and "b" (seat 1).
class Failure : public ::testing::Test {
 protected:
  explicit Failure(job::Job spec = World::TwoSeats(1)) : world(std::move(spec)) {
    EXPECT_TRUE(world.Submit().ok());
    agg = world.Connect(World::Aggregator("agg-0"));
    a = world.Connect(World::Trainer("a"));
    b = world.Connect(World::Trainer("b"));
    world.Work(agg);
    EXPECT_EQ(world.Status().phase, "train");
  }
  World world;
  std::string agg, a, b;
};

class QuorumOne : public Failure {
 protected:
  static job::Job Spec() {
    job::Job spec = World::TwoSeats(1);
    spec.participants.quorum = 1;
    return spec;
  }
  QuorumOne() : Failure(Spec()) {}
};

TEST_F(QuorumOne, ASilentSeatIsDroppedAtTheDeadlineAndTheResultIsWithoutIt) {
  world.Work(a);
  world.WaitWith(Duration(59'000), {agg, a});
  EXPECT_EQ(world.Status().phase, "train");
  world.WaitWith(Duration(3'000), {agg, a});
  EXPECT_EQ(world.Status().phase, "aggregate");
  const auto tasks = world.Tasks(agg);
  ASSERT_EQ(tasks.size(), 1u);
  ASSERT_EQ(tasks[0].inputs.size(), 1u);
  EXPECT_DOUBLE_EQ(tasks[0].inputs[0].weight, 1.0);
  world.RunAll({agg, a});
  EXPECT_EQ(world.done.at({"job", 1}).participants, (std::vector<std::string>{"site/0"}));
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(QuorumOne, ProgressRenewsTheDeadline) {
  world.Work(a);
  for (std::uint64_t step = 1; step < 10; ++step) {
    wire::Report report;
    report.tasks.push_back(World::Running("job.r1.train.1", step));
    world.Send(b, report);
    world.WaitWith(Duration(30'000), {agg, a, b});
    ASSERT_EQ(world.Status().phase, "train");
  }
  EXPECT_EQ(world.Status().seats[1].state, "train");
  EXPECT_EQ(world.Status().seats[1].done, 9u);
  // The same report again is no progress.
  for (int i = 0; i < 3; ++i) {
    wire::Report report;
    report.tasks.push_back(World::Running("job.r1.train.1", 9));
    world.Send(b, report);
    world.WaitWith(Duration(15'000), {agg, a, b});
  }
  EXPECT_NE(world.Status().phase, "train");
}

TEST_F(QuorumOne, ASeatThatFailsTwiceIsDropped) {
  world.Work(a);
  world.Fail(b, "job.r1.train.1", Code::kIo, "disk");
  EXPECT_TRUE(world.Tasks(b).empty());  // waits before the retry
  world.Fail(b, "job.r1.train.1", Code::kIo, "disk");  // repeated report of the same failure
  world.Wait(Duration(2'000));
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].task, "job.r1.train.1.g1");
  EXPECT_EQ(world.Tasks(b)[0].output, "jobs/job/rounds/1/updates/site/1");
  EXPECT_EQ(world.Status().phase, "train");
  world.Fail(b, "job.r1.train.1.g1", Code::kIo, "disk");
  EXPECT_EQ(world.Status().phase, "aggregate");
}

TEST_F(Failure, FewerThanTheQuorumFailsTheJobAndSaysWho) {
  world.Work(a);
  world.WaitWith(Duration(62'000), {agg, a});
  const auto status = world.Status();
  EXPECT_EQ(status.state, "failed");
  EXPECT_NE(status.message.find("1 of the 2 updates"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("seat site/1: no progress for"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("participants.quorum"), std::string::npos);
}

class Panic : public Failure {
 protected:
  static job::Job Spec() {
    job::Job spec = World::TwoSeats(1);
    spec.participants.quorum = 1;
    spec.transfer.wait_send_task_data_all_clients_timeout = Duration(20'000);
    return spec;
  }
  Panic() : Failure(Spec()) {}
  void Downloads(const std::string& key, std::uint64_t done) {
    wire::Report report;
    report.tasks.push_back(World::Running(world.Tasks(key)[0].task, done));
    report.tasks[0].phase = "download";
    report.tasks[0].unit = "bytes";
    world.Send(key, report);
  }
};

TEST_F(Panic, ASeatThatStandsStillWhileItFetchesTheModelStopsTheJobAndIsNamed) {
  for (std::uint64_t done = 1; done < 5; ++done) {
    Downloads(a, 10 * done);
    Downloads(b, done);
    world.WaitWith(Duration(15'000), {agg, a, b});  // progress renews it
    ASSERT_EQ(world.Status().state, "running");
  }
  Downloads(a, 100);
  world.WaitWith(Duration(6'000), {agg, a, b});
  const auto status = world.Status();
  EXPECT_EQ(status.state, "failed");
  EXPECT_NE(status.message.find("seat site/1 has 4 of 100 bytes, and nothing came for 20.0 s"), std::string::npos) << status.message;
  EXPECT_EQ(status.message.find("site/0"), std::string::npos) << status.message;
}

TEST_F(Panic, WhoTrainsHasFetchedTheModel) {
  for (const auto& key : {a, b}) {
    wire::Report report;
    report.tasks.push_back(World::Running(world.Tasks(key)[0].task, 1));
    world.Send(key, report);
  }
  world.WaitWith(Duration(40'000), {agg, a, b});
  EXPECT_EQ(world.Status().state, "running");
}

TEST_F(Failure, ASpareTakesTheSeatOfASilentTrainer) {
  const auto spare = world.Connect(World::Trainer("spare"));
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "");
  world.Work(a);
  world.WaitWith(Duration(10'000), {agg, a, spare});
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "");
  world.WaitWith(Duration(8'000), {agg, a, spare});
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "site/1");
  const auto tasks = world.Tasks(spare);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].task, "job.r1.train.1.g1");
  EXPECT_EQ(tasks[0].output, "jobs/job/rounds/1/updates/site/1.g1");
  // The former holder comes back with its result: too late, and it is a spare now.
  wire::TaskReport late;
  late.task = "job.r1.train.1";
  late.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  late.metrics["samples"] = 1e9;
  wire::Report report;
  report.tasks.push_back(late);
  world.Send(b, report);
  EXPECT_EQ(world.federation->AssignmentOf(b).seat, "");
  EXPECT_EQ(world.Status().phase, "train");
  world.RunAll({agg, a, spare});
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_DOUBLE_EQ(world.done.at({"job", 1}).metrics.at("samples"), 30);
}

TEST_F(Failure, TheSameInstanceGetsItsSeatBack) {
  world.Wait(Duration(14'000));
  world.connected.erase(b);
  world.Heartbeat(b);  // a new Hello of the same instance
  EXPECT_EQ(world.federation->AssignmentOf(b).seat, "site/1");
  EXPECT_EQ(world.Tasks(b)[0].task, "job.r1.train.1");
}

TEST_F(Failure, ALeavingTrainerFreesItsSeatAtOnce) {
  const auto spare = world.Connect(World::Trainer("spare"));
  wire::Report report;
  report.leaving = true;
  report.tasks.push_back(World::Failed("job.r1.train.1", Code::kCancelled, "stopped"));
  world.Send(b, report);
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "site/1");
  EXPECT_EQ(world.Tasks(spare)[0].task, "job.r1.train.1.g1");
}

TEST_F(Failure, TheLeaseOfASilentAggregatorMoves) {
  world.Work(a);
  world.Work(b);
  const auto other = world.Connect(World::Aggregator("agg-1"));
  EXPECT_TRUE(world.Tasks(other).empty());
  EXPECT_EQ(world.Tasks(agg)[0].task, "job.r1.aggregate.0");
  world.WaitWith(Duration(12'000), {other, a, b});
  ASSERT_EQ(world.Tasks(other).size(), 1u);
  EXPECT_EQ(world.Tasks(other)[0].task, "job.r1.aggregate.0.g1");
  EXPECT_EQ(world.Tasks(other)[0].generation, 1u);
  EXPECT_TRUE(world.Tasks(agg).empty());
  world.RunAll({other, a, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Failure, AFailedAggregationIsTriedAgainThreeTimes) {
  world.Work(a);
  world.Work(b);
  for (int i = 0; i < 3; ++i) {
    const auto tasks = world.Tasks(agg);
    ASSERT_EQ(tasks.size(), 1u);
    world.Fail(agg, tasks[0].task, Code::kUnavailable, "the store is away");
    EXPECT_TRUE(world.Tasks(agg).empty());
    world.WaitWith(Duration(9'000), {agg, a, b});
  }
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  world.Fail(agg, world.Tasks(agg)[0].task, Code::kUnavailable, "the store is away");
  EXPECT_EQ(world.Status().state, "failed");
  EXPECT_NE(world.Status().message.find("the store is away"), std::string::npos);
}

TEST_F(Failure, AnErrorThatNoRetryCuresFailsTheJobAtOnce) {
  world.Work(a);
  world.Work(b);
  world.Fail(agg, world.Tasks(agg)[0].task, Code::kInvalidArgument, "layouts differ");
  EXPECT_EQ(world.Status().state, "failed");
  EXPECT_NE(world.Status().message.find("layouts differ"), std::string::npos);
}

TEST_F(QuorumOne, ALostUpdateIsDroppedAndTheRestAggregatedAsANewGeneration) {
  world.Work(a);
  world.Work(b);
  const auto old = world.Tasks(agg)[0];
  wire::TaskReport late = world.Do(old);
  world.Fail(agg, old.task, Code::kNotFound, "no object jobs/job/rounds/1/updates/site/1 in the store");
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  EXPECT_EQ(world.Tasks(agg)[0].generation, 2u);
  EXPECT_EQ(world.Tasks(agg)[0].inputs.size(), 1u);
  // A late report of the old generation is not taken for the new one.
  wire::Report report;
  report.tasks.push_back(late);
  world.Send(agg, report);
  EXPECT_EQ(world.Status().phase, "aggregate");
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(QuorumOne, ARefusedUpdateIsDroppedAtOnceByNameAndReason) {
  world.Work(a);
  world.Work(b);
  const auto old = world.Tasks(agg)[0];
  EXPECT_EQ(old.inputs[1].digest, world.store.sealed.at("jobs/job/rounds/1/updates/site/1"));
  world.Fail(agg, old.task, Code::kInvalidArgument, "slot 3 of jobs/job/rounds/1/updates/site/1: its element 7 makes the sum nan");
  const auto tasks = world.Tasks(agg);
  ASSERT_EQ(tasks.size(), 1u) << world.Status().message;
  EXPECT_EQ(tasks[0].generation, 2u);
  ASSERT_EQ(tasks[0].inputs.size(), 1u);
  EXPECT_EQ(tasks[0].inputs[0].object, "jobs/job/rounds/1/updates/site/0");
  EXPECT_TRUE(world.Noted("seat site/1 is left out: its update cannot be used: slot 3 of"));
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.done.at({"job", 1}).participants, (std::vector<std::string>{"site/0"}));
  EXPECT_EQ(world.done.at({"job", 1}).dropped, (std::vector<std::string>{"site/1"}));
}

TEST_F(Failure, ARefusedUpdateBelowTheQuorumFailsTheJobWithItsReason) {
  world.Work(a);
  world.Work(b);
  world.Fail(agg, world.Tasks(agg)[0].task, Code::kInvalidArgument,
             "update jobs/job/rounds/1/updates/site/1 was made from another base");
  EXPECT_EQ(world.Status().state, "failed");
  EXPECT_NE(world.Status().message.find("1 of the 2 updates"), std::string::npos) << world.Status().message;
  EXPECT_NE(world.Status().message.find("was made from another base"), std::string::npos) << world.Status().message;
}

TEST_F(Failure, AnUpdateWithoutADigestCannotBeUsed) {
  wire::Report report;
  wire::TaskReport done;
  done.task = "job.r1.train.1";
  done.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  done.metrics["samples"] = 10;
  report.tasks.push_back(done);
  world.Send(b, report);
  const TaskRow& row = world.journal.tasks.at({"job", 1, wire::TaskKind::kTrain, 1});
  EXPECT_EQ(row.failures, 1u);
  EXPECT_NE(row.message.find("SHA-256"), std::string::npos) << row.message;
}

TEST_F(Failure, ReportsOfUnknownTasksAreIgnored) {
  wire::Report report;
  wire::TaskReport done;
  done.task = "job.r9.train.1";
  done.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  report.tasks.push_back(done);
  done.task = "job.r1.train.0";  // another's
  report.tasks.push_back(done);
  const State before = world.journal;
  world.Send(b, report);
  EXPECT_TRUE(before == world.journal);
}

TEST_F(Failure, AReportThatCannotBeUsedFailsTheTask) {
  wire::Report report;
  wire::TaskReport done;
  done.task = "job.r1.train.1";
  done.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  done.metrics["samples"] = std::numeric_limits<double>::quiet_NaN();
  report.tasks.push_back(done);
  world.Send(b, report);
  const TaskRow& row = world.journal.tasks.at({"job", 1, wire::TaskKind::kTrain, 1});
  EXPECT_EQ(row.state, RowState::kPending);
  EXPECT_EQ(row.failures, 1u);
  EXPECT_NE(row.message.find("'samples'"), std::string::npos);
}

TEST_F(Failure, AValidationThatFailsIsLeftOut) {
  ASSERT_TRUE(world.RunTo("validate", 1, {a, b, agg}));
  world.Work(a);
  world.Fail(b, "job.r1.validate.1", Code::kIo, "disk");
  world.WaitWith(Duration(2'000), {agg, a, b});
  world.Fail(b, "job.r1.validate.1.g1", Code::kIo, "disk");
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_DOUBLE_EQ(world.done.at({"job", 1}).metrics.at("val_loss"), 3.0);
}

TEST_F(Failure, AValidationWithoutTextIsDoneAndLeftOutOfTheMean) {
  ASSERT_TRUE(world.RunTo("validate", 1, {a, b, agg}));
  wire::TaskReport empty;
  empty.task = "job.r1.validate.1";
  empty.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  empty.metrics = {{"val_targets", 0}, {"seconds", 1}};
  wire::Report report;
  report.tasks.push_back(empty);
  world.Send(b, report);
  const TaskRow& row = world.journal.tasks.at({"job", 1, wire::TaskKind::kValidate, 1});
  EXPECT_EQ(row.state, RowState::kDone) << row.message;
  EXPECT_EQ(row.failures, 0u);
  world.Work(a);
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_DOUBLE_EQ(world.done.at({"job", 1}).metrics.at("val_loss"), 3.0);
  EXPECT_EQ(world.done.at({"job", 1}).metrics.at("val_seats"), 1);
  EXPECT_FALSE(world.Noted("no seat could validate"));
}

TEST_F(Failure, ARoundThatNoSeatCouldValidateSaysSo) {
  ASSERT_TRUE(world.RunTo("validate", 1, {a, b, agg}));
  for (const auto& [key, seat] : {std::pair{a, 0}, std::pair{b, 1}}) {
    wire::TaskReport empty;
    empty.task = fmt::format("job.r1.validate.{}", seat);
    empty.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
    empty.metrics = {{"val_targets", 0}};
    wire::Report report;
    report.tasks.push_back(empty);
    world.Send(key, report);
  }
  EXPECT_EQ(world.Status().state, "completed");
  const auto& metrics = world.done.at({"job", 1}).metrics;
  EXPECT_EQ(metrics.count("val_loss"), 0u);
  EXPECT_EQ(metrics.at("val_seats"), 0);
  EXPECT_EQ(metrics.at("val_seats_empty"), 2);
  EXPECT_TRUE(world.Noted("job job round 1: no seat could validate the model: nothing is held out of any seat's data"));
}

TEST_F(Failure, AValidationWithTargetsButNoLossCannotBeUsed) {
  ASSERT_TRUE(world.RunTo("validate", 1, {a, b, agg}));
  wire::TaskReport lacking;
  lacking.task = "job.r1.validate.1";
  lacking.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  lacking.metrics = {{"val_targets", 10}};
  wire::Report report;
  report.tasks.push_back(lacking);
  world.Send(b, report);
  EXPECT_EQ(world.journal.tasks.at({"job", 1, wire::TaskKind::kValidate, 1}).failures, 1u);
}

TEST_F(Failure, RemovalsThatAlwaysFailAreGivenUp) {
  world.RunTo("validate", 1, {a, b, agg});
  for (int i = 0; i < 60; ++i) {
    for (const auto& task : world.Tasks(agg)) world.Fail(agg, task.task, Code::kIo, "disk");
    world.WaitWith(Duration(1'000), {agg, a, b});
  }
  EXPECT_EQ(std::count_if(world.journal.tasks.begin(), world.journal.tasks.end(),
                          [](const auto& entry) { return entry.second.kind == wire::TaskKind::kRemove; }),
            0);
}

TEST(Hello, OfABadNameOrRoleIsRefused) {
  World world(World::TwoSeats());
  EXPECT_FALSE(world.federation->Connect(World::Trainer("a/b"), world.now).ok());
  EXPECT_FALSE(world.federation->Connect(World::Trainer("a", -1, "../x"), world.now).ok());
  wire::Hello hello = World::Trainer("a");
  hello.role = 77;
  EXPECT_FALSE(world.federation->Connect(hello, world.now).ok());
}

TEST(Hello, OfTooManyOrBadNamesOfDataOrTooManyEncodingsIsRefused) {
  World world(World::TwoSeats());
  const auto refusal = [&](const wire::Hello& hello) {
    const auto key = world.federation->Connect(hello, world.now);
    return key.ok() ? Code::kUnknown : key.error().code();
  };
  wire::Hello hello = World::Trainer("a");
  hello.data.assign(64, "reports");
  hello.encodings.assign(16, 1);
  EXPECT_EQ(refusal(hello), Code::kUnknown);  // taken
  hello.data.push_back("reports");
  EXPECT_EQ(refusal(hello), Code::kInvalidArgument);
  for (const std::string& bad : {std::string("../reports"), std::string(), std::string(64, 'x')}) {
    hello.data = {"reports", bad};
    EXPECT_EQ(refusal(hello), Code::kInvalidArgument) << bad;
  }
  hello.data = {"reports"};
  hello.encodings.push_back(1);
  EXPECT_EQ(refusal(hello), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary::federation
