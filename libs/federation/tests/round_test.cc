#include "world.h"

namespace tributary::federation {
namespace {

TEST(Round, RunsAJobToItsEnd) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  EXPECT_EQ(world.Status().phase, "wait");
  const auto b = world.Connect(World::Trainer("b"));
  EXPECT_EQ(world.Status().phase, "init");
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  EXPECT_EQ(world.Tasks(agg)[0].task, "job.r0.init.0");
  EXPECT_EQ(world.Tasks(agg)[0].output, "jobs/job/models/0");
  world.RunAll({agg, a, b});
  EXPECT_EQ(world.Status().phase, "remove");
  world.Work(agg);

  const auto status = world.Status();
  EXPECT_EQ(status.state, "completed");
  EXPECT_EQ(status.phase, "done");
  EXPECT_EQ(status.model, "jobs/job/models/2");
  EXPECT_EQ(status.model_digest, world.store.sealed.at("jobs/job/models/2"));
  const RoundRow& first = world.done.at({"job", 1});
  EXPECT_EQ(first.participants, (std::vector<std::string>{"site/0", "site/1"}));
  EXPECT_TRUE(first.dropped.empty());
  EXPECT_DOUBLE_EQ(first.metrics.at("train_loss"), 1.5);  // by tokens
  EXPECT_DOUBLE_EQ(first.metrics.at("val_loss"), (3.0 * 10 + 4.0 * 20) / 30);
  EXPECT_DOUBLE_EQ(first.metrics.at("samples"), 30);
  EXPECT_DOUBLE_EQ(first.metrics.at("tokens_per_second"), 100);
  EXPECT_TRUE(first.metrics.count("seconds_train"));
  EXPECT_EQ(first.bytes_up, 40u);  // two updates, two validations
  EXPECT_EQ(first.bytes_down, 80u);
}

TEST(Round, TrainTasksNameBaseOutputAndSeat) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a", 1));
  const auto b = world.Connect(World::Trainer("b", 0));
  world.Work(agg);
  const auto tasks = world.Tasks(a);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].task, "job.r1.train.1");
  EXPECT_EQ(tasks[0].seat, "site/1");
  EXPECT_EQ(tasks[0].ordinal, 1u);
  EXPECT_EQ(tasks[0].base, "jobs/job/models/0");
  EXPECT_EQ(tasks[0].base_digest, Hex64(1));
  EXPECT_EQ(tasks[0].output, "jobs/job/rounds/1/updates/site/1");
  EXPECT_EQ(world.Tasks(b)[0].ordinal, 0u);
}

TEST(Round, InputsAreInOrderOfNameAndWeightedBySamples) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  world.Work(agg);
  world.Work(b);  // finishes first
  world.Work(a);
  const auto tasks = world.Tasks(agg);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].generation, 1u);
  ASSERT_EQ(tasks[0].inputs.size(), 2u);
  EXPECT_EQ(tasks[0].inputs[0].object, "jobs/job/rounds/1/updates/site/0");
  EXPECT_DOUBLE_EQ(tasks[0].inputs[0].weight, 10.0 / 30);
  EXPECT_DOUBLE_EQ(tasks[0].inputs[1].weight, 20.0 / 30);
  EXPECT_EQ(tasks[0].first_slot, 0u);
  EXPECT_EQ(tasks[0].end_slot, World::kSlots);
}

TEST(Round, SplitsTheSlotsAmongAggregators) {
  World world(World::TwoSeats(1));
  ASSERT_TRUE(world.Submit().ok());
  std::vector<std::string> all;
  for (int i = 0; i < 3; ++i) all.push_back(world.Connect(World::Aggregator(fmt::format("agg-{}", i))));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  world.RunTo("train", 1, all);
  world.Work(a);
  world.Work(b);
  std::uint64_t slots = 0;
  for (const auto& key : all) {
    const auto tasks = world.Tasks(key);
    ASSERT_EQ(tasks.size(), 1u);
    slots += tasks[0].end_slot - tasks[0].first_slot;
  }
  EXPECT_EQ(slots, World::kSlots);
  all.push_back(a);
  all.push_back(b);
  world.RunAll(all);
  EXPECT_EQ(world.Status().state, "completed");
}

