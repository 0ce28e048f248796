// Three jobs at once, and the coordinator may die after any event: each ends as it would alone.
#include "world.h"

namespace tributary::federation {
namespace {

struct Wanted {
  std::string name;
  job::Job spec;
};

std::vector<Wanted> Jobs(bool with_all = false) {
  const auto seats = [&](std::uint32_t count, std::uint32_t rounds, double fraction) {
    job::Job spec = World::TwoSeats(rounds);
    spec.data.count = spec.participants.min = count;
    spec.participants.fraction = fraction;
    if (with_all) spec.participants.quorum = count;
    spec.participants.round_deadline = Duration(3'600'000);
    return spec;
  };
  // The third has to wait for trainers of the others, and goes past nobody.
  return {{"x", seats(2, 4, 1)}, {"y", seats(3, 2, 0.7)}, {"z", seats(4, 2, 0.75)}};
}

// Random workers do random things in a random order; `crash_every` 0: never.
void Play(World& world, std::uint64_t seed, std::uint64_t crash_every, const std::vector<Wanted>& jobs) {
  SplitMix64 random(seed);
  std::vector<std::string> keys;
  for (int i = 0; i < 2; ++i) keys.push_back(world.Connect(World::Aggregator(fmt::format("agg-{}", i))));
  for (int i = 0; i < 6; ++i) keys.push_back(world.Connect(World::Trainer(fmt::format("t{}", i), i)));
  for (const Wanted& job : jobs) {
    world.specs[job.name] = job.spec;
    ASSERT_TRUE(world.Submit(job.name, false, job.name).ok());
  }
  std::map<std::string, wire::Report> repeated;  // the last report of each worker, for repetition
  const auto unfinished = [&] {
    return std::ranges::any_of(jobs, [&](const Wanted& job) {
      const std::string state = world.Status(job.name).state;
      return state == "running" || state == "queued";
    });
  };
  for (int step = 0; step < 20'000 && unfinished(); ++step) {
    const std::string& key = keys[random.NextBelow(keys.size())];
    wire::Report report;
    switch (random.NextBelow(6)) {
      case 0:
      case 1:
      case 2:
        for (const auto& task : world.Tasks(key)) {
          report.tasks.push_back(world.Ready(task) ? world.Do(task) : World::Running(task.task, random.NextBelow(9)));
        }
        repeated[key] = report;
        // The work is done but the coordinator dies before it hears of it.
        if (crash_every != 0 && random.NextBelow(2 * crash_every) == 0) world.Crash();
        world.Send(key, report);
        break;
      case 3:
        for (const auto& task : world.Tasks(key)) {
          report.tasks.push_back(World::Running(task.task, random.NextBelow(9)));
          if (task.kind == static_cast<std::uint32_t>(wire::TaskKind::kTrain) && random.NextBelow(2) == 0) {
            report.tasks.back().metrics["samples"] = 10.0 * (task.ordinal + 1);
          }
        }
        world.Send(key, report);
        break;
      case 4:
        if (repeated.count(key) != 0) world.Send(key, repeated[key]);
        break;
      case 5: world.Wait(Duration(random.NextBelow(200))); break;
    }
    if (crash_every != 0 && random.NextBelow(crash_every) == 0) world.Crash();
    // Nobody stays silent for long: this test is about the coordinator's death alone.
    for (const auto& other : keys) world.Heartbeat(other);
    std::set<std::string> seated;
    for (const auto& [seat, row] : world.journal.seats) ASSERT_TRUE(seated.insert(row.site + "/" + row.instance).second) << "two seats";
  }
  for (const Wanted& job : jobs) ASSERT_EQ(world.Status(job.name).state, "completed") << job.name;
}

void ExpectTheSame(const World& world, const World& alone) {
  for (const auto& [key, round] : alone.done) {
    const RoundRow& other = world.done.at(key);
    ASSERT_EQ(other.digest, round.digest) << key.first << " round " << key.second;
    EXPECT_EQ(other.participants, round.participants);
    EXPECT_EQ(other.dropped, round.dropped);
    EXPECT_EQ(other.bytes_up, round.bytes_up);
    if (key.second == 0) continue;  // the first model has no metrics
    for (const char* name : {"train_loss", "val_loss", "samples"}) EXPECT_EQ(other.metrics.at(name), round.metrics.at(name)) << name;
  }
}

TEST(CrashOfSeveralJobs, ARandomOrderWithACrashAfterAnyStepEndsEachAsItWouldAlone) {
  std::vector<std::unique_ptr<World>> alone;
  for (const Wanted& job : Jobs()) {
    alone.push_back(std::make_unique<World>(job.spec));
    Play(*alone.back(), 1, 0, {job});
  }
  for (std::uint64_t seed = 2; seed < 30; ++seed) {
    World world(World::TwoSeats());
    Play(world, seed, seed % 4, Jobs());  // every step dies, every second, every third; or none
    for (const auto& other : alone) ExpectTheSame(world, *other);
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

// A resumed job begins with its quorum: here that is all, or another round would have other updates.
TEST(CrashOfSeveralJobs, StopsAndResumesInTheMiddleChangeNoModel) {
  std::vector<std::unique_ptr<World>> alone;
  for (const Wanted& job : Jobs(true)) {
    alone.push_back(std::make_unique<World>(job.spec));
    Play(*alone.back(), 1, 0, {job});
  }
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    SplitMix64 random(seed);
    World world(World::TwoSeats());
    std::vector<std::string> keys{world.Connect(World::Aggregator("agg-0"))};
    for (int i = 0; i < 6; ++i) keys.push_back(world.Connect(World::Trainer(fmt::format("t{}", i), i)));
    for (const Wanted& job : Jobs(true)) {
      world.specs[job.name] = job.spec;
      ASSERT_TRUE(world.Submit(job.name, false, job.name).ok());
    }
    for (int step = 0; step < 3'000; ++step) {
      const std::string name(1, static_cast<char>('x' + random.NextBelow(3)));
      if (step < 300 && random.NextBelow(25) == 0) {
        ASSERT_TRUE(world.federation->Stop(name, world.now).ok());
        world.Flush();
      } else if (world.Status(name).state == "stopped") {
        ASSERT_TRUE(world.Resume(name).ok());
      }
      if (random.NextBelow(20) == 0) world.Crash();
      world.Work(keys[random.NextBelow(keys.size())]);
      world.Wait(Duration(random.NextBelow(100)));
      for (const auto& key : keys) world.Heartbeat(key);
    }
    for (const Wanted& job : Jobs(true)) ASSERT_EQ(world.Status(job.name).state, "completed") << job.name << ", seed " << seed;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      for (const auto& [key, round] : alone[i]->done) ASSERT_EQ(world.done.at(key).digest, round.digest) << key.first << " round " << key.second << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tributary::federation
