// A job that had ended goes on behind its newest sealed model, and ends as if it had never been away.
#include "world.h"

namespace tributary::federation {
namespace {

class Resume : public ::testing::Test {
 protected:
  explicit Resume(job::Job spec = World::TwoSeats(3)) : world(std::move(spec)) {
    EXPECT_TRUE(world.Submit().ok());
    agg = world.Connect(World::Aggregator("agg-0"));
    a = world.Connect(World::Trainer("a", 0));
    b = world.Connect(World::Trainer("b", 1));
  }
  std::vector<std::string> All() const { return {agg, a, b}; }
  void Stop() {
    ASSERT_TRUE(world.federation->Stop("job", world.now).ok());
    world.Flush();
  }
  // The digests of each round of a job of `spec` that nobody stops.
  static std::map<RoundKey, std::string> Unstopped(const job::Job& spec) {
    World other(spec);
    EXPECT_TRUE(other.Submit().ok());
    std::vector<std::string> keys{other.Connect(World::Aggregator("agg-0")), other.Connect(World::Trainer("a", 0)), other.Connect(World::Trainer("b", 1))};
    other.RunAll(keys);
    std::map<RoundKey, std::string> digests;
    for (const auto& [key, round] : other.done) digests[key] = round.digest;
    return digests;
  }
  std::map<RoundKey, std::string> Digests() const {
    std::map<RoundKey, std::string> digests;
    for (const auto& [key, round] : world.done) digests[key] = round.digest;
    return digests;
  }
  World world;
  std::string agg, a, b;
};

TEST_F(Resume, GoesOnFromEveryPhaseToTheSameModels) {
  const auto expected = Unstopped(World::TwoSeats(3));
  for (const char* phase : {"init", "train", "aggregate", "seal", "validate"}) {
    for (const bool crash : {false, true}) {
      World fresh(World::TwoSeats(3));
      ASSERT_TRUE(fresh.Submit().ok());
      const std::vector<std::string> keys{fresh.Connect(World::Aggregator("agg-0")), fresh.Connect(World::Trainer("a", 0)), fresh.Connect(World::Trainer("b", 1))};
      ASSERT_TRUE(fresh.RunTo(phase, std::string(phase) == "init" ? 0 : 2, keys)) << phase;
      ASSERT_TRUE(fresh.federation->Stop("job", fresh.now).ok());
      fresh.Flush();
      EXPECT_EQ(fresh.Status().state, "stopped");
      if (crash) fresh.Crash();
      const auto resumed = fresh.Resume();
      ASSERT_TRUE(resumed.ok()) << phase << ": " << resumed.error().message();
      if (crash) fresh.Crash();
      for (int i = 0; i < 80 && fresh.Status().state != "completed"; ++i) {
        for (const std::string& key : keys) fresh.Work(key);
        fresh.Wait(Duration(1000));
      }
      ASSERT_EQ(fresh.Status().state, "completed") << phase << ": " << fresh.Status().message;
      std::map<RoundKey, std::string> digests;
      for (const auto& [key, round] : fresh.done) digests[key] = round.digest;
      EXPECT_EQ(digests, expected) << phase;
    }
  }
}

TEST_F(Resume, KeepsTheNewestModelOfAStoppedJobAndNothingOfTheRoundThatItWasIn) {
  ASSERT_TRUE(world.RunTo("aggregate", 2, All()));
  Stop();
  for (int i = 0; i < 5; ++i) world.Work(agg);
  EXPECT_EQ(world.store.sealed.count("jobs/job/models/1"), 1u);
  for (const auto& [object, digest] : world.store.sealed) EXPECT_EQ(object.find("rounds/2"), std::string::npos) << object;
  EXPECT_TRUE(world.store.open.count("jobs/job/models/2") == 0);
}

TEST_F(Resume, WaitsUntilWhatItLeftIsRemoved) {
  ASSERT_TRUE(world.RunTo("aggregate", 2, All()));
  Stop();
  ASSERT_TRUE(world.Resume().ok());
  EXPECT_EQ(world.Status().state, "queued");
  EXPECT_NE(world.Status().message.find("removed"), std::string::npos);
  world.Work(agg);
  world.Wait(Duration(100));
  EXPECT_EQ(world.Status().state, "running");
}

TEST_F(Resume, ALateReportOfTheFormerLifeDoesNotCount) {
  ASSERT_TRUE(world.RunTo("train", 2, All()));
  const auto before = world.Tasks(a);
  ASSERT_EQ(before.size(), 1u);
  Stop();
  world.Work(agg);
  ASSERT_TRUE(world.Resume().ok());
  ASSERT_TRUE(world.RunTo("train", 2, {agg}));
  const auto after = world.Tasks(a);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_NE(after[0].task, before[0].task);
  EXPECT_NE(after[0].output, before[0].output);
  wire::Report late;
  late.tasks.push_back(world.Do(before[0]));
  world.Send(a, late);
  EXPECT_EQ(world.Tasks(a).size(), 1u);
}

TEST_F(Resume, AFailedJobGoesOnWhenTheCauseIsMended) {
  ASSERT_TRUE(world.RunTo("aggregate", 2, All()));
  for (int i = 0; i < 4 && world.Status().state == "running"; ++i) {
    for (const auto& task : world.Tasks(agg)) {
      if (task.kind == static_cast<std::uint32_t>(wire::TaskKind::kAggregate)) world.Fail(agg, task.task, Code::kIo, "the disk is full");
    }
    world.WaitWith(Duration(10'000), All());
  }
  ASSERT_EQ(world.Status().state, "failed");
  for (int i = 0; i < 3; ++i) world.Work(agg);
  ASSERT_TRUE(world.Resume().ok());
  world.Wait(Duration(100));
  EXPECT_EQ(world.Status().message, "");
  world.RunAll(All());
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(Digests(), Unstopped(World::TwoSeats(3)));
}

TEST_F(Resume, ACompletedJobGoesOnToMoreRoundsOnly) {
  world.RunAll(All());
  ASSERT_EQ(world.Status().state, "completed");
  for (int i = 0; i < 5; ++i) world.Work(agg);
  const auto again = world.Resume();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Code::kAlreadyExists);
  EXPECT_NE(again.error().message().find("--set rounds=N"), std::string::npos);
  const auto more = world.Resume("job", 5);
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(more->rounds, 5u);
  world.RunAll(All());
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(Digests(), Unstopped(World::TwoSeats(5)));
}

TEST_F(Resume, IsRefusedWhileTheJobRunsAndOfOneThatNobodyKnows) {
  ASSERT_TRUE(world.RunTo("train", 1, All()));
  EXPECT_EQ(world.Resume().error().code(), Code::kConflict);
  JobRow other;
  other.job = "other";
  EXPECT_EQ(world.federation->Resume(other, {}, {}, {}, world.now).error().code(), Code::kNotFound);
}

job::Job SixRounds() {
  job::Job spec = World::TwoSeats(6);
  spec.checkpoint.every = 2;
  spec.checkpoint.keep = 2;
  return spec;
}

class Rewound : public Resume {
 protected:
  Rewound() : Resume(SixRounds()) {}
  void ExpectModels(const std::set<std::string>& rounds) const {
    std::set<std::string> there;
    for (const auto& [object, digest] : world.store.sealed) {
      if (object.find("/models/") != std::string::npos) there.insert(object.substr(object.rfind('/') + 1));
    }
    EXPECT_EQ(there, rounds);
  }
};

TEST_F(Rewound, ACompletedJobGoesOnBehindAnEarlierRoundToTheSameModels) {
  world.RunAll(All());
  ASSERT_EQ(world.Status().state, "completed");
  for (int i = 0; i < 5; ++i) world.Work(agg);
  ExpectModels({"4", "6"});
  const auto expected = Digests();
  const auto resumed = world.Resume("job", 0, 4);
  ASSERT_TRUE(resumed.ok()) << resumed.error().message();
  EXPECT_EQ(resumed->round, 4u);
  EXPECT_EQ(resumed->state, "queued") << "not before the model of round 6 is removed";
  world.Crash();
  world.done.clear();
  for (int i = 0; i < 20 && world.Status().state == "queued"; ++i) {
    for (const std::string& key : All()) world.Work(key);
    world.Wait(Duration(100));
  }
  ExpectModels({"4"});
  world.RunAll(All());
  EXPECT_EQ(world.Status().state, "completed");
  for (int i = 0; i < 5; ++i) world.Work(agg);
  EXPECT_EQ(world.done.size(), 2u) << "the rounds after the one that it went back to";
  for (const auto& [key, round] : world.done) EXPECT_EQ(round.digest, expected.at(key)) << key.second;
  ExpectModels({"4", "6"});
}

TEST_F(Rewound, FromTheMiddleOfARound) {
  const auto expected = Unstopped(SixRounds());
  for (const char* phase : {"train", "aggregate", "validate"}) {
    World fresh(SixRounds());
    ASSERT_TRUE(fresh.Submit().ok());
    const std::vector<std::string> keys{fresh.Connect(World::Aggregator("agg-0")), fresh.Connect(World::Trainer("a", 0)), fresh.Connect(World::Trainer("b", 1))};
    ASSERT_TRUE(fresh.RunTo(phase, 5, keys)) << phase;
    ASSERT_TRUE(fresh.federation->Stop("job", fresh.now).ok());
    fresh.Flush();
    ASSERT_TRUE(fresh.Resume("job", 0, 2).ok()) << phase;
    for (int i = 0; i < 120 && fresh.Status().state != "completed"; ++i) {
      for (const std::string& key : keys) fresh.Work(key);
      fresh.Wait(Duration(1000));
    }
    ASSERT_EQ(fresh.Status().state, "completed") << phase << ": " << fresh.Status().message;
    std::map<RoundKey, std::string> digests;
    for (const auto& [key, round] : fresh.done) digests[key] = round.digest;
    EXPECT_EQ(digests, expected) << phase;
  }
}

TEST_F(Rewound, ARoundWhoseModelIsGoneIsRefusedAndNothingChanges) {
  world.RunAll(All());
  for (int i = 0; i < 5; ++i) world.Work(agg);
  const auto gone = world.Resume("job", 0, 3);
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  EXPECT_NE(gone.error().message().find("does not keep the model of round 3 any more; it has those of 4, 6 (checkpoint.every"), std::string::npos) << gone.error().message();
  EXPECT_EQ(world.Status().state, "completed");
  ExpectModels({"4", "6"});
}

TEST_F(Rewound, ToFewerRoundsThanTheRoundItGoesBackToIsRefused) {
  world.RunAll(All());
  EXPECT_EQ(world.Resume("job", 4, 4).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(world.Status().state, "completed");
}

TEST_F(Resume, AJobThatWasStoppedBeforeItBeganBegins) {
  ASSERT_TRUE(world.Submit("second").ok());
  ASSERT_TRUE(world.federation->Stop("second", world.now).ok());
  world.Flush();
  ASSERT_TRUE(world.Resume("second").ok());
  EXPECT_EQ(world.Status("second").state, "queued");
  world.RunAll(All());
  EXPECT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.Status("second").state, "running");
}

TEST(ResumeBroadcast, WhatTrainersDownloadStaysUntilAJobIsCompleted) {
  job::Job spec = World::TwoSeats(3);
  spec.transfer.broadcast = tensor::Encoding::kF16;
  const auto reader = [](wire::Hello hello) {
    hello.encodings = {static_cast<std::uint32_t>(tensor::Encoding::kF16)};
    return hello;
  };
  World fresh(spec);
  ASSERT_TRUE(fresh.Submit().ok());
  const std::vector<std::string> keys{fresh.Connect(World::Aggregator("agg-0")), fresh.Connect(reader(World::Trainer("a", 0))), fresh.Connect(reader(World::Trainer("b", 1)))};
  ASSERT_TRUE(fresh.RunTo("train", 2, keys));
  ASSERT_TRUE(fresh.federation->Stop("job", fresh.now).ok());
  fresh.Flush();
  for (int i = 0; i < 5; ++i) fresh.Work(keys[0]);
  EXPECT_EQ(fresh.store.sealed.count("jobs/job/broadcasts/1"), 1u);
  ASSERT_TRUE(fresh.Resume().ok());
  fresh.Wait(Duration(100));
  fresh.RunAll(keys);
  EXPECT_EQ(fresh.Status().state, "completed");
  for (int i = 0; i < 5; ++i) fresh.Work(keys[0]);
  for (const auto& [object, digest] : fresh.store.sealed) EXPECT_EQ(object.find("broadcasts"), std::string::npos) << object;
}

TEST(ResumeBroadcast, ThatOfARoundAfterTheOneThatAJobGoesBackToIsRemoved) {
  job::Job spec = SixRounds();
  spec.transfer.broadcast = tensor::Encoding::kF16;
  const auto reader = [](wire::Hello hello) {
    hello.encodings = {static_cast<std::uint32_t>(tensor::Encoding::kF16)};
    return hello;
  };
  World fresh(spec);
  ASSERT_TRUE(fresh.Submit().ok());
  const std::vector<std::string> keys{fresh.Connect(World::Aggregator("agg-0")), fresh.Connect(reader(World::Trainer("a", 0))), fresh.Connect(reader(World::Trainer("b", 1)))};
  ASSERT_TRUE(fresh.RunTo("train", 4, keys));
  ASSERT_TRUE(fresh.federation->Stop("job", fresh.now).ok());
  fresh.Flush();
  for (int i = 0; i < 5; ++i) fresh.Work(keys[0]);
  ASSERT_EQ(fresh.store.sealed.count("jobs/job/broadcasts/3"), 1u);
  ASSERT_TRUE(fresh.Resume("job", 0, 2).ok());
  for (int i = 0; i < 5; ++i) fresh.Work(keys[0]);
  EXPECT_EQ(fresh.store.sealed.count("jobs/job/broadcasts/3"), 0u);
  EXPECT_EQ(fresh.store.sealed.count("jobs/job/models/3"), 0u);
  fresh.Wait(Duration(100));
  fresh.RunAll(keys);
  EXPECT_EQ(fresh.Status().state, "completed");
}

}  // namespace
}  // namespace tributary::federation
