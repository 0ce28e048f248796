// Updates of every encoding, as weights and as differences: the result is held against the arithmetic of docs/encodings.md, bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "services/aggregator/tasks.h"
#include "tributary/base/random.h"
#include "tributary/blob/local_store.h"
#include "tributary/encoding/encoding.h"

namespace tributary::aggregator {
namespace {

using tensor::DType;
using tensor::Encoding;
using testing::HasSubstr;

constexpr std::uint64_t kFloats = 2500;
constexpr std::uint64_t kIntegers = 1500;

class NoProgress final : public session::TaskProgress {
 public:
  void Phase(const std::string&, std::uint64_t, const std::string&) override {}
  void Done(std::uint64_t) override {}
  void Metric(const std::string&, double) override {}
  void Bytes(std::uint64_t, std::uint64_t) override {}
};

class EncodedUpdates : public testing::Test {
 protected:
  EncodedUpdates() : pool_(64_MiB), store_(blob::MakeMemoryStore(pool_)) {
    base_.tensors = {{"weights", DType::kF32, {kFloats}}, {"counts", DType::kI32, {kIntegers}}};
    base_.chunk_bytes = 4096;
    task_.task = "t";
    task_.kind = static_cast<std::uint32_t>(wire::TaskKind::kAggregate);
    task_.job = "j";
    task_.base = "base";
    task_.output = "model";
    task_.generation = 1;
    floats_ = Random(1);
    Put("base", base_, floats_, 7);
    task_.base_digest = *store_->Seal(ObjectName::Trusted("base"), 0, false);
  }

  static std::vector<float> Random(std::uint64_t seed, float scale = 1) {
    SplitMix64 random(seed);
    std::vector<float> values(kFloats);
    for (float& value : values) value = static_cast<float>(random.NextUnit() * 2 - 1) * scale;
    return values;
  }

  // The floats encoded as the spec says, the integers all `count`. Returns the floats as they are read back.
  std::vector<float> Put(const std::string& name, const wire::ObjectSpec& spec, const std::vector<float>& floats, std::int32_t count) {
    const auto object = ObjectName::Trusted(name);
    EXPECT_TRUE(store_->Create(object, spec, false).ok());
    const auto layout = tensor::Layout::Make(spec.tensors, spec.chunk_bytes);
    std::vector<float> back;
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto place = layout->Place(slot);
      std::vector<std::byte> chunk(encoding::EncodedBytes(place.dtype, spec.encoding, place.elements));
      if (place.dtype == DType::kI32) {
        for (std::uint64_t i = 0; i < place.elements; ++i) std::memcpy(chunk.data() + i * 4, &count, 4);
      } else {
        std::vector<float> part(floats.begin() + static_cast<std::ptrdiff_t>(place.first_element),
                                floats.begin() + static_cast<std::ptrdiff_t>(place.first_element + place.elements));
        if (spec.encoding == Encoding::kNative) {
          std::memcpy(chunk.data(), part.data(), chunk.size());
        } else {
          EXPECT_TRUE(encoding::EncodePart(spec.encoding, part, 0, part.size(), chunk).ok());
          encoding::DecodePart(spec.encoding, chunk, 0, part.size(), part);
        }
        back.insert(back.end(), part.begin(), part.end());
      }
      EXPECT_TRUE(store_->PutSlot(object, slot, 0, chunk, nullptr, nullptr).ok());
    }
    return back;
  }
  std::vector<float> PutUpdate(const std::string& name, Encoding encoding, bool delta, std::uint64_t seed, std::int32_t count) {
    wire::ObjectSpec update = base_;
    update.kind = wire::ObjectKind::kUpdate;
    update.base_digest = task_.base_digest;
    update.sample_count = 1;
    update.encoding = encoding;
    update.delta = delta;
    auto back = Put(name, update, Random(seed, delta ? 0.01f : 1.0f), count);
    task_.inputs.push_back({name, 0, *store_->Seal(ObjectName::Trusted(name), 0, false)});
    return back;
  }

