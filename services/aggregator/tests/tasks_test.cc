#include "services/aggregator/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <future>
#include <limits>
#include <span>

#include "services/aggregator/reduce_task.h"
#include "sole_owner_store.h"
#include "tributary/base/random.h"
#include "tributary/blob/local_store.h"

namespace tributary::aggregator {
namespace {

using testing::HasSubstr;

constexpr const char* kSynthetic = R"(
name: synthetic
rounds: 1
model: {family: synthetic, bytes: 100KiB, tensors: 3, dtype: f32, fill: random, seed: 4}
data: {name: none, format: synthetic, partition: {count: 2}}
transfer: {chunk_bytes: 4KiB}
)";

class Progress final : public session::TaskProgress {
 public:
  void Phase(const std::string& name, std::uint64_t all, const std::string&) override {
    phase = name;
    total = all;
    done = 0;
  }
  void Done(std::uint64_t now) override {
    done = now;
    if (stop_at != 0 && done >= stop_at) stop.request_stop();
  }
  void Metric(const std::string&, double) override {}
  void Bytes(std::uint64_t bytes_up, std::uint64_t bytes_down) override {
    up = bytes_up;
    down = bytes_down;
  }
  std::string phase;
  std::uint64_t total = 0, done = 0, up = 0, down = 0, stop_at = 0;
  std::stop_source stop;
};

class AggregatorTasksTest : public testing::Test {
 protected:
  AggregatorTasksTest()
      : pool_(64_MiB), store_(blob::MakeMemoryStore(pool_)), tasks_([this](const session::TaskContext&) {
          return Result<std::shared_ptr<blob::BlobStore>>(store_);
        }) {}

  Result<session::TaskResult> Run(const wire::TaskSpec& spec, const std::string& job_text = kSynthetic) {
    progress_.stop = std::stop_source();
    const std::vector<std::string> endpoints;
    return tasks_.Run({spec, job_text, endpoints, progress_, progress_.stop.get_token()});
  }

  wire::TaskSpec Task(wire::TaskKind kind) {
    wire::TaskSpec spec;
    spec.task = "t";
    spec.kind = static_cast<std::uint32_t>(kind);
    spec.job = "j";
    return spec;
  }

  // Writes a whole object of float tensors.
  void Put(const std::string& name, const wire::ObjectSpec& spec, const std::vector<float>& values, bool seal = true) {
    const auto object = ObjectName::Trusted(name);
    ASSERT_TRUE(store_->Create(object, spec, false).ok());
    const auto layout = tensor::Layout::Make(spec.tensors, spec.chunk_bytes);
    auto writer = store_->Write({});
    ASSERT_TRUE(writer.ok());
    std::uint64_t at = 0;
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto bytes = layout->SlotBytes(slot);
      auto chunk = (*writer)->Allocate(bytes);
      ASSERT_TRUE(chunk.ok());
      std::memcpy((*chunk)->payload().data(), values.data() + at, bytes);
      at += bytes / 4;
      ASSERT_TRUE((*writer)->Put(object, slot, std::move(*chunk)).ok());
    }
    ASSERT_TRUE((*writer)->Flush().ok());
    if (seal) {
      ASSERT_TRUE(store_->Seal(object, 0, false).ok());
    }
  }

  std::vector<float> Get(const std::string& name) {
    const auto object = ObjectName::Trusted(name);
    const auto info = store_->Stat(object);
    EXPECT_TRUE(info.ok());
    auto reader = store_->Read(blob::SlotsOf(object, {0, info->slots}), {});
    EXPECT_TRUE(reader.ok());
    std::vector<float> values;
    for (;;) {
      auto chunk = (*reader)->Next();
      EXPECT_TRUE(chunk.ok()) << chunk.error().message();
      if (!chunk.ok() || !*chunk) return values;
      const auto bytes = (*chunk)->bytes;
      const std::size_t at = values.size();
      values.resize(at + bytes.size() / 4);
      std::memcpy(values.data() + at, bytes.data(), bytes.size());
    }
  }

