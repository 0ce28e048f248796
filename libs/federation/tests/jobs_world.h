// A world with several jobs, and what each of them makes where it is alone.
#pragma once

#include "world.h"

namespace tributary::federation {

inline job::Job Seats(std::uint32_t count, std::uint32_t rounds = 3) {
  job::Job spec = World::TwoSeats(rounds);
  spec.data.count = count;
  spec.participants.min = spec.participants.quorum = count;
  return spec;
}

class SideBySide : public ::testing::Test {
 protected:
  SideBySide() : world(Seats(2)) {
    world.specs = {{"one", Seats(1)}, {"two", Seats(2)}, {"three", Seats(3)}, {"four", Seats(4)}, {"eight", Seats(8)}};
    agg = world.Connect(World::Aggregator("agg-0"));
  }
  void Trainers(int count) {
    for (int i = 0; i < count; ++i) trainers.push_back(world.Connect(World::Trainer(fmt::format("t{}", trainers.size()))));
  }
  void Submit(const std::string& name, const std::string& text = "two") { ASSERT_TRUE(world.Submit(name, false, text).ok()) << name; }
  std::vector<std::string> All() const {
    std::vector<std::string> keys = trainers;
    keys.push_back(agg);
    return keys;
  }
  std::string State(const std::string& job) { return world.Status(job).state; }
  // Everybody works until the job is in this phase of this round, or ended.
  bool RunTo(const std::string& job, const std::string& phase, std::uint32_t round) {
    for (int i = 0; i < 300; ++i) {
      for (const std::string& key : All()) {
        const auto status = world.Status(job);
        if (status.phase == phase && status.round == round) return true;
        world.Work(key);
      }
      world.Wait(Duration(100));
    }
    return false;
  }
  void RunUntilEnded(const std::vector<std::string>& jobs) {
    for (int i = 0; i < 200; ++i) {
      if (std::ranges::all_of(jobs, [&](const auto& job) { return State(job) != "running" && State(job) != "queued"; })) return;
      for (const std::string& key : All()) world.Work(key);
      world.Wait(Duration(100));
    }
    ADD_FAILURE() << "they never end";
  }
  // Which job a trainer has a seat in; empty: none.
  std::string JobOf(const std::string& trainer) {
    std::string job;
    for (const auto& [key, seat] : world.journal.seats) {
      if (seat.site + "/" + seat.instance != trainer) continue;
      EXPECT_EQ(job, "") << trainer << " has two seats";
      job = key.first;
    }
    return job;
  }
  std::size_t SeatsOf(const std::string& job) {
    return static_cast<std::size_t>(std::ranges::count_if(world.journal.seats, [&](const auto& entry) { return entry.first.first == job; }));
  }
  // The models that the job makes where it is alone.
  static std::map<std::uint32_t, std::string> Alone(const std::string& job, const job::Job& spec) {
    World world(spec);
    EXPECT_TRUE(world.Submit(job).ok());
    std::vector<std::string> keys{world.Connect(World::Aggregator("agg-0"))};
    for (std::uint32_t i = 0; i < spec.data.count; ++i) keys.push_back(world.Connect(World::Trainer(fmt::format("t{}", i))));
    for (int i = 0; i < 60 && world.Status(job).state == "running"; ++i) {
      for (const std::string& key : keys) world.Work(key);
      world.Wait(Duration(100));
    }
    EXPECT_EQ(world.Status(job).state, "completed");
    return DigestsOf(world, job);
  }
  static std::map<std::uint32_t, std::string> DigestsOf(const World& world, const std::string& job) {
    std::map<std::uint32_t, std::string> digests;
    for (const auto& [key, round] : world.done) {
      if (key.first == job) digests[key.second] = round.digest;
    }
    return digests;
  }

  World world;
  std::string agg;
  std::vector<std::string> trainers;
};

}  // namespace tributary::federation
