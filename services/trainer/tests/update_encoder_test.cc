// Updates of a synthetic model in every encoding, with delta and error feedback, through the task that makes them.
#include "services/trainer/update_encoder.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "task_fixture.h"
#include "tributary/encoding/encoding.h"

namespace tributary::trainer {
namespace {

using tensor::DType;
using tensor::Encoding;
using testing::HasSubstr;

constexpr std::uint64_t kFloats = 10'000;
constexpr std::uint64_t kIntegers = 300;
constexpr float kConstant = 3.0f;  // of the seat with ordinal 2

std::string Job(const std::string& transfer) {
  return "name: synthetic\nrounds: 9\nmodel: {family: synthetic, bytes: 40000, tensors: 2, dtype: f32, fill: random, seed: 4}\n"
         "data: {name: none, format: synthetic, partition: {count: 3}}\ntransfer: {chunk_bytes: 4KiB, " + transfer + "}\n";
}

double Bound(Encoding encoding, float x, float largest) {
  switch (encoding) {
    case Encoding::kF16: return 0x1p-11 * std::abs(x) + 0x1p-25;
    case Encoding::kBF16: return 0x1p-8 * std::abs(x);
    case Encoding::kInt8: return largest * (1.0 / 254 + 0x1p-22);
    case Encoding::kNf4: return 0.152 * largest;
    default: return 0;
  }
}

class UpdateEncoderTest : public TaskFixture {
 protected:
  UpdateEncoderTest() {
    identity_.work_dir = directory_;
    spec_.tensors = {{"tensor", DType::kF32, {kFloats}}, {"counts", DType::kI32, {kIntegers}}};
    spec_.chunk_bytes = 4096;
    for (std::uint64_t i = 0; i < kFloats; ++i) values_.push_back(std::sin(static_cast<float>(i)) * 2);
    const auto object = ObjectName::Trusted("base");
    EXPECT_TRUE(store_->Create(object, spec_, false).ok());
    const auto layout = tensor::Layout::Make(spec_.tensors, spec_.chunk_bytes);
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto place = layout->Place(slot);
      std::vector<std::byte> chunk(place.native_bytes());
      if (place.dtype == DType::kF32) std::memcpy(chunk.data(), values_.data() + place.first_element, chunk.size());
      EXPECT_TRUE(store_->PutSlot(object, slot, 0, chunk, nullptr, nullptr).ok());
    }
    task_ = Task(wire::TaskKind::kTrain);
    task_.base = "base";
    task_.base_digest = Seal("base");
    task_.ordinal = 2;
  }

  Result<session::TaskResult> Train(std::uint32_t round, const std::string& job, const std::string& output) {
    task_.round = round;
    task_.output = output;
    return Run(task_, job);
  }
  // The floats of an update as they are read back; checks that the integers are native and trained.
  std::vector<float> Read(const std::string& name) {
    const auto object = ObjectName::Trusted(name);
    const auto spec = store_->Spec(object);
    EXPECT_TRUE(spec.ok());
    const auto layout = tensor::Layout::Make(spec->tensors, spec->chunk_bytes);
    std::vector<float> values;
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto place = layout->Place(slot);
      std::vector<std::byte> chunk(encoding::EncodedBytes(place.dtype, spec->encoding, place.elements));
      EXPECT_TRUE(store_->GetSlot(object, slot, chunk).ok());
      if (place.dtype == DType::kI32) {
        std::int32_t last;
        std::memcpy(&last, chunk.data() + chunk.size() - 4, 4);
        EXPECT_EQ(last, 3);
        continue;
      }
      std::vector<float> part(place.elements);
      if (spec->encoding == Encoding::kNative) {
        std::memcpy(part.data(), chunk.data(), chunk.size());
      } else {
        encoding::DecodePart(spec->encoding, chunk, 0, part.size(), part);
      }
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  }
  float LargestOfBlock(std::uint64_t i, float added) const {
    float largest = 0;
    for (std::uint64_t k = i / 64 * 64; k < std::min(kFloats, i / 64 * 64 + 64); ++k) largest = std::max(largest, std::abs(values_[k] + added));
    return largest;
  }