  Result<session::TaskResult> Aggregate(Encoding encoding, bool delta, Encoding broadcast = Encoding::kNative) {
    const std::string job = fmt::format("name: j\nmodel: {{family: synthetic, bytes: 1MiB}}\ndata: {{name: s, format: synthetic}}\n"
                                        "transfer: {{encoding: {}, delta: {}, broadcast: {}}}\n", tensor::EncodingName(encoding), delta,
                                        tensor::EncodingName(broadcast));
    for (auto& input : task_.inputs) input.weight = 1.0 / static_cast<double>(task_.inputs.size());
    AggregatorTasks tasks([this](const session::TaskContext&) { return Result<std::shared_ptr<blob::BlobStore>>(store_); });
    const std::vector<std::string> endpoints;
    NoProgress progress;
    return tasks.Run({task_, job, endpoints, progress, {}});
  }

  template <class T>
  T At(std::uint64_t slot, std::uint64_t i) {
    const auto object = ObjectName::Trusted("model");
    std::vector<std::byte> chunk(store_->StatSlot(object, slot, 0)->bytes);
    EXPECT_TRUE(store_->GetSlot(object, slot, chunk).ok());
    T value;
    std::memcpy(&value, chunk.data() + i * sizeof value, sizeof value);
    return value;
  }

  memory::Pool pool_;
  std::shared_ptr<blob::SlotStore> store_;
  wire::ObjectSpec base_;
  std::vector<float> floats_;
  wire::TaskSpec task_;
};

// Trainers had the base's broadcast; the result is encoded beside the model.
class BroadcastOut : public EncodedUpdates {
 protected:
  std::vector<std::byte> Chunk(const std::string& name, std::uint64_t slot) {
    const auto object = ObjectName::Trusted(name);
    const auto stat = store_->StatSlot(object, slot, 0);
    EXPECT_TRUE(stat.ok()) << name << " " << slot;
    if (!stat.ok()) return {};
    std::vector<std::byte> chunk(stat->bytes);
    EXPECT_TRUE(store_->GetSlot(object, slot, chunk).ok());
    return chunk;
  }
  void PutUpdates() {
    // Deltas against another object than the base: its broadcast.
    const std::string model_digest = std::exchange(task_.base_digest, std::string(64, 'b'));
    PutUpdate("u0", Encoding::kInt8, true, 10, 4);
    PutUpdate("u1", Encoding::kInt8, true, 11, 6);
    task_.trained_from = std::exchange(task_.base_digest, model_digest);
    task_.broadcast = "broadcast";
  }
  // Of each chunk, held against the model's.
  void ExpectEncoded(Encoding encoding) {
    const auto layout = tensor::Layout::Make(base_.tensors, base_.chunk_bytes);
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto place = layout->Place(slot);
      const auto native = Chunk("model", slot);
      auto expected = native;
      if (place.dtype == DType::kF32) {
        std::vector<float> values(place.elements);
        encoding::Widen(DType::kF32, native, values);
        expected.resize(encoding::EncodedBytes(DType::kF32, encoding, place.elements));
        ASSERT_TRUE(encoding::EncodePart(encoding, values, 0, place.elements, expected).ok());
      }
      EXPECT_EQ(Chunk("broadcast", slot), expected) << slot;
    }
  }
};

TEST_F(BroadcastOut, IsTheModelSlotBySlotAndItsErrorIsTold) {
  PutUpdates();
  const auto result = Aggregate(Encoding::kInt8, true, Encoding::kNf4);
  ASSERT_TRUE(result.ok()) << result.error().message();
  ExpectEncoded(Encoding::kNf4);
  const auto spec = store_->Spec(ObjectName::Trusted("broadcast"));
  EXPECT_EQ(spec->encoding, Encoding::kNf4);
  EXPECT_EQ(spec->tensors, base_.tensors);
  const double error = std::sqrt(result->metrics.at("broadcast_lost") / result->metrics.at("broadcast_norm"));
  EXPECT_GT(error, 0.03);
  EXPECT_LT(error, 0.15);
}