  // A model of two tensors and three updates of it.
  void MakeRound(std::uint64_t elements = 5000) {
    spec_.tensors = {{"a", tensor::DType::kF32, {elements - 10}}, {"b", tensor::DType::kF32, {10}}};
    spec_.chunk_bytes = 4096;
    spec_.info = "{}";
    Put("base", spec_, std::vector<float>(elements, 0.0f));
    wire::ObjectSpec update = spec_;
    update.kind = wire::ObjectKind::kUpdate;
    update.base_digest = DigestOf("base");
    SplitMix64 random(5);
    for (int k = 0; k < 3; ++k) {
      std::vector<float> values(elements);
      for (float& value : values) value = static_cast<float>(random.NextUnit() * 2 - 1);
      update.sample_count = static_cast<std::uint64_t>(k) + 1;
      Put("u" + std::to_string(k), update, values);
      updates_.push_back(std::move(values));
    }
    aggregate_ = Task(wire::TaskKind::kAggregate);
    aggregate_.base = "base";
    aggregate_.output = "model";
    aggregate_.generation = 3;
    aggregate_.base_digest = DigestOf("base");
    aggregate_.inputs = {{"u0", 1.0 / 6, DigestOf("u0")}, {"u1", 2.0 / 6, DigestOf("u1")}, {"u2", 3.0 / 6, DigestOf("u2")}};
  }

  std::string DigestOf(const std::string& name) { return store_->Stat(ObjectName::Trusted(name))->digest; }

  // An update of the base that differs from a good one only by what `change` does to it, in place of u1.
  void ReplaceSecond(const std::function<void(wire::ObjectSpec&, std::vector<float>&)>& change, bool seal = true) {
    wire::ObjectSpec update = spec_;
    update.kind = wire::ObjectKind::kUpdate;
    update.base_digest = aggregate_.base_digest;
    std::vector<float> values(5000, 0.5f);
    change(update, values);
    Put("bad", update, values, seal);
    aggregate_.inputs[1] = {"bad", 2.0 / 6, DigestOf("bad")};
  }
  // Why the aggregation is refused for good.
  std::string Refusal() {
    const auto result = Run(aggregate_);
    EXPECT_FALSE(result.ok());
    if (result.ok()) return "";
    EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
    return result.error().message();
  }

  memory::Pool pool_;
  std::shared_ptr<blob::SlotStore> store_;
  AggregatorTasks tasks_;
  Progress progress_;
  wire::ObjectSpec spec_;
  std::vector<std::vector<float>> updates_;
  wire::TaskSpec aggregate_;
};

TEST_F(AggregatorTasksTest, InitWritesTheBroadcastBesideTheModelAndCompletesWhatIsMissing) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m";
  std::string job = kSynthetic;
  job.replace(job.find("4KiB}"), 5, "4KiB, broadcast: int8}");
  const auto plain = Run(init, job);
  ASSERT_TRUE(plain.ok()) << plain.error().message();
  EXPECT_EQ(plain->broadcast_digest, "");
  // The model is there and sealed; its broadcast is not, as after a kill.
  init.broadcast = "b";
  const auto late = Run(init, job);
  ASSERT_TRUE(late.ok()) << late.error().message();
  EXPECT_EQ(late->digest, plain->digest);
  init.output = "m2";
  init.broadcast = "b2";
  const auto both = Run(init, job);
  ASSERT_TRUE(both.ok()) << both.error().message();
  EXPECT_EQ(both->digest, plain->digest);
  EXPECT_EQ(both->broadcast_digest, late->broadcast_digest);
  EXPECT_EQ(both->broadcast_digest.size(), 64u);
  EXPECT_GT(both->metrics.at("broadcast_lost"), 0);
  EXPECT_EQ(store_->Spec(ObjectName::Trusted("b2"))->encoding, tensor::Encoding::kInt8);
}