TEST(Round, TellsWorkersAtOnceWhenTheirTasksChange) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  for (const auto& key : {agg, a, b}) (void)world.Tasks(key);  // told
  world.Heartbeat(a);
  EXPECT_TRUE(world.changed.empty());
  world.Work(agg);
  EXPECT_EQ(world.changed, (std::vector<std::string>{"agg-0", "site/a", "site/b"}));
}

TEST(Round, RemovesUpdatesAndOldModels) {
  job::Job spec = World::TwoSeats(5);
  spec.checkpoint = {2, 1};
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  world.RunAll({agg, a, b});
  for (int i = 0; i < 5; ++i) world.Work(agg);
  std::vector<std::string> left;
  for (const auto& [object, digest] : world.store.sealed) left.push_back(object);
  EXPECT_EQ(left, (std::vector<std::string>{"jobs/job/models/4", "jobs/job/models/5"}));
  EXPECT_TRUE(world.journal.tasks.empty());
}

TEST(Round, KeepsTheModelOfTheLowestLoss) {
  job::Job spec = World::TwoSeats(5);
  spec.checkpoint.best = true;
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  world.RunAll({agg, a, b});
  for (int i = 0; i < 5; ++i) world.Work(agg);
  std::vector<std::string> left;
  for (const auto& [object, digest] : world.store.sealed) left.push_back(object);
  // All rounds report the same loss: the first is the best.
  EXPECT_EQ(left, (std::vector<std::string>{"jobs/job/models/1", "jobs/job/models/5"}));
}