TEST_F(BroadcastOut, IsSealedWithTheModel) {
  PutUpdates();
  ASSERT_TRUE(Aggregate(Encoding::kInt8, true, Encoding::kF16).ok());
  task_.kind = static_cast<std::uint32_t>(wire::TaskKind::kSeal);
  const auto sealed = Aggregate(Encoding::kInt8, true, Encoding::kF16);
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  EXPECT_EQ(sealed->digest, store_->Stat(ObjectName::Trusted("model"))->digest);
  EXPECT_EQ(sealed->broadcast_digest, store_->Stat(ObjectName::Trusted("broadcast"))->digest);
  EXPECT_EQ(sealed->broadcast_digest.size(), 64u);
  // A worker that was killed between the two seals, or after them, is asked again.
  const auto again = Aggregate(Encoding::kInt8, true, Encoding::kF16);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->broadcast_digest, sealed->broadcast_digest);
}

// Killed between a slot of the model and its encoded form: the next worker encodes what lies there.
TEST_F(BroadcastOut, WhatAKilledWorkerLeftUnencodedIsEncodedFromTheModel) {
  PutUpdates();
  const std::string broadcast = std::exchange(task_.broadcast, "");
  ASSERT_TRUE(Aggregate(Encoding::kInt8, true).ok());  // all of the model, nothing of the other
  task_.broadcast = broadcast;
  ASSERT_TRUE(Aggregate(Encoding::kInt8, true, Encoding::kBF16).ok());
  ExpectEncoded(Encoding::kBF16);
}

TEST_F(BroadcastOut, ANewGenerationMakesBothAnew) {
  PutUpdates();
  ASSERT_TRUE(Aggregate(Encoding::kInt8, true, Encoding::kInt8).ok());
  const auto before = Chunk("broadcast", 0);
  task_.inputs.pop_back();
  task_.generation = 2;
  ASSERT_TRUE(Aggregate(Encoding::kInt8, true, Encoding::kInt8).ok());
  ExpectEncoded(Encoding::kInt8);
  EXPECT_NE(Chunk("broadcast", 0), before);
  EXPECT_TRUE(store_->Seal(ObjectName::Trusted("broadcast"), 2, false).ok());
}

TEST_F(BroadcastOut, UpdatesOfTheModelItselfAreRefusedByName) {
  PutUpdate("u0", Encoding::kInt8, true, 10, 4);  // its base is the model, which no trainer was given
  task_.trained_from = std::string(64, 'b');
  task_.broadcast = "broadcast";
  const auto result = Aggregate(Encoding::kInt8, true, Encoding::kInt8);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("update u0 was made from a model of digest"));
}

TEST_F(BroadcastOut, AModelThatTheEncodingCannotHoldSaysWhatToChange) {
  const auto big = [&](const std::string& name) {
    wire::ObjectSpec update = base_;
    update.kind = wire::ObjectKind::kUpdate;
    update.base_digest = task_.base_digest;
    update.sample_count = 1;
    Put(name, update, std::vector<float>(kFloats, 70000.0f), 1);
    task_.inputs.push_back({name, 0, *store_->Seal(ObjectName::Trusted(name), 0, false)});
  };
  big("u0");
  task_.broadcast = "broadcast";
  const auto result = Aggregate(Encoding::kNative, false, Encoding::kF16);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(result.error().message(), HasSubstr("transfer.broadcast fp16 cannot hold the model; choose another"));
  EXPECT_THAT(result.error().message(), testing::Not(HasSubstr("u0"))) << "no update is to blame";
}

class EveryEncoding : public EncodedUpdates, public testing::WithParamInterface<std::tuple<Encoding, bool>> {};