TEST_F(AggregatorTasksTest, AggregateThenSealGivesTheWeightedMean) {
  MakeRound();
  const auto result = Run(aggregate_);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(progress_.phase, "aggregate");
  EXPECT_EQ(progress_.done, progress_.total);
  EXPECT_EQ(progress_.down, 3u * 5000 * 4);
  EXPECT_EQ(progress_.up, 5000u * 4);

  auto seal = Task(wire::TaskKind::kSeal);
  seal.output = "model";
  seal.generation = 3;
  const auto sealed = Run(seal);
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  EXPECT_EQ(sealed->digest.size(), 64u);
  EXPECT_EQ(sealed->slots, 5u);

  const auto spec = store_->Spec(ObjectName::Trusted("model"));
  EXPECT_EQ(spec->info, "{}");
  EXPECT_EQ(spec->kind, wire::ObjectKind::kModel);
  const auto model = Get("model");
  ASSERT_EQ(model.size(), 5000u);
  for (std::size_t i = 0; i < model.size(); ++i) {
    double mean = 0;
    double bound = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      mean += (static_cast<double>(k) + 1) / 6 * updates_[k][i];
      bound += (static_cast<double>(k) + 1) / 6 * std::abs(updates_[k][i]);
    }
    ASSERT_LE(std::abs(model[i] - mean), 1e-6 * bound) << i;
  }
}

TEST_F(AggregatorTasksTest, PartsOfSeveralWorkersAreTheSameBytesAsOne) {
  MakeRound();
  ASSERT_TRUE(Run(aggregate_).ok());
  auto whole = Task(wire::TaskKind::kSeal);
  whole.output = "model";
  whole.generation = 3;
  const auto digest = Run(whole);
  for (const auto& [first, end] : {std::pair{3u, 5u}, {0u, 1u}, {1u, 3u}}) {
    aggregate_.output = "parts";
    aggregate_.first_slot = first;
    aggregate_.end_slot = end;
    ASSERT_TRUE(Run(aggregate_).ok());
    EXPECT_EQ(progress_.total, end - first);
  }
  whole.output = "parts";
  EXPECT_EQ(Run(whole)->digest, digest->digest);
}

TEST_F(AggregatorTasksTest, GoesOnWhereAKilledWorkerStopped) {
  MakeRound();
  progress_.stop_at = 2;
  const auto stopped = Run(aggregate_);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code(), Code::kCancelled);
  progress_.stop_at = 0;
  ASSERT_TRUE(Run(aggregate_).ok());
  EXPECT_LT(progress_.down, 3u * 5000 * 4);
  EXPECT_EQ(progress_.done, 5u);
  // All there: nothing is read any more.
  progress_.down = 0;
  ASSERT_TRUE(Run(aggregate_).ok());
  EXPECT_EQ(progress_.down, 0u);
  EXPECT_EQ(progress_.done, 5u);
}

TEST_F(AggregatorTasksTest, ANewGenerationReplacesTheOldResult) {
  MakeRound();
  ASSERT_TRUE(Run(aggregate_).ok());
  aggregate_.generation = 4;
  aggregate_.inputs = {{"u1", 1.0, DigestOf("u1")}};
  ASSERT_TRUE(Run(aggregate_).ok());
  auto seal = Task(wire::TaskKind::kSeal);
  seal.output = "model";
  seal.generation = 4;
  ASSERT_TRUE(Run(seal).ok());
  EXPECT_EQ(Get("model"), updates_[1]);
}

TEST_F(AggregatorTasksTest, RefusesAnUpdateOfAnotherLayout) {
  MakeRound();
  wire::ObjectSpec other = spec_;
  other.kind = wire::ObjectKind::kUpdate;
  other.tensors[0].name = "another";
  Put("foreign", other, std::vector<float>(5000, 1.0f));
  aggregate_.inputs.push_back({"foreign", 0.0, DigestOf("foreign")});
  const auto result = Run(aggregate_);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("update foreign has another layout than the model base"));
}

TEST_F(AggregatorTasksTest, RefusesAnUpdateThatIsNotSealed) {
  MakeRound();
  ReplaceSecond([](auto&, auto&) {}, /*seal=*/false);
  aggregate_.inputs[1].digest = DigestOf("u1");
  EXPECT_THAT(Refusal(), HasSubstr("update bad is not sealed"));
}

