// Jobs that run at once: who holds which trainer and which aggregator, and that none disturbs another.
#include "jobs_world.h"

namespace tributary::federation {
namespace {

TEST_F(SideBySide, TwoJobsEndAsTheyWouldAlone) {
  Submit("a");
  Submit("b", "three");
  Trainers(5);
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(State("b"), "running");
  for (const std::string& key : trainers) EXPECT_NE(JobOf(key), "");
  EXPECT_EQ(SeatsOf("a"), 2u);
  EXPECT_EQ(SeatsOf("b"), 3u);
  bool both = false;  // their rounds really lie over each other
  for (int i = 0; i < 60 && (State("a") == "running" || State("b") == "running"); ++i) {
    both = both || (world.Status("a").round > 1 && world.Status("b").round > 1 && State("a") == "running" && State("b") == "running");
    for (const std::string& key : All()) {
      std::size_t heavy = 0;
      for (const auto& task : world.Tasks(key)) {
        if (task.kind != static_cast<std::uint32_t>(wire::TaskKind::kRemove)) ++heavy;
        if (key != agg) {
          EXPECT_EQ(task.job, JobOf(key));
        }
        EXPECT_EQ(task.output.rfind("jobs/" + task.job + "/", 0) == 0 || task.output.empty(), true) << task.output;
      }
      EXPECT_LE(heavy, 1u) << key << " runs one task at a time";
      world.Work(key);
    }
    world.Wait(Duration(100));
  }
  EXPECT_TRUE(both);
  EXPECT_EQ(State("a"), "completed");
  EXPECT_EQ(State("b"), "completed");
  EXPECT_EQ(DigestsOf(world, "a"), Alone("a", Seats(2)));
  EXPECT_EQ(DigestsOf(world, "b"), Alone("b", Seats(3)));
}

TEST_F(SideBySide, ASpareGoesToTheOldestJobThatLacksASeat) {
  Trainers(4);
  Submit("a");
  Submit("b");
  ASSERT_EQ(JobOf(trainers[0]), "a");
  ASSERT_EQ(JobOf(trainers[2]), "b");
  // One of each falls silent.
  const std::vector<std::string> alive = {agg, trainers[0], trainers[2]};
  world.WaitWith(Duration(16'000), alive);
  const auto first = world.Connect(World::Trainer("spare-0"));
  EXPECT_EQ(JobOf(first), "a");
  const auto second = world.Connect(World::Trainer("spare-1"));
  EXPECT_EQ(JobOf(second), "b");
  const auto third = world.Connect(World::Trainer("spare-2"));
  EXPECT_EQ(JobOf(third), "");
  trainers = {trainers[0], trainers[2], first, second};
  RunUntilEnded({"a", "b"});
  EXPECT_EQ(DigestsOf(world, "b"), Alone("b", Seats(2)));
}

TEST_F(SideBySide, ATrainerGoesToTheJobWhoseDataItHas) {
  job::Job imdb = Seats(1);
  imdb.model.family = "gpt2";
  imdb.data.name = "imdb";
  world.specs["imdb"] = imdb;
  Submit("a", "imdb");
  Submit("b", "one");
  Trainers(1);
  EXPECT_EQ(JobOf(trainers[0]), "b") << "the older job cannot use it";
  auto hello = World::Trainer("reader");
  hello.data = {"imdb"};
  trainers.push_back(world.Connect(hello));
  EXPECT_EQ(JobOf(trainers[1]), "a");
  // Its first model is made by a trainer: by its own.
  ASSERT_EQ(world.Tasks(trainers[1]).size(), 1u);
  EXPECT_EQ(world.Tasks(trainers[1])[0].task, "a.r0.init.0");
  RunUntilEnded({"a", "b"});
}

TEST_F(SideBySide, StoppingOneTouchesNothingOfTheOther) {
  Trainers(4);
  Submit("a");
  Submit("b");
  ASSERT_TRUE(RunTo("a", "train", 2));
  world.Work(trainers[0]);  // an update of a that has to go
  const auto before = world.Status("b");
  std::vector<std::string> tasks;
  for (const auto& task : world.Tasks(trainers[2])) tasks.push_back(task.task);
  ASSERT_EQ(world.federation->Stop("a", world.now)->state, "stopped");
  world.Flush();
  EXPECT_TRUE(world.Tasks(trainers[0]).empty());
  EXPECT_EQ(world.Status("b").round, before.round);
  EXPECT_EQ(world.Status("b").phase, before.phase);
  std::vector<std::string> after;
  for (const auto& task : world.Tasks(trainers[2])) after.push_back(task.task);
  EXPECT_EQ(after, tasks);
  for (const auto& task : world.Tasks(agg)) {
    if (task.kind != static_cast<std::uint32_t>(wire::TaskKind::kRemove)) continue;
    for (const std::string& object : task.objects) EXPECT_EQ(object.rfind("jobs/" + task.job + "/", 0), 0u) << object;
  }
  RunUntilEnded({"b"});
  EXPECT_EQ(DigestsOf(world, "b"), Alone("b", Seats(2)));
  for (int i = 0; i < 5; ++i) world.Work(agg);
  // Of each what its end leaves, whatever the other did.
  std::vector<std::string> left;
  for (const auto& [object, digest] : world.store.sealed) left.push_back(object);
  EXPECT_EQ(left, (std::vector<std::string>{"jobs/a/models/1", "jobs/b/models/3"}));
}

TEST_F(SideBySide, AResumedJobGoesOnBesideTheOthers) {
  Trainers(4);
  Submit("a");
  Submit("b");
  ASSERT_TRUE(RunTo("a", "aggregate", 2));
  ASSERT_TRUE(world.federation->Stop("a", world.now).ok());
  world.Flush();
  ASSERT_TRUE(world.Resume("a").ok());
  EXPECT_EQ(State("a"), "queued") << "what it left is removed first";
  RunUntilEnded({"a", "b"});
  EXPECT_EQ(State("a"), "completed");
  EXPECT_EQ(DigestsOf(world, "a"), Alone("a", Seats(2)));
  EXPECT_EQ(DigestsOf(world, "b"), Alone("b", Seats(2)));
}

TEST_F(SideBySide, AFailingJobDisturbsNoOther) {
  Trainers(4);
  Submit("a");
  Submit("b");
  // The first model of a fails again and again, on the one aggregator there is.
  for (int i = 0; i < 40 && State("a") == "running"; ++i) {
    wire::Report report;
    for (const auto& task : world.Tasks(agg)) {
      report.tasks.push_back(task.job == "a" ? World::Failed(task.task, Code::kIo, "no room") : world.Do(task));
    }
    world.Send(agg, report);
    for (const auto& key : trainers) world.Work(key);
    world.Wait(Duration(500));
    if (i == 0) {
      EXPECT_EQ(world.Tasks(agg).size(), 1u);
      EXPECT_EQ(world.Tasks(agg)[0].job, "b") << "what waits for its retry keeps no aggregator";
    }
  }
  EXPECT_EQ(State("a"), "failed");
  EXPECT_NE(world.Status("a").message.find("no room"), std::string::npos);
  RunUntilEnded({"b"});
  EXPECT_EQ(DigestsOf(world, "b"), Alone("b", Seats(2)));
}

TEST_F(SideBySide, DeadlinesAreOfEachJobAlone) {
  job::Job patient = Seats(2);
  patient.participants.round_deadline = Duration(3'600'000);
  job::Job quick = Seats(2);
  quick.participants.quorum = 1;
  world.specs["patient"] = patient;
  world.specs["quick"] = quick;
  Trainers(4);
  Submit("a", "patient");
  Submit("b", "quick");
  for (int i = 0; i < 3; ++i) world.Work(agg);
  ASSERT_EQ(world.Status("a").phase, "train");
  ASSERT_EQ(world.Status("b").phase, "train");
  world.Work(trainers[0]);
  world.Work(trainers[2]);
  world.WaitWith(Duration(62'000), All());
  EXPECT_EQ(world.Status("a").phase, "train") << "its seat has an hour";
  EXPECT_EQ(world.Status("b").phase, "aggregate") << "its seat had a minute";
}

TEST_F(SideBySide, AnAggregatorServesWhoHasWaitedLongest) {
  Trainers(4);
  Submit("z");  // older, and last by name
  world.Wait(Duration(10));
  Submit("a");
  world.Work(agg);
  world.Work(agg);
  ASSERT_EQ(world.Status("z").phase, "train");
  ASSERT_EQ(world.Status("a").phase, "train");
  world.Wait(Duration(10));
  world.Work(trainers[2]);
  world.Work(trainers[3]);
  world.Wait(Duration(10));
  world.Work(trainers[0]);
  world.Work(trainers[1]);
  ASSERT_EQ(world.Status("z").phase, "aggregate");
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  EXPECT_EQ(world.Tasks(agg)[0].task, "a.r1.aggregate.0") << "its round was there first";
  world.Work(agg);
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  EXPECT_EQ(world.Tasks(agg)[0].task, "z.r1.aggregate.0") << "before the seal of a, which began later";
  // Another aggregator takes what waits.
  const auto second = world.Connect(World::Aggregator("agg-1"));
  ASSERT_EQ(world.Tasks(second).size(), 1u);
  EXPECT_EQ(world.Tasks(second)[0].task, "a.r1.seal.0");
}

TEST_F(SideBySide, ALostAggregatorsWorkMovesWhicheverJobItIsOf) {
  Trainers(4);
  const auto second = world.Connect(World::Aggregator("agg-1"));
  Submit("a");
  Submit("b");
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  ASSERT_EQ(world.Tasks(second).size(), 1u);
  EXPECT_NE(world.Tasks(agg)[0].job, world.Tasks(second)[0].job);
  const std::string job = world.Tasks(agg)[0].job;
  world.Work(second);
  auto alive = trainers;
  alive.push_back(second);
  world.WaitWith(Duration(11'000), alive);
  ASSERT_EQ(world.Tasks(second).size(), 1u);
  EXPECT_EQ(world.Tasks(second)[0].job, job);
}

TEST_F(SideBySide, AJobThatCannotBeReadAnyMoreFailsAlone) {
  Trainers(4);
  Submit("a");
  Submit("b");
  world.journal.jobs.at("a").text = "bad";  // of a release that knew more keys
  world.Crash();
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(world.Status("a").message, "the job is bad");
  RunUntilEnded({"b"});
  EXPECT_EQ(State("b"), "completed");
}

TEST_F(SideBySide, MetricsTellEachRunningJobAndTheSeatsOfAll) {
  Trainers(5);
  Submit("b");
  Submit("a");
  Submit("c", "four");
  world.Work(agg);
  const Vitals vitals = world.federation->Watch(world.now);
  ASSERT_EQ(vitals.running.size(), 2u);
  EXPECT_EQ(vitals.running[0].job, "b") << "oldest first";
  EXPECT_EQ(vitals.running[1].job, "a");
  EXPECT_EQ(vitals.running[0].phase, "train");
  EXPECT_EQ(vitals.running[1].phase, "init");
  EXPECT_EQ(vitals.running[1].seats_taken, 2u);
  const auto census = world.federation->Count();
  EXPECT_EQ(census.seats_taken, 4u);
  EXPECT_EQ(census.seats_free, 0u);
  EXPECT_EQ(census.spares, 1u);
  EXPECT_EQ(census.seats_queued, 4u) << "with four trainers more, c begins";
}

TEST_F(SideBySide, NamesThatLookLikeTasksOfAnotherJobStayApart) {
  Trainers(4);
  Submit("a");
  Submit("a.r1");
  std::set<std::string> tasks;
  std::set<std::string> outputs;
  for (int i = 0; i < 4; ++i) {
    for (const auto& key : trainers) {
      for (const auto& task : world.Tasks(key)) {
        tasks.insert(task.task);
        outputs.insert(task.output);
      }
    }
    world.Work(agg);
  }
  EXPECT_EQ(tasks.size(), 4u);
  EXPECT_EQ(outputs.size(), 4u);
  RunUntilEnded({"a", "a.r1"});
  EXPECT_EQ(DigestsOf(world, "a"), Alone("a", Seats(2)));
  EXPECT_EQ(DigestsOf(world, "a.r1"), Alone("a.r1", Seats(2)));
}

}  // namespace
}  // namespace tributary::federation