TEST_P(EveryEncoding, IsAveragedAsTheDocumentSays) {
  const auto [encoding, delta] = GetParam();
  std::vector<std::vector<float>> updates;
  for (const int k : {0, 1, 2, 3}) updates.push_back(PutUpdate(fmt::format("u{}", k), encoding, delta, 10 + k, 4 + 2 * k));
  const auto result = Aggregate(encoding, delta);
  ASSERT_TRUE(result.ok()) << result.error().message();
  const auto layout = tensor::Layout::Make(base_.tensors, base_.chunk_bytes);
  for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
    const auto place = layout->Place(slot);
    for (std::uint64_t i = 0; i < place.elements; ++i) {
      if (place.dtype == DType::kI32) {
        ASSERT_EQ(At<std::int32_t>(slot, i), 7) << "integers are the mean of 4, 6, 8 and 10, delta or not";
        continue;
      }
      volatile float acc = delta ? floats_[place.first_element + i] : 0.0f;
      for (const auto& update : updates) {
        volatile float product = 0.25f * update[place.first_element + i];
        acc = acc + product;
      }
      ASSERT_EQ(At<float>(slot, i), acc) << slot << " " << i;
      if (i % 97 != 0) ++i;  // a half of them will do
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, EveryEncoding,
                         testing::Combine(testing::Values(Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4), testing::Bool()),
                         [](const auto& info) {
                           return std::string(tensor::EncodingName(std::get<0>(info.param))) + (std::get<1>(info.param) ? "_delta" : "");
                         });

// Whoever comes first by name does not decide how the others must be.
TEST_F(EncodedUpdates, TheOneThatIsNotAsTheJobSaysIsNamed) {
  PutUpdate("u0", Encoding::kInt8, false, 1, 1);
  PutUpdate("u1", Encoding::kInt8, true, 2, 1);
  const auto lying = Aggregate(Encoding::kInt8, true);
  ASSERT_FALSE(lying.ok());
  EXPECT_EQ(lying.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(lying.error().message(), HasSubstr("update u0 holds weights as int8, the job's updates hold differences as int8"));
  EXPECT_THAT(Aggregate(Encoding::kInt8, false).error().message(), HasSubstr("update u1 holds differences as int8"));
  EXPECT_THAT(Aggregate(Encoding::kF16, false).error().message(), HasSubstr("update u0 holds weights as int8, the job's updates hold weights as fp16"));
}

class MaxNorm : public EncodedUpdates {
 protected:
  Result<session::TaskResult> Run(wire::TaskKind kind, double max_norm) {
    task_.kind = static_cast<std::uint32_t>(kind);
    const std::string job = fmt::format("name: j\nmodel: {{family: synthetic, bytes: 1MiB}}\ndata: {{name: s, format: synthetic}}\n"
                                        "transfer: {{encoding: int8, delta: true}}\nstrategy: {{max_norm: {}}}\n", max_norm);
    for (auto& input : task_.inputs) input.weight = 1.0 / static_cast<double>(task_.inputs.size());
    AggregatorTasks tasks([this](const session::TaskContext&) { return Result<std::shared_ptr<blob::BlobStore>>(store_); });
    const std::vector<std::string> endpoints;
    NoProgress progress;
    return tasks.Run({task_, job, endpoints, progress, {}});
  }
};

// Of 2,500 differences of up to 0.01: about 0.29; the integers beside them do not count.
TEST_F(MaxNorm, TheUpdateAboveItIsNamedWithNormAndLimitByAggregationAndSeal) {
  const auto back = PutUpdate("u0", Encoding::kInt8, true, 10, 1'000'000);
  double squares = 0;
  for (const float x : back) squares += static_cast<double>(x) * static_cast<double>(x);
  const double norm = store_->Stat(ObjectName::Trusted("u0"))->norm;
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-12);
  for (const auto kind : {wire::TaskKind::kAggregate, wire::TaskKind::kSeal}) {
    const auto refused = Run(kind, norm * 0.999);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
    EXPECT_THAT(refused.error().message(), HasSubstr(fmt::format("update u0 has the norm {:.6g}, more than strategy.max_norm ({:.6g})", norm, norm * 0.999)));
  }
  EXPECT_TRUE(Run(wire::TaskKind::kAggregate, norm).ok());
  EXPECT_TRUE(Run(wire::TaskKind::kSeal, norm).ok());
}

TEST_F(MaxNorm, WhatIsNoDifferenceHasNone) {
  PutUpdate("u0", Encoding::kInt8, false, 10, 1);
  EXPECT_EQ(store_->Stat(ObjectName::Trusted("u0"))->norm, 0);
  EXPECT_EQ(store_->Stat(ObjectName::Trusted("base"))->norm, 0);
}

}  // namespace
}  // namespace tributary::aggregator
