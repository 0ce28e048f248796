// The coordinator may die after any event: the job ends the same.
#include "world.h"

namespace tributary::federation {
namespace {

job::Job FourSeats() {
  job::Job spec = World::TwoSeats(3);
  spec.data.count = 4;
  spec.participants.min = 4;
  spec.participants.quorum = 2;
  spec.participants.fraction = 0.75;
  spec.participants.round_deadline = Duration(3'600'000);
  return spec;
}

// Random workers do random things in a random order; `crash_every` 0: never.
void Play(World& world, std::uint64_t seed, std::uint64_t crash_every) {
  SplitMix64 random(seed);
  ASSERT_TRUE(world.Submit().ok());
  std::vector<std::string> keys;
  for (int i = 0; i < 2; ++i) keys.push_back(world.Connect(World::Aggregator(fmt::format("agg-{}", i))));
  for (int i = 0; i < 4; ++i) keys.push_back(world.Connect(World::Trainer(fmt::format("t{}", i), i)));
  std::map<std::string, wire::Report> repeated;  // the last report of each worker, for repetition
  for (int step = 0; step < 5000 && world.Status().state == "running"; ++step) {
    const std::string& key = keys[random.NextBelow(keys.size())];
    switch (random.NextBelow(6)) {
      case 0: world.Heartbeat(key); break;
      case 1:
      case 2: {
        wire::Report report;
        for (const auto& task : world.Tasks(key)) {
          report.tasks.push_back(world.Ready(task) ? world.Do(task) : World::Running(task.task, random.NextBelow(9)));
        }
        repeated[key] = report;
        // The work is done but the coordinator dies before it hears of it.
        if (crash_every != 0 && random.NextBelow(2 * crash_every) == 0) world.Crash();
        world.Send(key, report);
        break;
      }
      case 3: {
        wire::Report report;
        for (const auto& task : world.Tasks(key)) {
          report.tasks.push_back(World::Running(task.task, random.NextBelow(9)));
          // Of some the update is open by now, and may be averaged as it comes.
          if (task.kind == static_cast<std::uint32_t>(wire::TaskKind::kTrain) && random.NextBelow(2) == 0) {
            report.tasks.back().metrics["samples"] = 10.0 * (task.ordinal + 1);
          }
        }
        world.Send(key, report);
        break;
      }
      case 4:
        if (repeated.count(key) != 0) world.Send(key, repeated[key]);
        break;
      case 5: world.Wait(Duration(random.NextBelow(200))); break;
    }
    if (crash_every != 0 && random.NextBelow(crash_every) == 0) world.Crash();
    // Nobody stays silent for long: this test is about the coordinator's death alone.
    for (const auto& other : keys) world.Heartbeat(other);
  }
  ASSERT_EQ(world.Status().state, "completed");
}

TEST(Crash, ARandomOrderWithACrashAfterAnyStepEndsTheSame) {
  World quiet(FourSeats());
  Play(quiet, 1, 0);
  for (std::uint64_t seed = 2; seed < 60; ++seed) {
    World world(FourSeats());
    Play(world, seed, seed % 4);  // every step dies, every second, every third; or none
    ASSERT_EQ(world.Status().model_digest, quiet.Status().model_digest) << seed;
    for (const auto& [key, round] : quiet.done) {
      const RoundRow& other = world.done.at(key);
      EXPECT_EQ(other.participants, round.participants);
      EXPECT_EQ(other.dropped, round.dropped);
      EXPECT_EQ(other.digest, round.digest);
      EXPECT_EQ(other.bytes_up, round.bytes_up);
      if (key.second == 0) continue;  // the first model has no metrics
      for (const char* name : {"train_loss", "val_loss", "samples"}) {
        ASSERT_EQ(other.metrics.count(name), 1u) << name;
        EXPECT_EQ(other.metrics.at(name), round.metrics.at(name)) << name;
      }
    }
  }
}

TEST(Crash, InEachPhaseTheSameTasksAreWantedAgain) {
  const std::vector<std::pair<std::string, std::uint32_t>> phases = {
      {"init", 0}, {"train", 1}, {"aggregate", 1}, {"seal", 1}, {"validate", 1}, {"train", 2}};
  for (const auto& [phase, round] : phases) {
    World world(World::TwoSeats());
    ASSERT_TRUE(world.Submit().ok());
    const auto agg = world.Connect(World::Aggregator("agg-0"));
    const auto a = world.Connect(World::Trainer("a"));
    const auto b = world.Connect(World::Trainer("b"));
    ASSERT_TRUE(world.RunTo(phase, round, {a, b, agg})) << phase;
    std::map<std::string, std::vector<std::string>> before;
    for (const auto& key : {agg, a, b}) {
      for (const auto& task : world.Tasks(key)) before[key].push_back(task.task);
    }
    world.Crash();
    EXPECT_EQ(world.Status().phase, phase);
    std::map<std::string, std::vector<std::string>> after;
    for (const auto& key : {agg, a, b}) {
      world.Heartbeat(key);
      for (const auto& task : world.Tasks(key)) after[key].push_back(task.task);
    }
    EXPECT_EQ(before, after) << phase;
    world.RunAll({agg, a, b});
    EXPECT_EQ(world.Status().state, "completed") << phase;
  }
}

TEST(Crash, LeasesAndSeatsGetTheirWholeTimeoutToComeBack) {
  World world(World::TwoSeats(1));
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  ASSERT_TRUE(world.RunTo("train", 1, {agg}));
  world.Wait(Duration(14'000));
  world.Crash();
  const auto spare = world.Connect(World::Trainer("spare"));
  world.WaitWith(Duration(13'000), {agg, a, spare});
  EXPECT_EQ(world.federation->AssignmentOf(spare).seat, "");
  world.Heartbeat(b);
  EXPECT_EQ(world.federation->AssignmentOf(b).seat, "site/1");
}

TEST(Crash, PendingRemovalsSurvive) {
  World world(World::TwoSeats(1));
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  ASSERT_TRUE(world.RunTo("validate", 1, {a, b, agg}));
  world.Work(a);
  world.Work(b);
  ASSERT_EQ(world.Status().state, "completed");
  world.Crash();
  world.Heartbeat(agg);
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  world.Work(agg);
  EXPECT_EQ(world.store.sealed.size(), 1u);
  EXPECT_EQ(world.store.sealed.count("jobs/job/models/1"), 1u);
}

}  // namespace
}  // namespace tributary::federation
