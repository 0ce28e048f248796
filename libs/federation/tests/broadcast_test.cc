// Jobs whose trainers download an encoded form of the model: who reads what, which digests are told, what is removed when.
#include <gmock/gmock.h>

#include "world.h"

namespace tributary::federation {
namespace {

using testing::HasSubstr;

job::Job Encoded(std::uint32_t rounds = 2, bool validate = true) {
  job::Job spec = World::TwoSeats(rounds);
  spec.transfer.broadcast = tensor::Encoding::kInt8;
  spec.validate = validate;
  return spec;
}

wire::Hello Able(const std::string& instance, std::int64_t ordinal) {
  auto hello = World::Trainer(instance, ordinal);
  hello.encodings = {0, 1, 2, 3, 4};
  return hello;
}

std::vector<std::string> Join(World& world) {
  return {world.Connect(World::Aggregator("agg-0")), world.Connect(World::Aggregator("agg-1")), world.Connect(Able("a", 0)),
          world.Connect(Able("b", 1))};
}

TEST(Imports, AreTheObjectsThatTheTextNamesWithoutTheirDigests) {
  job::Job spec = World::TwoSeats();
  World plain(spec);
  ASSERT_TRUE(plain.Submit().ok());
  EXPECT_THAT(plain.federation->ImportsOf("job"), testing::IsEmpty());
  EXPECT_THAT(plain.federation->ImportsOf("no-such-job"), testing::IsEmpty());
  spec.model.object = "models/base@" + std::string(64, 'a');
  spec.model.tokenizer_object = "models/base.tokenizer@" + std::string(64, 'b');
  World imported(spec);
  ASSERT_TRUE(imported.Submit().ok());
  EXPECT_THAT(imported.federation->ImportsOf("job"), testing::ElementsAre("models/base", "models/base.tokenizer"));
}

TEST(Broadcast, TrainersReadItAndAggregatorsReadTheModel) {
  World world(Encoded());
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  const auto init = world.Tasks(keys[0]);
  ASSERT_EQ(init.size(), 1u);
  EXPECT_EQ(init[0].output, "jobs/job/models/0");
  EXPECT_EQ(init[0].broadcast, "jobs/job/broadcasts/0");
  ASSERT_TRUE(world.RunTo("train", 1, keys));
  const auto train = world.Tasks(keys[2]);
  ASSERT_EQ(train.size(), 1u);
  EXPECT_EQ(train[0].base, "jobs/job/broadcasts/0");
  EXPECT_EQ(train[0].base_digest, world.store.sealed.at("jobs/job/broadcasts/0"));
  EXPECT_EQ(train[0].broadcast, "");
  ASSERT_TRUE(world.RunTo("aggregate", 1, {keys[2], keys[3]}));
  for (const int i : {0, 1}) {
    const auto part = world.Tasks(keys[i]);
    ASSERT_FALSE(part.empty());
    EXPECT_EQ(part[0].base, "jobs/job/models/0");
    EXPECT_EQ(part[0].base_digest, world.store.sealed.at("jobs/job/models/0"));
    EXPECT_EQ(part[0].trained_from, world.store.sealed.at("jobs/job/broadcasts/0"));
    EXPECT_EQ(part[0].broadcast, "jobs/job/broadcasts/1");
  }
  ASSERT_TRUE(world.RunTo("validate", 1, keys));
  const auto validate = world.Tasks(keys[3]);
  ASSERT_EQ(validate.size(), 1u);
  EXPECT_EQ(validate[0].base, "jobs/job/broadcasts/1");
}

TEST(Broadcast, ItsErrorIsToldOfTheRoundThatTrainedFromIt) {
  World world(Encoded());
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  world.RunAll(keys);
  ASSERT_EQ(world.Status().state, "completed");
  EXPECT_EQ(world.done.at({"job", 1}).metrics.at("broadcast_error"), 0.5);  // of the first model
  // Parts of 4 and 3 slots: their sums are added.
  EXPECT_EQ(world.done.at({"job", 2}).metrics.at("broadcast_error"), std::sqrt((1.0 + 5.0) / 200));
}

TEST(Broadcast, OldOnesGoWithTheNextSealAndTheLastAtTheEnd) {
  job::Job spec = Encoded(3);
  spec.checkpoint = {1, 5, true};
  World world(spec);
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  ASSERT_TRUE(world.RunTo("train", 2, keys));
  for (int i = 0; i < 3; ++i) world.Work(keys[0]);
  EXPECT_FALSE(world.store.sealed.contains("jobs/job/broadcasts/0"));
  EXPECT_TRUE(world.store.sealed.contains("jobs/job/broadcasts/1"));
  world.RunAll(keys);
  ASSERT_EQ(world.Status().state, "completed");
  for (int i = 0; i < 3; ++i) {
    for (const auto& key : keys) world.Work(key);
  }
  for (const auto& [object, digest] : world.store.sealed) EXPECT_THAT(object, HasSubstr("/models/"));
  EXPECT_TRUE(world.store.sealed.contains("jobs/job/models/1")) << "a kept model keeps no broadcast, and stays";
}

TEST(Broadcast, TheLastRoundMakesNoneWhereNobodyReadsIt) {
  World world(Encoded(1, /*validate=*/false));
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  ASSERT_TRUE(world.RunTo("aggregate", 1, {keys}));
  EXPECT_EQ(world.Tasks(keys[0])[0].broadcast, "");
  world.RunAll(keys);
  ASSERT_EQ(world.Status().state, "completed");
  for (int i = 0; i < 3; ++i) world.Work(keys[0]), world.Work(keys[1]);
  for (const auto& [object, digest] : world.store.sealed) EXPECT_THAT(object, HasSubstr("/models/"));
}

TEST(Broadcast, AStoppedJobLeavesTheNewestAlone) {
  World world(Encoded());
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  ASSERT_TRUE(world.RunTo("train", 2, keys));
  ASSERT_TRUE(world.federation->Stop("job", world.now).ok());
  world.Flush();
  for (int i = 0; i < 4; ++i) world.Work(keys[0]), world.Work(keys[1]);
  EXPECT_TRUE(world.store.sealed.contains("jobs/job/broadcasts/1")) << "the job may go on";
  for (const auto& [object, digest] : world.store.sealed) EXPECT_TRUE(object.find("/broadcasts/") == std::string::npos || object.ends_with("/1")) << object;
}

TEST(Broadcast, ASealWithoutItsDigestCannotBeUsed) {
  World world(Encoded());
  ASSERT_TRUE(world.Submit().ok());
  const auto keys = Join(world);
  const auto task = world.Tasks(keys[0])[0];
  wire::Report report;
  report.tasks.push_back(world.Do(task));
  report.tasks[0].broadcast_digest.clear();
  world.Send(keys[0], report);
  EXPECT_TRUE(world.Noted("the digest of its broadcast is no SHA-256"));
}

TEST(Broadcast, ATrainerThatCannotReadItGetsNoSeatAndTheStatusSaysWhy) {
  World world(Encoded());
  ASSERT_TRUE(world.Submit().ok());
  const auto agg = world.Connect(World::Aggregator("agg-0"));
  const auto old = world.Connect(World::Trainer("old"));
  EXPECT_EQ(world.federation->AssignmentOf(old).seat, "");
  world.WaitWith(Duration(12'000), {agg, old});
  EXPECT_THAT(world.Status().message, HasSubstr("trainer site/old cannot join: it cannot read models as int8 (transfer.broadcast)"));
}

TEST(Broadcast, ACrashAtAnyStepTellsTheSameDigests) {
  World quiet(Encoded(3));
  ASSERT_TRUE(quiet.Submit().ok());
  quiet.RunAll(Join(quiet));
  ASSERT_EQ(quiet.Status().state, "completed");
  for (int every = 1; every < 5; ++every) {
    World world(Encoded(3));
    ASSERT_TRUE(world.Submit().ok());
    const auto keys = Join(world);
    for (int step = 0; step < 200 && world.Status().state == "running"; ++step) {
      world.Work(keys[static_cast<std::size_t>(step) % keys.size()]);
      if (step % every == 0) world.Crash();
      for (const auto& key : keys) world.Heartbeat(key);
    }
    ASSERT_EQ(world.Status().state, "completed") << every;
    for (const auto& [key, round] : quiet.done) {
      EXPECT_EQ(world.done.at(key).digest, round.digest);
      EXPECT_EQ(world.done.at(key).broadcast_digest, round.broadcast_digest);
      EXPECT_EQ(world.done.at(key).broadcast_error, round.broadcast_error);
    }
  }
}

}  // namespace
}  // namespace tributary::federation