TEST_F(AggregatorTasksTest, SlotsAreReducedAsTheyCome) {
  MakeRound();
  wire::ObjectSpec update = spec_;
  update.kind = wire::ObjectKind::kUpdate;
  update.base_digest = aggregate_.base_digest;
  const auto coming = ObjectName::Trusted("coming");
  ASSERT_TRUE(store_->Create(coming, update, false).ok());
  aggregate_.inputs = {{"coming", 0.5, ""}, {"u1", 0.5, DigestOf("u1")}};
  const auto model = ObjectName::Trusted("model");
  ASSERT_TRUE(store_->Create(model, spec_, false).ok());
  auto running = std::async(std::launch::async, [&] { return Run(aggregate_); });
  for (std::uint64_t slot = 0; slot < 5; ++slot) {
    auto writer = store_->Write({});
    auto chunk = (*writer)->Allocate(tensor::Layout::Make(spec_.tensors, spec_.chunk_bytes)->SlotBytes(slot));
    std::ranges::copy(std::as_bytes(std::span(updates_[0])).subspan(slot * 4096, (*chunk)->payload().size()), (*chunk)->payload().begin());
    ASSERT_TRUE((*writer)->Put(coming, slot, std::move(*chunk)).ok());
    // Nothing more of the update comes before this slot's mean is there.
    blob::ReadOptions reading;
    reading.min_generation = 3;
    reading.wait = Duration(60'000);
    ASSERT_TRUE((*store_->Read(blob::SlotsOf(model, {slot, slot + 1}), reading))->Next().ok());
  }
  ASSERT_TRUE(running.get().ok());
  std::vector<float> mean(5000);
  for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = 0.5f * updates_[0][i] + 0.5f * updates_[1][i];
  EXPECT_EQ(Get("model"), mean);

  // The seal looks at the updates once more.
  auto seal = Task(wire::TaskKind::kSeal);
  seal.output = "model";
  seal.generation = 3;
  seal.base = aggregate_.base;
  seal.base_digest = aggregate_.base_digest;
  seal.inputs = {{"coming", 1.0, DigestOf("u0")}};
  EXPECT_THAT(Run(seal).error().message(), HasSubstr("update coming is not sealed"));
  ASSERT_TRUE(store_->Seal(coming, 0, false).ok());
  EXPECT_THAT(Run(seal).error().message(), HasSubstr("update coming has digest " + DigestOf("coming") + ", its trainer reported"));
  EXPECT_EQ(store_->Stat(model)->digest, "");
  seal.inputs = {{"coming", 1.0, DigestOf("coming")}};
  EXPECT_TRUE(Run(seal).ok());
}

TEST_F(AggregatorTasksTest, RefusesAnOpenUpdateWhoseSlotsCouldChange) {
  MakeRound();
  ReplaceSecond([](auto& spec, auto&) { spec.kind = wire::ObjectKind::kOther; }, /*seal=*/false);
  EXPECT_THAT(Refusal(), HasSubstr("update bad was not made as one"));
}

TEST_F(AggregatorTasksTest, RefusesAnUpdateOfAnotherDigestThanItsTrainerReported) {
  MakeRound();
  ReplaceSecond([](auto&, auto&) {});
  aggregate_.inputs[1].digest = DigestOf("u0");
  EXPECT_THAT(Refusal(), HasSubstr("update bad has digest " + DigestOf("bad") + ", its trainer reported " + DigestOf("u0")));
}

TEST_F(AggregatorTasksTest, RefusesAnUpdateMadeFromAnotherModel) {
  MakeRound();
  ReplaceSecond([this](auto& spec, auto&) { spec.base_digest = DigestOf("u0"); });
  EXPECT_THAT(Refusal(), HasSubstr("update bad was made from a model of digest '" + DigestOf("u0") + "'"));
}

TEST_F(AggregatorTasksTest, RefusesABaseThatIsNotTheCoordinators) {
  MakeRound();
  aggregate_.base_digest = std::string(64, '0');
  EXPECT_EQ(Run(aggregate_).error().code(), Code::kConflict);
}

TEST_F(AggregatorTasksTest, AnUpdateThatIsNotFiniteIsNamedWithItsSlot) {
  MakeRound();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    // Of a kind that a store does not look into, as somebody may choose who means harm.
    ReplaceSecond([bad](auto& spec, auto& values) {
      spec.kind = wire::ObjectKind::kOther;
      values[1500] = bad;
    });
    EXPECT_THAT(Refusal(), HasSubstr("slot 1 of bad: its element 476 makes the sum"));
    ASSERT_TRUE(store_->Remove(ObjectName::Trusted("bad")).ok());
  }
  // Without it the round goes on.
  aggregate_.generation = 4;
  aggregate_.inputs = {{"u1", 1.0, DigestOf("u1")}};
  ASSERT_TRUE(Run(aggregate_).ok());
  EXPECT_EQ(Get("model"), updates_[1]);
}

