#include "services/trainer/synthetic_task.h"

#include <gmock/gmock.h>

#include <cstring>

#include "task_fixture.h"
#include "tributary/broadcast/broadcast.h"
#include "tributary/encoding/encoding.h"

namespace tributary::trainer {
namespace {

using tensor::DType;
using testing::HasSubstr;

constexpr const char* kJob = R"(
name: synthetic
rounds: 1
model: {family: synthetic, bytes: 40000, tensors: 2, dtype: f32, fill: random, seed: 4}
data: {name: none, format: synthetic, partition: {count: 2}}
transfer: {chunk_bytes: 4KiB}
)";

class SyntheticTask : public TaskFixture {
 protected:
  void MakeBase() {
    wire::ObjectSpec spec;
    spec.tensors = {{"tensor.0000", DType::kF32, {5000}}, {"tensor.0001", DType::kF32, {5000}}};
    spec.chunk_bytes = 4096;
    for (int i = 0; i < 10000; ++i) values_.push_back(static_cast<float>(i) / 8);
    Put("base", spec, values_);
    train_ = Task(wire::TaskKind::kTrain);
    train_.base = "base";
    train_.base_digest = Seal("base");
    train_.output = "update";
    train_.ordinal = 2;
    train_.round = 1;
  }
  void ExpectUpdate(const std::string& name, float constant) {
    const auto update = Get(name);
    ASSERT_EQ(update.size(), values_.size());
    for (std::size_t i = 0; i < update.size(); ++i) ASSERT_EQ(update[i], values_[i] + constant) << i;
  }
  std::vector<float> values_;
  wire::TaskSpec train_;
};

TEST_F(SyntheticTask, AddsTheSeatsConstantToEveryElement) {
  MakeBase();
  const auto result = Run(train_, kJob);
  ASSERT_TRUE(result.ok()) << result.error().message();
  ExpectUpdate("update", 3.0f);
  EXPECT_EQ(result->metrics.at("samples"), 3);
  EXPECT_EQ(progress_.metrics.at("samples"), 3);  // told when the update was opened
  EXPECT_EQ(result->digest.size(), 64u);
  EXPECT_EQ(progress_.up, 40000u);
  EXPECT_EQ(progress_.down, 40000u);
  const auto spec = store_->Spec(ObjectName::Trusted("update"));
  EXPECT_EQ(spec->sample_count, 3u);
  EXPECT_EQ(spec->base_digest, train_.base_digest);
  EXPECT_EQ(spec->kind, wire::ObjectKind::kUpdate);
}

TEST_F(SyntheticTask, AddsWhatTheJobSaysAndKeepsTheUpdateAsItsBaseIsKept) {
  MakeBase();
  EXPECT_FALSE(store_->Spec(ObjectName::Trusted("base"))->repetitive);
  ASSERT_TRUE(Run(train_, std::string(kJob) + "train: {add: 0}\n").ok());
  ExpectUpdate("update", 0.0f);
  EXPECT_FALSE(store_->Spec(ObjectName::Trusted("update"))->repetitive);
  wire::ObjectSpec tiled = *store_->Spec(ObjectName::Trusted("base"));
  tiled.repetitive = true;
  Put("tiled", tiled, values_);
  train_.base = "tiled";
  train_.base_digest = Seal("tiled");
  train_.output = "again";
  ASSERT_TRUE(Run(train_, std::string(kJob) + "train: {add: -0.5}\n").ok());
  ExpectUpdate("again", -0.5f);
  EXPECT_TRUE(store_->Spec(ObjectName::Trusted("again"))->repetitive);
}

TEST_F(SyntheticTask, NeverLoadsTheTrainingModule) {
  MakeBase();
  ASSERT_TRUE(Run(train_, kJob).ok());
  auto validate = Task(wire::TaskKind::kValidate);
  validate.base = "base";
  const auto result = Run(validate, kJob);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->metrics.count("val_loss"), 0u);
  EXPECT_EQ(module_.calls.loads, 0);
}