TEST(Round, SaysWhatItWaitsFor) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  EXPECT_EQ(world.Status().message, "");
  world.Wait(Duration(11'000));
  EXPECT_NE(world.Status().message.find("waiting for an aggregator"), std::string::npos);
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  world.WaitWith(Duration(12'000), {agg, a});
  EXPECT_EQ(world.Status().message, "waiting for 1 more trainer (1 of 2 seats taken)");
  EXPECT_TRUE(world.Noted("waiting for 1 more trainer"));
}

TEST(Round, ATrainerThatCannotEncodeGetsNoSeatAndTheStatusSaysWhy) {
  job::Job spec = World::TwoSeats();
  spec.transfer.encoding = tensor::Encoding::kNf4;
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  auto hello = World::Trainer("old");
  hello.encodings = {0, 1, 2, 3};
  const auto old = world.Connect(hello);
  EXPECT_EQ(world.federation->AssignmentOf(old).seat, "");
  world.WaitWith(Duration(12'000), {agg, old});
  EXPECT_NE(world.Status().message.find("trainer site/old cannot join: it cannot send updates as nf4 (transfer.encoding)"), std::string::npos)
      << world.Status().message;
  hello = World::Trainer("new");
  hello.encodings = {0, 4};
  EXPECT_EQ(world.federation->AssignmentOf(world.Connect(hello)).seat, "site/0");
}

TEST(Round, TellsTheLargestEncodingErrorOfItsSeats) {
  job::Job spec = World::TwoSeats(1);
  spec.transfer.encoding = tensor::Encoding::kInt8;
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  std::vector<std::string> keys{world.Connect(World::Aggregator("agg-0"))};
  for (const char* name : {"a", "b"}) {
    auto hello = World::Trainer(name);
    hello.encodings = {0, 3};
    keys.push_back(world.Connect(hello));
  }
  world.RunAll(keys);
  ASSERT_EQ(world.Status().state, "completed");
  EXPECT_EQ((world.done.at({"job", 1}).metrics.at("encoding_error")), 0.5);
}

TEST(Round, ATrainerWithoutTheDataGetsNoSeat) {
  job::Job spec = World::TwoSeats();
  spec.model.family = "gpt2";
  spec.data.name = "imdb";
  spec.data.path = "/srv/imdb";  // for `tributary run`, which tells its trainers; nobody else has it
  spec.participants.min = 1;
  spec.participants.quorum = 1;
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  EXPECT_EQ(world.federation->AssignmentOf(a).seat, "");
  world.WaitWith(Duration(12'000), {agg, a});
  EXPECT_NE(world.Status().message.find("--data imdb=PATH"), std::string::npos);
  auto hello = World::Trainer("b");
  hello.data = {"imdb"};
  const auto b = world.Connect(hello);
  EXPECT_EQ(world.federation->AssignmentOf(b).seat, "site/0");
  // A model that is no synthetic one is made by a trainer.
  ASSERT_EQ(world.Tasks(b).size(), 1u);
  EXPECT_EQ(world.Tasks(b)[0].task, "job.r0.init.0");
  world.RunAll({agg, b});
  EXPECT_EQ(world.Status().state, "completed");
}

TEST(Jobs, RunOneAfterTheOther) {
  World world(World::TwoSeats(1));
  ASSERT_TRUE(world.Submit("one").ok());
  ASSERT_TRUE(world.Submit("two").ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  const auto b = world.Connect(World::Trainer("b"));
  EXPECT_EQ(world.Status("two").state, "queued");
  for (int i = 0; i < 20; ++i) {
    for (const auto& key : {agg, a, b}) world.Work(key);
  }
  EXPECT_EQ(world.Status("one").state, "completed");
  EXPECT_EQ(world.Status("two").state, "completed");
  const auto list = world.federation->Jobs();
  ASSERT_EQ(list.jobs.size(), 2u);
  EXPECT_EQ(list.jobs[0].job, "two");
}

TEST(Jobs, SubmitTwiceAttachesOnlyWithResumeAndTheSameText) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  EXPECT_EQ(world.Submit().error().code(), Code::kAlreadyExists);
  EXPECT_EQ(world.Submit("job", true, "other").error().code(), Code::kAlreadyExists);
  const auto again = world.Submit("job", true);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->resumed);
}

TEST(Jobs, NoMoreThan64WaitInTheQueue) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit("first").ok());
  int queued = 0;
  while (queued < 200 && world.Submit(fmt::format("job-{}", queued)).ok()) ++queued;
  EXPECT_EQ(std::count_if(world.journal.jobs.begin(), world.journal.jobs.end(),
                          [](const auto& entry) { return entry.second.state == JobState::kQueued; }),
            64);
  const auto refused = world.Submit("late");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kResourceExhausted);
  EXPECT_NE(refused.error().message().find("wait for one to begin, or stop one"), std::string::npos);
  EXPECT_EQ(world.journal.jobs.count("late"), 0u);
  // A job that is known already may still be attached to.
  EXPECT_TRUE(world.Submit("job-0", true).ok());
  ASSERT_TRUE(world.federation->Stop("job-0", world.now).ok());
  world.Flush();
  EXPECT_TRUE(world.Submit("late").ok());
}

TEST(Jobs, ABadJobIsRefusedAndNothingChanges) {
  World world(World::TwoSeats());
  EXPECT_EQ(world.Submit("job", false, "bad").error().message(), "the job is bad");
  EXPECT_EQ(world.Submit("../job").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(world.Submit("job", false, std::string(50'000, 'x')).error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(world.journal.jobs.empty());
}

TEST(Jobs, StopEndsTheJobAndRemovesItsUpdates) {
  World world(World::TwoSeats());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto a = world.Connect(World::Trainer("a"));
  world.Connect(World::Trainer("b"));
  world.Work(agg);
  world.Work(a);
  EXPECT_EQ(world.federation->Stop("none", world.now).error().code(), Code::kNotFound);
  ASSERT_EQ(world.federation->Stop("job", world.now)->state, "stopped");
  world.Flush();
  EXPECT_TRUE(world.Tasks(a).empty());
  ASSERT_EQ(world.Tasks(agg).size(), 1u);
  EXPECT_EQ(world.Tasks(agg)[0].kind, static_cast<std::uint32_t>(wire::TaskKind::kRemove));
  EXPECT_EQ(world.Status().phase, "remove");
  world.Work(agg);
  EXPECT_EQ(world.Status().phase, "done");
  EXPECT_EQ(world.store.sealed.size(), 1u);
  EXPECT_EQ(world.store.sealed.count("jobs/job/models/0"), 1u);
  EXPECT_EQ(world.federation->Stop("job", world.now)->state, "stopped");
}

TEST(Jobs, ARoundWhoseInputsDoNotFitAFrameIsRefused) {
  job::Job spec = World::TwoSeats();
  spec.data.count = 2000;
  spec.participants.min = 1500;
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  for (int i = 0; i < 1500; ++i) world.Connect(World::Trainer(fmt::format("t{}", i)));
  world.Work(agg);
  EXPECT_EQ(world.Status().state, "failed");
  EXPECT_NE(world.Status().message.find("lower participants.fraction"), std::string::npos);
}

}  // namespace
}  // namespace tributary::federation