TEST_F(AggregatorTasksTest, ResultsArePutBySoleOwnership) {
  MakeRound();
  SoleOwnerStore watched(store_);
  ASSERT_TRUE(Reduce(watched, aggregate_, {}, progress_, {}).ok());
  EXPECT_EQ(watched.puts, 5);
  EXPECT_EQ(watched.shared_puts, 0);
}

TEST_F(AggregatorTasksTest, RefusesWeightsThatDoNotAddUp) {
  MakeRound();
  aggregate_.inputs[0].weight = 5;
  EXPECT_THAT(Run(aggregate_).error().message(), HasSubstr("expected 1"));
  aggregate_.inputs.clear();
  EXPECT_FALSE(Run(aggregate_).ok());
}

TEST_F(AggregatorTasksTest, RefusesSlotsThatAreNotThere) {
  MakeRound();
  aggregate_.end_slot = 6;
  EXPECT_THAT(Run(aggregate_).error().message(), HasSubstr("slots 0 to 6 are asked of base, which has 5"));
}

TEST_F(AggregatorTasksTest, RefusesNamesThatAreNone) {
  MakeRound();
  aggregate_.output = "../etc/passwd";
  EXPECT_EQ(Run(aggregate_).error().code(), Code::kInvalidArgument);
}

TEST_F(AggregatorTasksTest, AMissingUpdateIsNamed) {
  MakeRound();
  aggregate_.inputs[1].object = "gone";
  const auto result = Run(aggregate_);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kNotFound);
  EXPECT_THAT(result.error().message(), HasSubstr("gone"));
}


TEST_F(AggregatorTasksTest, InitMakesASyntheticModelAndSealsIt) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "jobs/j/models/0";
  const auto result = Run(init, kSynthetic);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->slots, 25u);
  EXPECT_EQ(result->digest.size(), 64u);
  const auto again = Run(init, kSynthetic);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again->digest, result->digest);
  init.output = "elsewhere";
  EXPECT_EQ(Run(init, kSynthetic)->digest, result->digest);
  EXPECT_EQ(Get("elsewhere").size(), 25600u);
  EXPECT_FALSE(store_->Spec(ObjectName::Trusted("elsewhere"))->repetitive);
}

TEST_F(AggregatorTasksTest, ATiledModelAndWhatIsMadeFromItAreKeptAsRepetitive) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "tiled";
  std::string text = kSynthetic;
  text.replace(text.find("fill: random"), 12, "fill: tiled, distinct: 8KiB");
  const auto result = Run(init, text);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_TRUE(store_->Spec(ObjectName::Trusted("tiled"))->repetitive);
  spec_.repetitive = true;
  MakeRound();
  ASSERT_TRUE(Run(aggregate_).ok());
  EXPECT_TRUE(store_->Spec(ObjectName::Trusted("model"))->repetitive);
}

TEST_F(AggregatorTasksTest, InitRefusesAModelThatNeedsATrainer) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m";
  const std::string text = R"(
name: real
rounds: 1
model: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 128}
data: {name: fortunes, format: text, partition: {scheme: by-file, count: 2}}
)";
  const auto result = Run(init, text);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("synthetic jobs only"));
}

TEST_F(AggregatorTasksTest, RemoveTakesObjectsAwayAndDoesNotMindAbsentOnes) {
  MakeRound();
  auto remove = Task(wire::TaskKind::kRemove);
  remove.objects = {"u0", "u1", "never-was"};
  ASSERT_TRUE(Run(remove).ok());
  EXPECT_EQ(store_->Stat(ObjectName::Trusted("u0")).error().code(), Code::kNotFound);
  EXPECT_TRUE(store_->Stat(ObjectName::Trusted("u2")).ok());
}

TEST_F(AggregatorTasksTest, RefusesATrainersTask) {
  EXPECT_EQ(Run(Task(wire::TaskKind::kTrain)).error().code(), Code::kProtocol);
}

}  // namespace
}  // namespace tributary::aggregator
