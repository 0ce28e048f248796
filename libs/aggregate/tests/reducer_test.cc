#include "tributary/aggregate/reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "reference.h"
#include "tributary/base/random.h"
#include "tributary/encoding/encoding.h"

namespace tributary::aggregate {
namespace {

using tensor::DType;
using tensor::Encoding;
using testing::HasSubstr;

// Aligned memory of exactly the size asked for.
class Memory {
 public:
  explicit Memory(std::uint64_t bytes)
      : bytes_(bytes),
        base_(static_cast<std::byte*>(std::aligned_alloc(kAccumulatorAlignment, (bytes + 63) / 64 * 64)), &std::free) {}
  std::span<std::byte> span() { return {base_.get(), bytes_}; }

 private:
  std::uint64_t bytes_;
  std::unique_ptr<std::byte, decltype(&std::free)> base_;
};

template <class T>
std::vector<std::byte> Bytes(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
template <class T>
std::vector<T> Values(const std::vector<std::byte>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Status AddOne(Reducer& reducer, std::span<const std::byte> chunk, Encoding encoding, float weight) {
  const Summand summand{chunk, encoding, weight};
  return reducer.Add({&summand, 1});
}

std::vector<std::byte> Mean(DType dtype, std::size_t elements, const std::vector<ReferenceInput>& inputs,
                            std::size_t misalign = 0, std::size_t instruction_set = 0, std::size_t group = 1) {
  Memory memory(AccumulatorBytes(dtype, elements));
  Reducer reducer(memory.span(), instruction_set);
  EXPECT_TRUE(reducer.Begin(dtype, elements).ok());
  for (std::size_t begin = 0; begin < inputs.size(); begin += group) {
    std::vector<std::vector<std::byte>> moved;
    std::vector<Summand> summands;
    for (std::size_t i = begin; i < std::min(begin + group, inputs.size()); ++i) {
      moved.emplace_back(misalign).insert(moved.back().end(), inputs[i].chunk.begin(), inputs[i].chunk.end());
      summands.push_back({std::span(moved.back()).subspan(misalign), inputs[i].encoding, inputs[i].weight});
    }
    EXPECT_TRUE(reducer.Add(summands).ok());
  }
  const auto mean = reducer.Finish();
  EXPECT_TRUE(mean.ok());
  EXPECT_EQ(mean->data(), memory.span().data());
  return {mean->begin(), mean->end()};
}

// Every scale that may be and every code. F16 holds no more than 65504, so that its scales are less.
std::vector<std::byte> RandomBlocks(SplitMix64& random, DType dtype, Encoding encoding, std::size_t elements) {
  std::vector<std::byte> chunk(encoding::EncodedBytes(dtype, encoding, elements));
  for (std::byte& byte : chunk) {
    byte = static_cast<std::byte>(random.Next());
    if (byte == std::byte{0x80}) byte = std::byte{0x7F};
  }
  if (elements % 2 != 0 && encoding == Encoding::kNf4) chunk.back() &= std::byte{0xF0};
  for (std::uint64_t block = 0; block < encoding::Blocks(elements); ++block) {
    auto bits = static_cast<std::uint32_t>(random.Next()) & 0x7FFFFFFFu;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    const float most = dtype == DType::kF16 ? 500.0f : encoding::kMaxInt8Scale / 2;
    if (!(scale <= most)) scale = most * static_cast<float>(random.NextUnit());
    std::memcpy(chunk.data() + block * sizeof scale, &scale, sizeof scale);
  }
  return chunk;
}

// Random bytes are every kind of float there is: subnormals, infinities, NaN. Those that are no number are left out,
// since a NaN's payload is the processor's own.
std::vector<std::byte> RandomChunk(SplitMix64& random, DType dtype, Encoding encoding, std::size_t elements) {
  if (encoding == Encoding::kInt8 || encoding == Encoding::kNf4) return RandomBlocks(random, dtype, encoding, elements);
  const std::size_t width = encoding == Encoding::kNative ? tensor::ElementBytes(dtype) : 2;
  std::vector<std::byte> bytes(elements * width);
  for (std::size_t i = 0; i < elements; ++i) {
    for (;;) {
      const std::uint64_t bits = random.Next();
      float value = 0;
      if (encoding == Encoding::kF16 || (encoding == Encoding::kNative && dtype == DType::kF16)) {
        value = tensor::F16ToFloat(static_cast<std::uint16_t>(bits));
      } else if (encoding == Encoding::kBF16 || dtype == DType::kBF16) {
        value = tensor::BF16ToFloat(static_cast<std::uint16_t>(bits));
      } else if (dtype == DType::kF64) {
        double wide;
        std::memcpy(&wide, &bits, sizeof wide);
        value = static_cast<float>(wide);
      } else if (dtype == DType::kF32) {
        const auto narrow = static_cast<std::uint32_t>(bits);
        std::memcpy(&value, &narrow, sizeof value);
      }
      if (!std::isfinite(value)) continue;
      std::memcpy(bytes.data() + i * width, &bits, width);
      if (dtype == DType::kBool) bytes[i] = static_cast<std::byte>(bits & 1);
      break;
    }
  }
  return bytes;
}

struct Case {
  DType dtype;
  Encoding encoding;
};
class BitEqual : public testing::TestWithParam<Case> {};

TEST_P(BitEqual, ToTheScalarReferenceWithEveryInstructionSet) {
  const auto [dtype, encoding] = GetParam();
  SplitMix64 random(MixSeed(7, static_cast<std::uint64_t>(dtype), static_cast<std::uint64_t>(encoding)));
  for (const std::size_t elements : {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::size_t{700}, std::size_t{4099}, std::size_t{8192}}) {
    for (const std::size_t participants : {1, 2, 5}) {
      std::vector<double> shares;
      for (std::size_t k = 0; k < participants; ++k) shares.push_back(1.0 + static_cast<double>(random.NextBelow(1000)));
      const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
      for (double& share : shares) share /= sum;
      const auto weights = RoundedWeights(shares);
      ASSERT_TRUE(weights.ok());
      std::vector<ReferenceInput> inputs;
      for (std::size_t k = 0; k < participants; ++k) {
        inputs.push_back({RandomChunk(random, dtype, encoding, elements), encoding, (*weights)[k]});
      }
      const auto expected = ReferenceMean(dtype, elements, inputs);
      for (std::size_t set = 0; set < InstructionSets().size(); ++set) {
        EXPECT_EQ(Mean(dtype, elements, inputs, 0, set), expected)
            << InstructionSets()[set] << ": " << elements << " elements, " << participants << " inputs";
        EXPECT_EQ(Mean(dtype, elements, inputs, 3, set), expected) << InstructionSets()[set] << ": unaligned chunks";
        for (const std::size_t group : {2, 4, 5}) {
          EXPECT_EQ(Mean(dtype, elements, inputs, 0, set, group), expected) << InstructionSets()[set] << ": " << group << " at once";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    EveryDType, BitEqual,
    testing::Values(Case{DType::kF32, Encoding::kNative}, Case{DType::kF16, Encoding::kNative},
                    Case{DType::kBF16, Encoding::kNative}, Case{DType::kF64, Encoding::kNative},
                    Case{DType::kI64, Encoding::kNative}, Case{DType::kI32, Encoding::kNative},
                    Case{DType::kU8, Encoding::kNative}, Case{DType::kBool, Encoding::kNative},
                    Case{DType::kF32, Encoding::kF16}, Case{DType::kF32, Encoding::kBF16},
                    Case{DType::kF32, Encoding::kInt8}, Case{DType::kF32, Encoding::kNf4},
                    Case{DType::kF64, Encoding::kF16}, Case{DType::kF64, Encoding::kNf4},
                    Case{DType::kBF16, Encoding::kInt8}, Case{DType::kBF16, Encoding::kNf4},
                    Case{DType::kF16, Encoding::kInt8}, Case{DType::kF16, Encoding::kNf4}),
    [](const auto& info) {
      return std::string(tensor::DTypeName(info.param.dtype)) + "_as_" +
             std::string(tensor::EncodingName(info.param.encoding));
    });

TEST(Reducer, NamesTheSummandThatIsBad) {
  // In the second piece of sums, so that the first piece of the others is behind.
  const std::vector<float> good(6'000, 1.0f);
  std::vector<float> bad = good;
  bad[5'000] = std::numeric_limits<float>::quiet_NaN();
  const auto good_chunk = Bytes(good);
  const auto bad_chunk = Bytes(bad);
  Memory memory(AccumulatorBytes(DType::kF32, good.size()));
  Reducer reducer(memory.span());
  ASSERT_TRUE(reducer.Begin(DType::kF32, good.size()).ok());
  const std::vector<Summand> summands{{good_chunk, Encoding::kNative, 0.25f}, {good_chunk, Encoding::kNative, 0.25f},
                                      {bad_chunk, Encoding::kNative, 0.25f}, {good_chunk, Encoding::kNative, 0.25f}};
  std::size_t culprit = 0;
  const Status added = reducer.Add(summands, &culprit);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(culprit, 2u);
  EXPECT_THAT(added.error().message(), HasSubstr("element 5000"));

  ASSERT_TRUE(reducer.Begin(DType::kF32, good.size()).ok());
  const std::vector<Summand> shorter{{good_chunk, Encoding::kNative, 0.5f}, {std::span(good_chunk).first(100), Encoding::kNative, 0.5f}};
  EXPECT_EQ(reducer.Add(shorter, &culprit).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(culprit, 1u);
}

TEST(Reducer, EveryFiniteF16ComesBackAsItself) {
  std::vector<std::uint16_t> all;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (std::isfinite(tensor::F16ToFloat(static_cast<std::uint16_t>(bits))) && bits != 0x8000) {
      all.push_back(static_cast<std::uint16_t>(bits));
    }
  }
  const auto chunk = Bytes(all);
  EXPECT_EQ(Mean(DType::kF16, all.size(), {{chunk, Encoding::kNative, 1.0f}}), chunk);
}

// What Add says of the second of two chunks.
Status AddSecond(DType dtype, const std::vector<std::byte>& first, const std::vector<std::byte>& second,
                 Encoding encoding = Encoding::kNative) {
  const std::size_t elements = first.size() / tensor::ElementBytes(dtype);
  Memory memory(AccumulatorBytes(dtype, elements));
  Reducer reducer(memory.span());
  EXPECT_TRUE(reducer.Begin(dtype, elements).ok());
  EXPECT_TRUE(AddOne(reducer, first, Encoding::kNative, 0.5f).ok());
  return AddOne(reducer, second, encoding, 0.5f);
}

template <class T>
std::vector<std::byte> OneBad(T bad, std::size_t elements = 1000, std::size_t at = 777) {
  std::vector<T> values(elements, T{0});
  values[at] = bad;
  return Bytes(values);
}

TEST(Reducer, RefusesWhatIsNotFiniteAndNamesTheElement) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, -nan, infinity, -infinity}) {
    const Status added = AddSecond(DType::kF32, OneBad(0.0f), OneBad(bad));
    ASSERT_FALSE(added.ok()) << bad;
    EXPECT_EQ(added.error().code(), Code::kInvalidArgument);
    EXPECT_THAT(added.error().message(), HasSubstr("its element 777 makes the sum"));
    EXPECT_FALSE(AddSecond(DType::kF64, OneBad(0.0), OneBad(static_cast<double>(bad))).ok()) << bad;
    EXPECT_FALSE(AddSecond(DType::kF16, OneBad<std::uint16_t>(0), OneBad(tensor::FloatToF16(bad))).ok()) << bad;
    EXPECT_FALSE(AddSecond(DType::kBF16, OneBad<std::uint16_t>(0), OneBad(tensor::FloatToBF16(bad))).ok()) << bad;
    EXPECT_FALSE(AddSecond(DType::kF32, OneBad(0.0f), OneBad(tensor::FloatToF16(bad)), Encoding::kF16).ok()) << bad;
  }
}

TEST(Reducer, RefusesTheFirstChunkToo) {
  Memory memory(AccumulatorBytes(DType::kF32, 1000));
  Reducer reducer(memory.span());
  ASSERT_TRUE(reducer.Begin(DType::kF32, 1000).ok());
  EXPECT_FALSE(AddOne(reducer, OneBad(std::numeric_limits<float>::infinity()), Encoding::kNative, 0.0f).ok());
}

TEST(Reducer, RefusesSumsThatTheDTypeCannotHold) {
  const std::uint16_t most = 0x7BFF;
  EXPECT_TRUE(AddSecond(DType::kF16, OneBad(most), OneBad(most)).ok());
  std::vector<std::byte> encoded(encoding::EncodedBytes(DType::kF16, Encoding::kInt8, 1));
  const std::vector<float> beyond{70'000.0f};
  ASSERT_TRUE(encoding::EncodePart(Encoding::kInt8, beyond, 0, 1, encoded).ok());
  EXPECT_FALSE(AddSecond(DType::kF16, Bytes<std::uint16_t>({most}), encoded, Encoding::kInt8).ok());
  EXPECT_TRUE(AddSecond(DType::kBF16, OneBad<std::uint16_t>(0x7F7F), OneBad<std::uint16_t>(0x7F7F)).ok());
  EXPECT_FALSE(AddSecond(DType::kF64, OneBad(0.0), OneBad(1e300)).ok());
  const float largest = std::numeric_limits<float>::max();
  EXPECT_TRUE(AddSecond(DType::kF32, OneBad(largest), OneBad(largest)).ok());
}

TEST(Reducer, TheLargestSumsAreStoredAsTheLargestNumbers) {
  // The greatest float that still rounds to 65504, and the one that rounds to BF16's largest.
  const auto f16 = Bytes<std::uint16_t>({0x7BFF, 0xFBFF});
  EXPECT_EQ(Mean(DType::kF16, 2, {{f16, Encoding::kNative, 1.0002f}}), f16);
  const auto bf16 = Bytes<std::uint16_t>({0x7F7F, 0xFF7F});
  EXPECT_EQ(Mean(DType::kBF16, 2, {{bf16, Encoding::kNative, 1.001f}}), bf16);
}

TEST(Reducer, MultiplyAndAddAreTwoRoundings) {
  // 1 + 2^-12 squared is 1 + 2^-11 + 2^-24: a fused operation would keep the last term once -1 is added.
  const float x = 1.0f + 0x1.0p-12f;
  const auto mean = Mean(DType::kF32, 1, {{Bytes<float>({-1.0f}), Encoding::kNative, 1.0f}, {Bytes<float>({x}), Encoding::kNative, x}});
  EXPECT_EQ(Values<float>(mean)[0], 0x1.0p-11f);
}

TEST(Reducer, OrderOfParticipantsIsTheOrderOfTheSum) {
  // In fp32 (1e8 + 1) - 1e8 is 0 and (1e8 - 1e8) + 1 is 1: the caller's order is kept.
  const ReferenceInput big{Bytes<float>({1e8f}), Encoding::kNative, 1.0f};
  const ReferenceInput minus{Bytes<float>({-1e8f}), Encoding::kNative, 1.0f};
  const ReferenceInput one{Bytes<float>({1.0f}), Encoding::kNative, 1.0f};
  EXPECT_EQ(Values<float>(Mean(DType::kF32, 1, {big, one, minus}))[0], 0.0f);
  EXPECT_EQ(Values<float>(Mean(DType::kF32, 1, {big, minus, one}))[0], 1.0f);
}

TEST(Reducer, IntegersThatAgreeAreKeptToTheLastBit) {
  const auto chunk = Bytes<std::int64_t>({(1LL << 62) + 1, -7, std::numeric_limits<std::int64_t>::min()});
  EXPECT_EQ(Mean(DType::kI64, 3, {{chunk, Encoding::kNative, 0.3f}, {chunk, Encoding::kNative, 0.7f}}), chunk);
}

TEST(Reducer, IntegersThatDifferAreAveragedAndRounded) {
  const auto a = Bytes<std::int32_t>({10, -10, 0});
  const auto b = Bytes<std::int32_t>({20, -20, 1});
  EXPECT_EQ(Values<std::int32_t>(Mean(DType::kI32, 3, {{a, Encoding::kNative, 0.75f}, {b, Encoding::kNative, 0.25f}})),
            (std::vector<std::int32_t>{12, -12, 0}));
}

TEST(Reducer, IntegersOf64BitsAreAveragedToTheLastBit) {
  const std::int64_t big = 1LL << 60;
  const auto a = Bytes<std::int64_t>({big + 1, big + 1, -big - 1, big});
  const auto b = Bytes<std::int64_t>({big + 5, big - 3, -big - 5, big + 1});
  EXPECT_EQ(Values<std::int64_t>(Mean(DType::kI64, 4, {{a, Encoding::kNative, 0.25f}, {b, Encoding::kNative, 0.75f}})),
            (std::vector<std::int64_t>{big + 4, big - 2, -big - 4, big + 1}));
}

TEST(Reducer, IntegersAreKeptInTheirRange) {
  const std::int64_t low = std::numeric_limits<std::int64_t>::min();
  const std::int64_t high = std::numeric_limits<std::int64_t>::max();
  const auto a = Bytes<std::int64_t>({low, high, low});
  const auto b = Bytes<std::int64_t>({high, low, high});
  EXPECT_EQ(Values<std::int64_t>(Mean(DType::kI64, 3, {{a, Encoding::kNative, 0.0f}, {b, Encoding::kNative, 1.0f}})),
            (std::vector<std::int64_t>{high, low, high}));
  EXPECT_EQ(Values<std::int64_t>(Mean(DType::kI64, 3, {{a, Encoding::kNative, 0.25f}, {b, Encoding::kNative, 0.75f}})),
            (std::vector<std::int64_t>{1LL << 62, (-1LL << 62) - 1, 1LL << 62}));
}

TEST(Reducer, BooleansTakeTheWeightedMajority) {
  const auto yes = Bytes<std::uint8_t>({1, 1});
  const auto no = Bytes<std::uint8_t>({0, 1});
  EXPECT_EQ(Values<std::uint8_t>(Mean(DType::kBool, 2, {{yes, Encoding::kNative, 0.25f}, {no, Encoding::kNative, 0.75f}})),
            (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(Values<std::uint8_t>(Mean(DType::kBool, 2, {{yes, Encoding::kNative, 0.5f}, {no, Encoding::kNative, 0.5f}})),
            (std::vector<std::uint8_t>{1, 1}));
}

TEST(Reducer, RefusesChunksOfTheWrongSize) {
  Memory memory(AccumulatorBytes(DType::kF32, 4));
  Reducer reducer(memory.span());
  ASSERT_TRUE(reducer.Begin(DType::kF32, 4).ok());
  const std::vector<std::byte> chunk(15);
  const auto status = AddOne(reducer, chunk, Encoding::kNative, 1.0f);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(status.error().message(), HasSubstr("15 bytes came for a slot of 4 elements, which take 16"));
}

TEST(Reducer, IntegersAreNativeInEveryEncoding) {
  const auto chunk = Bytes<std::int32_t>({1, -2, 3, 4});
  for (const Encoding encoding : {Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4}) {
    EXPECT_EQ(Mean(DType::kI32, 4, {{chunk, encoding, 0.5f}, {chunk, encoding, 0.5f}}), chunk);
  }
}

TEST(Reducer, RefusesHostileChunksOfBlocks) {
  for (const Encoding encoding : {Encoding::kInt8, Encoding::kNf4}) {
    const std::uint64_t bytes = encoding::EncodedBytes(DType::kF32, encoding, 100);
    const auto zeros = Bytes(std::vector<float>(100));
    EXPECT_TRUE(AddSecond(DType::kF32, zeros, std::vector<std::byte>(bytes), encoding).ok());
    EXPECT_FALSE(AddSecond(DType::kF32, zeros, std::vector<std::byte>(bytes - 1), encoding).ok());
    EXPECT_FALSE(AddSecond(DType::kF32, zeros, std::vector<std::byte>(bytes + 1), encoding).ok());
    for (const float scale : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0f}) {
      std::vector<std::byte> chunk(bytes);
      std::memcpy(chunk.data() + 4, &scale, sizeof scale);
      const Status added = AddSecond(DType::kF32, zeros, chunk, encoding);
      ASSERT_FALSE(added.ok()) << scale;
      EXPECT_EQ(added.error().code(), Code::kInvalidArgument);
      EXPECT_THAT(added.error().message(), HasSubstr("the scale of its block 1"));
    }
  }
}

TEST(Reducer, ADeltaIsAddedToTheBase) {
  const auto base = Bytes<float>({1.0f, -2.0f});
  const auto delta = [](std::vector<float> values) {
    std::vector<std::byte> chunk(encoding::EncodedBytes(DType::kF32, Encoding::kInt8, 2));
    EXPECT_TRUE(encoding::EncodePart(Encoding::kInt8, values, 0, 2, chunk).ok());
    return chunk;
  };
  const auto mean = Mean(DType::kF32, 2, {{base, Encoding::kNative, 1.0f}, {delta({127, 0}), Encoding::kInt8, 0.25f}, {delta({127, 127}), Encoding::kInt8, 0.75f}});
  EXPECT_EQ(Values<float>(mean), (std::vector<float>{128.0f, 93.25f}));
}

TEST(Reducer, RefusesTooLittleMemoryAndAnEmptyMean) {
  Memory memory(AccumulatorBytes(DType::kF32, 64));
  Reducer reducer(memory.span());
  EXPECT_EQ(reducer.Begin(DType::kF32, 65).error().code(), Code::kResourceExhausted);
  ASSERT_TRUE(reducer.Begin(DType::kF32, 64).ok());
  EXPECT_THAT(reducer.Finish().error().message(), HasSubstr("no participants"));
}

TEST(Reducer, BeginForgetsTheSlotBefore) {
  Memory memory(AccumulatorBytes(DType::kF32, 2));
  Reducer reducer(memory.span());
  ASSERT_TRUE(reducer.Begin(DType::kF32, 2).ok());
  ASSERT_TRUE(AddOne(reducer, Bytes<float>({5, 6}), Encoding::kNative, 1.0f).ok());
  ASSERT_TRUE(reducer.Begin(DType::kF32, 2).ok());
  ASSERT_TRUE(AddOne(reducer, Bytes<float>({1, 2}), Encoding::kNative, 1.0f).ok());
  const auto mean = reducer.Finish();
  ASSERT_TRUE(mean.ok());
  EXPECT_EQ(Values<float>({mean->begin(), mean->end()}), (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace tributary::aggregate