  wire::ObjectSpec spec_;
  std::vector<float> values_;
  wire::TaskSpec task_;
};

class Encodings : public UpdateEncoderTest, public testing::WithParamInterface<Encoding> {};

TEST_P(Encodings, WeightsStayWithinTheBoundAndBytesAreTheEncodings) {
  const Encoding encoding = GetParam();
  const auto result = Train(1, Job(fmt::format("encoding: {}", tensor::EncodingName(encoding))), "update");
  ASSERT_TRUE(result.ok()) << result.error().message();
  const auto update = Read("update");
  ASSERT_EQ(update.size(), kFloats);
  for (std::uint64_t i = 0; i < kFloats; ++i) {
    const float x = values_[i] + kConstant;
    ASSERT_LE(std::abs(update[i] - x), Bound(encoding, x, LargestOfBlock(i, kConstant))) << i;
  }
  const std::uint64_t bytes = encoding::EncodedBytes(DType::kF32, encoding, kFloats) + kIntegers * 4;
  EXPECT_EQ(progress_.up, bytes);
  EXPECT_EQ(progress_.total, 0u) << "the phase is seal";
  EXPECT_EQ(store_->Stat(ObjectName::Trusted("update"))->bytes, bytes);
  EXPECT_GT(result->metrics.at("encoding_error"), 0);
  EXPECT_LT(result->metrics.at("encoding_error"), 0.1);
  EXPECT_FALSE(store_->Spec(ObjectName::Trusted("update"))->delta);
}

TEST_P(Encodings, DeltaHoldsTheDifferenceToTheBase) {
  const Encoding encoding = GetParam();
  const auto result = Train(1, Job(fmt::format("encoding: {}, delta: true", tensor::EncodingName(encoding))), "update");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_TRUE(store_->Spec(ObjectName::Trusted("update"))->delta);
  const auto update = Read("update");
  for (std::uint64_t i = 0; i < kFloats; ++i) ASSERT_NEAR(update[i], kConstant, Bound(encoding, kConstant, kConstant) + 1e-5) << i;
}

// What is sent over T rounds is what should have been, but for one round's error: errors do not add up.
TEST_P(Encodings, ErrorFeedbackSendsInTheEndWhatWasLost) {
  const Encoding encoding = GetParam();
  const std::string job = Job(fmt::format("encoding: {}, error_feedback: true", tensor::EncodingName(encoding)));
  constexpr std::uint32_t kRounds = 5;
  std::vector<double> sum(kFloats);
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const std::string name = fmt::format("update{}", round);
    const auto result = Train(round, job, name);
    ASSERT_TRUE(result.ok()) << result.error().message();
    const auto update = Read(name);
    for (std::uint64_t i = 0; i < kFloats; ++i) sum[i] += static_cast<double>(update[i]);
  }
  for (std::uint64_t i = 0; i < kFloats; ++i) {
    const float x = values_[i] + kConstant;
    // Numbers with a residual are larger than x by as much.
    ASSERT_LE(std::abs(sum[i] - kRounds * static_cast<double>(x)), 1.2 * Bound(encoding, x, LargestOfBlock(i, kConstant)) + 1e-5) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, Encodings, testing::Values(Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4),
                         [](const auto& info) { return std::string(tensor::EncodingName(info.param)); });

TEST_F(UpdateEncoderTest, NativeUpdatesLoseNothingAndSaySo) {
  const auto result = Train(1, Job("encoding: native"), "update");
  ASSERT_TRUE(result.ok());
  const auto update = Read("update");
  for (std::uint64_t i = 0; i < kFloats; ++i) ASSERT_EQ(update[i], values_[i] + kConstant);
  EXPECT_EQ(result->metrics.count("encoding_error"), 0u);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "residual"));
}

// A trainer that was killed gives the bytes of one that was not, in this round and in the next.
TEST_F(UpdateEncoderTest, AKilledRoundDoesNotChangeTheBytes) {
  const std::string job = Job("encoding: nf4, delta: true, error_feedback: true");
  std::vector<std::string> digests;
  for (const bool killed : {false, true}) {
    std::filesystem::remove_all(directory_ / "residual");
    for (const std::uint32_t round : {1u, 2u, 3u}) {
      const std::string name = fmt::format("update{}{}", killed ? "k" : "", round);
      if (killed && round == 2) {
        progress_.stop_at = 2500;
        const auto stopped = Train(round, job, name);
        ASSERT_FALSE(stopped.ok());
        EXPECT_EQ(stopped.error().code(), Code::kCancelled);
        progress_.stop_at = 0;
      }
      const auto result = Train(round, job, name);
      ASSERT_TRUE(result.ok()) << result.error().message();
      if (killed && round == 2) {
        EXPECT_LT(progress_.up, store_->Stat(ObjectName::Trusted(name))->bytes);
      }
      digests.push_back(result->digest);
    }
  }
  EXPECT_EQ(std::vector(digests.begin(), digests.begin() + 3), std::vector(digests.begin() + 3, digests.end()));
}

// The store's slots without the residuals that came with them: the trainer's disk is another one.
TEST_F(UpdateEncoderTest, SlotsWhoseResidualsAreGoneAreMadeAgain) {
  const std::string job = Job("encoding: int8, error_feedback: true");
  progress_.stop_at = 5000;
  ASSERT_FALSE(Train(1, job, "update").ok());
  progress_.stop_at = 0;
  std::filesystem::remove_all(directory_ / "residual");
  ASSERT_TRUE(Train(1, job, "update").ok());
  EXPECT_EQ(progress_.up, store_->Stat(ObjectName::Trusted("update"))->bytes);
}

TEST_F(UpdateEncoderTest, ErrorFeedbackNeedsAWorkDirectory) {
  identity_.work_dir.clear();
  const auto result = Train(1, Job("encoding: int8, error_feedback: true"), "update");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(result.error().message(), HasSubstr("--work-dir"));
}

TEST_F(UpdateEncoderTest, NumbersThatAnEncodingCannotHoldFailTheTaskWithTheirPlace) {
  const auto layout = tensor::Layout::Make(spec_.tensors, spec_.chunk_bytes);
  UpdateEncoder encoder(*layout, [] { job::Transfer transfer; transfer.encoding = Encoding::kF16; return transfer; }());
  std::vector<std::byte> chunk(encoder.ChunkBytes(1));
  const auto trained = [](std::uint64_t first, std::span<std::byte> native) {
    std::fill(native.begin(), native.end(), std::byte{0});
    const float huge = 1e6f;
    if (first == 0) std::memcpy(native.data() + 44, &huge, 4);
  };
  const Status encoded = encoder.Encode(1, trained, {}, chunk);
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(encoded.error().message(), testing::AllOf(HasSubstr("slot 1 of the update"), HasSubstr("element 11 is 1000000")));
}

}  // namespace
}  // namespace tributary::trainer
