// Which jobs run side by side, and which wait.
#include "jobs_world.h"

namespace tributary::federation {
namespace {

class Queue : public SideBySide {};

TEST_F(Queue, AQueuedJobHoldsNothingAndBeginsWhenItsTrainersAreFree) {
  Submit("a");
  Submit("b");
  Trainers(3);
  EXPECT_EQ(State("b"), "queued");
  EXPECT_EQ(world.Status("b").message, "waiting for 2 free trainers: 1 now");
  EXPECT_EQ(JobOf(trainers[2]), "");
  Trainers(1);
  EXPECT_EQ(State("b"), "running");
  EXPECT_EQ(SeatsOf("b"), 2u);
}

TEST_F(Queue, TheOldestJobBeginsAloneAndGathersItsTrainers) {
  Submit("a", "four");
  Submit("b");
  Trainers(3);
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(SeatsOf("a"), 3u);
  EXPECT_EQ(State("b"), "queued");
  Trainers(3);
  EXPECT_EQ(SeatsOf("a"), 4u);
  EXPECT_EQ(State("b"), "running");
}

TEST_F(Queue, ASmallJobGoesPastOneThatLacksTrainers) {
  Trainers(4);
  Submit("a");
  Submit("b", "three");
  Submit("c");
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(State("b"), "queued");
  EXPECT_EQ(State("c"), "running");
  ASSERT_TRUE(world.federation->Stop("a", world.now).ok());
  world.Flush();
  EXPECT_EQ(State("b"), "queued");
  ASSERT_TRUE(world.federation->Stop("c", world.now).ok());
  world.Flush();
  EXPECT_EQ(State("b"), "running");
}

TEST_F(Queue, AJobIsPassedThreeTimesAndThenWaitedFor) {
  Trainers(4);
  Submit("a");
  Submit("big", "four");
  std::string last = "a";
  for (const char* small : {"s1", "s2", "s3"}) {
    Submit(small);
    EXPECT_EQ(State(small), "running") << "beside " << last;
    // The one before ends; there are never four free trainers.
    ASSERT_TRUE(world.federation->Stop(last, world.now).ok());
    world.Flush();
    EXPECT_EQ(State("big"), "queued");
    last = small;
  }
  Submit("s4");
  EXPECT_EQ(State("s4"), "queued") << "two trainers are free, and big was passed three times";
  EXPECT_EQ(world.Status("s4").message, "waiting for job big, which others went past often enough");
  world.Crash();  // how often it was passed is in the journal
  for (const auto& key : All()) world.Heartbeat(key);
  EXPECT_EQ(State("s4"), "queued");
  RunUntilEnded({"s3"});
  EXPECT_EQ(State("big"), "running");
  EXPECT_EQ(State("s4"), "queued");
  RunUntilEnded({"big", "s4"});
  EXPECT_EQ(State("s4"), "completed");
}

TEST_F(Queue, AJobThatAsksForMoreTrainersThanThereAreBlocksNobody) {
  Trainers(2);
  Submit("a");
  Submit("big", "eight");
  for (int i = 0; i < 6; ++i) {
    const std::string small = fmt::format("s{}", i);
    Submit(small);
    RunUntilEnded({i == 0 ? "a" : fmt::format("s{}", i - 1)});
    EXPECT_EQ(State(small), "running");
    EXPECT_EQ(State("big"), "queued");
  }
}

TEST_F(Queue, AYoungerJobTakesNoMoreThanItNeedsWhileAnOlderIsWaitedFor) {
  job::Job elastic = Seats(4);
  elastic.participants.min = elastic.participants.quorum = 1;
  world.specs["elastic"] = elastic;
  Trainers(3);
  Submit("a");
  Submit("big", "three");
  for (const char* small : {"s1", "s2"}) {
    Submit(small, "one");
    ASSERT_TRUE(world.federation->Stop(small, world.now).ok());
    world.Flush();
  }
  Submit("e", "elastic");
  EXPECT_EQ(State("e"), "running");
  EXPECT_EQ(SeatsOf("e"), 1u);
  ASSERT_TRUE(world.federation->Stop("a", world.now).ok());
  world.Flush();
  EXPECT_EQ(SeatsOf("e"), 1u) << "it has seats for the two that are free, and big needs them";
  Trainers(1);
  EXPECT_EQ(State("big"), "running");
}

TEST_F(Queue, AWaitingJobThatNobodyJoinsGoesBackIntoTheQueue) {
  Submit("a", "four");
  Trainers(2);
  Submit("b");
  world.WaitWith(Duration(20'000), All());
  Trainers(1);
  world.WaitWith(Duration(29'000), All());
  EXPECT_EQ(State("a"), "running") << "a trainer joined meanwhile";
  world.WaitWith(Duration(2'000), All());
  EXPECT_EQ(State("a"), "queued");
  EXPECT_EQ(SeatsOf("a"), 0u);
  EXPECT_TRUE(world.Noted("job a goes back into the queue: it needs 4 trainers and has had 3 for 30.0 s; job b can begin before it"));
  EXPECT_EQ(State("b"), "running");
  EXPECT_EQ(world.Status("a").message, "waiting for 4 free trainers: 1 now");
  Trainers(3);
  EXPECT_EQ(State("a"), "running");
  RunUntilEnded({"a", "b"});
  EXPECT_EQ(DigestsOf(world, "a"), Alone("a", Seats(4)));
}

TEST_F(Queue, AJobThatWaitsAloneKeepsItsTrainers) {
  Submit("a", "four");
  Submit("b", "eight");
  Trainers(3);
  world.WaitWith(Duration(120'000), All());
  EXPECT_EQ(State("a"), "running") << "nobody else could begin with them";
  EXPECT_EQ(SeatsOf("a"), 3u);
}

TEST_F(Queue, AJobInTheMiddleKeepsItsSeatsWhileItWaitsForItsQuorum) {
  Trainers(2);
  Submit("a");
  ASSERT_TRUE(RunTo("a", "validate", 1));
  wire::Report leaving;
  leaving.leaving = true;
  world.Send(trainers[1], leaving);
  trainers.pop_back();
  for (int i = 0; i < 3; ++i) {
    for (const auto& key : All()) world.Work(key);
  }
  Submit("s", "one");
  world.WaitWith(Duration(120'000), All());
  EXPECT_EQ(world.Status("a").phase, "wait");
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(JobOf(trainers[0]), "a");
  EXPECT_EQ(State("s"), "queued");
}

TEST_F(Queue, AResumedJobThatLacksTrainersGoesBackIntoTheQueueToo) {
  Trainers(2);
  Submit("a");
  ASSERT_TRUE(RunTo("a", "train", 2));
  ASSERT_TRUE(world.federation->Stop("a", world.now).ok());
  world.Flush();
  for (int i = 0; i < 3; ++i) world.Work(agg);
  wire::Report leaving;
  leaving.leaving = true;
  world.Send(trainers[1], leaving);
  trainers.pop_back();
  ASSERT_TRUE(world.Resume("a").ok());
  ASSERT_EQ(State("a"), "running");
  Submit("s", "one");
  world.WaitWith(Duration(31'000), All());
  EXPECT_EQ(State("a"), "queued");
  EXPECT_EQ(State("s"), "running");
  Trainers(1);
  EXPECT_EQ(State("a"), "queued");
  RunUntilEnded({"s"});
  RunUntilEnded({"a"});
  EXPECT_EQ(State("a"), "completed");
  EXPECT_EQ(DigestsOf(world, "a"), Alone("a", Seats(2)));
}

TEST_F(Queue, NoMoreThanTheLimitRun) {
  world.limits.jobs_at_once = 2;
  world.Crash();
  Trainers(8);
  for (const char* job : {"a", "b", "c"}) Submit(job);
  EXPECT_EQ(State("b"), "running");
  EXPECT_EQ(State("c"), "queued");
  EXPECT_EQ(world.Status("c").message, "waiting for one of 2 running jobs to end (--jobs-at-once 2)");
  ASSERT_TRUE(world.federation->Stop("a", world.now).ok());
  world.Flush();
  EXPECT_EQ(State("c"), "running");
}

TEST_F(Queue, OneAtATimeIsOneAfterTheOther) {
  world.limits.jobs_at_once = 1;
  world.Crash();
  Trainers(4);
  Submit("a");
  Submit("b");
  EXPECT_EQ(State("b"), "queued");
  RunUntilEnded({"a"});
  EXPECT_EQ(State("b"), "running");
}

TEST_F(Queue, WithALowerLimitAllThatRanGoOn) {
  Trainers(6);
  for (const char* job : {"a", "b", "c"}) Submit(job);
  world.limits.jobs_at_once = 1;
  world.Crash();
  for (const auto& key : All()) world.Heartbeat(key);
  for (const char* job : {"a", "b", "c"}) EXPECT_EQ(State(job), "running");
  Submit("d");
  RunUntilEnded({"a", "b", "c"});
  for (const char* job : {"a", "b", "c"}) EXPECT_EQ(DigestsOf(world, job), Alone(job, Seats(2)));
}

}  // namespace
}  // namespace tributary::federation