TEST_F(SyntheticTask, GoesOnWhereAKilledRunStopped) {
  MakeBase();
  progress_.stop_at = 5000;
  const auto stopped = Run(train_, kJob);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code(), Code::kCancelled);
  progress_.stop_at = 0;
  ASSERT_TRUE(Run(train_, kJob).ok());
  EXPECT_LT(progress_.down, 40000u);
  ExpectUpdate("update", 3.0f);
  // Sealed already: the answer is the same, nothing moves.
  ASSERT_TRUE(Run(train_, kJob).ok());
  EXPECT_EQ(progress_.down, 0u);
}

TEST_F(SyntheticTask, HoldsAFewChunksWhateverTheModelsSize) {
  MakeBase();
  ASSERT_TRUE(Run(train_, kJob).ok());
  EXPECT_EQ(pool_.Use().used[0] + pool_.Use().used[1], 0u);
}

TEST_F(SyntheticTask, RefusesABaseOfAnotherDigestOrOneNotSealed) {
  MakeBase();
  train_.base_digest = std::string(64, '0');
  const auto other = Run(train_, kJob);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kConflict);
  EXPECT_THAT(other.error().message(), HasSubstr("the blob-store is another one's"));
  wire::ObjectSpec spec;
  spec.tensors = {{"t", DType::kF32, {10}}};
  spec.chunk_bytes = 4096;
  Put("open", spec, std::vector<float>(10));
  train_.base = "open";
  EXPECT_THAT(Run(train_, kJob).error().message(), HasSubstr("not sealed yet"));
}

TEST_F(SyntheticTask, FirstModelsOfSyntheticJobsAreNotATrainersWork) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m";
  EXPECT_EQ(Run(init, kJob).error().code(), Code::kProtocol);
}

template <class T>
T Added(DType dtype, float constant, T value) {
  std::vector<std::byte> in(sizeof(T)), out(sizeof(T));
  std::memcpy(in.data(), &value, sizeof(T));
  AddConstant(dtype, constant, in, out);
  std::memcpy(&value, out.data(), sizeof(T));
  return value;
}

TEST(AddConstant, KnowsEveryDType) {
  EXPECT_EQ(Added<float>(DType::kF32, 2, 0.5f), 2.5f);
  EXPECT_EQ(Added<double>(DType::kF64, 2, 0.5), 2.5);
  EXPECT_EQ(Added<std::uint16_t>(DType::kF16, 2, tensor::FloatToF16(0.5f)), tensor::FloatToF16(2.5f));
  EXPECT_EQ(Added<std::uint16_t>(DType::kBF16, 2, tensor::FloatToBF16(0.5f)), tensor::FloatToBF16(2.5f));
  EXPECT_EQ(Added<std::int64_t>(DType::kI64, 2, -1), 1);
  EXPECT_EQ(Added<std::int32_t>(DType::kI32, 1, std::numeric_limits<std::int32_t>::max()), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(Added<std::uint8_t>(DType::kU8, 2, 255), 1);
  EXPECT_EQ(Added<std::uint8_t>(DType::kBool, 2, 1), 1);
}

// A base that is encoded is decoded slot by slot; differences are against what was decoded.
TEST_F(SyntheticTask, TrainsFromABroadcast) {
  MakeBase();
  wire::ObjectSpec spec = *store_->Spec(ObjectName::Trusted("base"));
  broadcast::Encoder encoder(tensor::Encoding::kInt8);
  const auto layout = tensor::Layout::Make(spec.tensors, spec.chunk_bytes);
  const auto name = ObjectName::Trusted("encoded");
  ASSERT_TRUE(store_->Create(name, broadcast::SpecOf(spec, tensor::Encoding::kInt8), false).ok());
  ASSERT_TRUE(broadcast::Complete(*store_, ObjectName::Trusted("base"), name, *layout, layout->all_slots(), 0, encoder, {}, {}).ok());
  train_.base = "encoded";
  train_.base_digest = Seal("encoded");
  const auto result = Run(train_, kJob);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(progress_.up, 40000u);
  EXPECT_EQ(progress_.down, encoding::EncodedBytes(DType::kF32, tensor::Encoding::kInt8, 10000));
  const auto update = Get("update");
  ASSERT_EQ(update.size(), values_.size());
  bool differs = false;
  for (std::size_t i = 0; i < update.size(); ++i) {
    ASSERT_NEAR(update[i], values_[i] + 3.0f, 1250.0f / 254 * 1.01f) << i;
    differs = differs || update[i] != values_[i] + 3.0f;
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace tributary::trainer
