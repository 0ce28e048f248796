#include "tributary/encoding/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "tributary/base/random.h"

namespace tributary::encoding {
namespace {

using tensor::DType;
using tensor::Encoding;
using testing::HasSubstr;

constexpr Encoding kLossy[] = {Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4};
constexpr float kMost = std::numeric_limits<float>::max();

std::vector<std::byte> Encode(Encoding encoding, const std::vector<float>& values) {
  std::vector<std::byte> chunk(EncodedBytes(DType::kF32, encoding, values.size()), std::byte{0xEE});
  const Status encoded = EncodePart(encoding, values, 0, values.size(), chunk);
  EXPECT_TRUE(encoded.ok()) << encoded.error().message();
  return chunk;
}
std::vector<float> Decode(Encoding encoding, const std::vector<std::byte>& chunk, std::size_t elements) {
  std::vector<float> values(elements, -77.0f);
  DecodePart(encoding, chunk, 0, elements, values);
  return values;
}
// Sum of twelve uniform numbers: near enough to normal.
std::vector<float> Normal(std::size_t count, std::uint64_t seed, double deviation = 1) {
  SplitMix64 random(seed);
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) {
    double sum = -6;
    for (int k = 0; k < 12; ++k) sum += random.NextUnit();
    values.push_back(static_cast<float>(sum * deviation));
  }
  return values;
}
float LargestOfBlock(const std::vector<float>& values, std::size_t i) {
  float largest = 0;
  const std::size_t begin = i / kBlock * kBlock;
  for (std::size_t k = begin; k < std::min<std::size_t>(begin + kBlock, values.size()); ++k) largest = std::max(largest, std::abs(values[k]));
  return largest;
}
// The bounds of docs/encodings.md.
double Bound(Encoding encoding, double x, double largest) {
  switch (encoding) {
    case Encoding::kF16: return 0x1p-11 * std::abs(x) + 0x1p-25;
    case Encoding::kBF16: return 0x1p-8 * std::abs(x) + 0x1p-134;
    case Encoding::kInt8: return largest * (1.0 / 254 + 0x1p-22) + 0x1p-142;
    case Encoding::kNf4: return 0.152 * largest + 0x1p-149;
    default: return 0;
  }
}

TEST(EncodedBytes, AreThoseOfTheDocument) {
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kNative, 65), 260u);
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kF16, 65), 130u);
  EXPECT_EQ(EncodedBytes(DType::kF64, Encoding::kBF16, 65), 130u);
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kInt8, 64), 68u);
  EXPECT_EQ(EncodedBytes(DType::kBF16, Encoding::kInt8, 65), 73u);
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kNf4, 64), 36u);
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kNf4, 65), 41u);
  EXPECT_EQ(EncodedBytes(DType::kF32, Encoding::kNf4, 1), 5u);
  for (const Encoding encoding : kLossy) EXPECT_EQ(EncodedBytes(DType::kF32, encoding, 0), 0u);
}

TEST(EffectiveEncoding, IsNativeWhereItWouldNotMakeElementsSmaller) {
  for (const Encoding encoding : kLossy) {
    for (const DType dtype : {DType::kI64, DType::kI32, DType::kU8, DType::kBool}) {
      EXPECT_EQ(EffectiveEncoding(dtype, encoding), Encoding::kNative);
      EXPECT_EQ(EncodedBytes(dtype, encoding, 10), 10 * tensor::ElementBytes(dtype));
    }
    EXPECT_EQ(EffectiveEncoding(DType::kF32, encoding), encoding);
    EXPECT_EQ(EffectiveEncoding(DType::kF64, encoding), encoding);
  }
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    EXPECT_EQ(EffectiveEncoding(dtype, Encoding::kF16), Encoding::kNative);
    EXPECT_EQ(EffectiveEncoding(dtype, Encoding::kBF16), Encoding::kNative);
    EXPECT_EQ(EffectiveEncoding(dtype, Encoding::kInt8), Encoding::kInt8);
    EXPECT_EQ(EffectiveEncoding(dtype, Encoding::kNf4), Encoding::kNf4);
  }
}

class Lossy : public testing::TestWithParam<Encoding> {};

TEST_P(Lossy, StaysWithinItsBoundWhateverTheSizeAndScale) {
  const Encoding encoding = GetParam();
  for (const std::size_t count : {1u, 2u, 63u, 64u, 65u, 1000u, 4096u}) {
    for (const double deviation : {1e-44, 1e-40, 1e-6, 1.0, 9000.0}) {
      const auto values = Normal(count, count, deviation);
      const auto chunk = Encode(encoding, values);
      EXPECT_TRUE(CheckChunk(DType::kF32, encoding, count, chunk).ok());
      const auto back = Decode(encoding, chunk, count);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_LE(std::abs(static_cast<double>(back[i]) - static_cast<double>(values[i])), Bound(encoding, values[i], LargestOfBlock(values, i)))
            << tensor::EncodingName(encoding) << " " << count << " " << deviation << " at " << i;
      }
    }
  }
}

TEST_P(Lossy, PiecesOfBlocksGiveTheBytesOfTheWhole) {
  const Encoding encoding = GetParam();
  const auto values = Normal(1000, 3);
  const auto whole = Encode(encoding, values);
  std::vector<std::byte> moved(whole.size() + 1, std::byte{0});
  const auto chunk = std::span(moved).subspan(1);  // unaligned
  std::vector<float> back(values.size());
  for (const auto& [first, count] : {std::pair{512, 488}, {0, 64}, {64, 448}}) {
    const auto part = std::span(values).subspan(first, count);
    ASSERT_TRUE(EncodePart(encoding, part, first, values.size(), chunk).ok());
  }
  EXPECT_EQ(std::vector(chunk.begin(), chunk.end()), whole);
  for (const auto& [first, count] : {std::pair{512, 488}, {0, 64}, {64, 448}}) {
    DecodePart(encoding, chunk, first, values.size(), std::span(back).subspan(first, count));
  }
  EXPECT_EQ(back, Decode(encoding, whole, values.size()));
}

TEST_P(Lossy, WhatIsReadBackEncodesToItself) {
  const Encoding encoding = GetParam();
  const auto values = Normal(640, 9);
  const auto once = Encode(encoding, values);
  const auto back = Decode(encoding, once, values.size());
  const auto twice = Decode(encoding, Encode(encoding, back), values.size());
  for (std::size_t i = 0; i < back.size(); ++i) ASSERT_NEAR(twice[i], back[i], 1e-6) << i;
}

TEST_P(Lossy, RefusesWhatIsNotFiniteAndNamesTheElement) {
  const Encoding encoding = GetParam();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(200, 1.0f);
    values[131] = bad;
    std::vector<std::byte> chunk(EncodedBytes(DType::kF32, encoding, 200));
    const Status encoded = EncodePart(encoding, values, 0, 200, chunk);
    ASSERT_FALSE(encoded.ok());
    EXPECT_EQ(encoded.error().code(), Code::kInvalidArgument);
    EXPECT_THAT(encoded.error().message(), HasSubstr("element 131 is"));
  }
}

TEST_P(Lossy, ZerosComeBackAsZeros) {
  const std::vector<float> zeros(100, 0.0f);
  EXPECT_EQ(Decode(GetParam(), Encode(GetParam(), zeros), 100), zeros);
}

INSTANTIATE_TEST_SUITE_P(Each, Lossy, testing::ValuesIn(kLossy),
                         [](const auto& info) { return std::string(tensor::EncodingName(info.param)); });

TEST(Halves, RefuseWhatRoundsToInfinity) {
  std::vector<std::byte> chunk(2);
  const auto fits = [&](Encoding encoding, float x) { return EncodePart(encoding, std::span(&x, 1), 0, 1, chunk).ok(); };
  EXPECT_TRUE(fits(Encoding::kF16, 65519.996f));
  EXPECT_FALSE(fits(Encoding::kF16, 65520.0f));
  EXPECT_FALSE(fits(Encoding::kF16, -65520.0f));
  EXPECT_TRUE(fits(Encoding::kBF16, 0x1.FEFFFEp+127f));
  EXPECT_FALSE(fits(Encoding::kBF16, 0x1.FFp+127f));
}

TEST(Int8, BytesOfASmallBlock) {
  // The largest is 127, so the scale is 1; halves go to even.
  const auto chunk = Encode(Encoding::kInt8, {127.0f, -127.0f, 0.5f, 1.5f, -2.5f, 3.4f});
  const std::vector<int> expected = {0, 0, 0x80, 0x3F, 0x7F, 0x81, 0, 2, 0xFE, 3};
  ASSERT_EQ(chunk.size(), expected.size());
  for (std::size_t i = 0; i < chunk.size(); ++i) EXPECT_EQ(std::to_integer<int>(chunk[i]), expected[i]) << i;
}

TEST(Int8, HoldsTheLargestAndTheSmallestNumbers) {
  const std::vector<float> values{kMost, -kMost, 1.0f};
  const auto chunk = Encode(Encoding::kInt8, values);
  EXPECT_TRUE(CheckChunk(DType::kF32, Encoding::kInt8, 3, chunk).ok());
  const auto back = Decode(Encoding::kInt8, chunk, 3);
  EXPECT_LE(std::abs(back[0] / kMost - 1), 0x1p-22);
  EXPECT_EQ(back[1], -back[0]);
  EXPECT_TRUE(std::isfinite(127.0f * kMaxInt8Scale));
  EXPECT_FALSE(std::isfinite(127.0f * std::nextafter(kMaxInt8Scale, kMost)));
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_LE(std::abs(Decode(Encoding::kInt8, Encode(Encoding::kInt8, {100 * tiny, tiny}), 2)[0]), 127 * tiny);
}

TEST(Nf4, LevelsAndHalfBytes) {
  std::vector<float> values(std::begin(kNf4Levels), std::end(kNf4Levels));
  for (float& x : values) x *= 4;
  const auto chunk = Encode(Encoding::kNf4, values);
  const std::vector<int> expected = {0, 0, 0x80, 0x40, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF};
  ASSERT_EQ(chunk.size(), expected.size());
  for (std::size_t i = 0; i < chunk.size(); ++i) EXPECT_EQ(std::to_integer<int>(chunk[i]), expected[i]) << i;
  EXPECT_EQ(Decode(Encoding::kNf4, chunk, 16), values);
  // An odd number: the last low half is 0.
  EXPECT_EQ(std::to_integer<int>(Encode(Encoding::kNf4, {0.0f, 1.0f, 1.0f}).back()), 0xF0);
}

TEST(Nf4, TakesTheNearestLevel) {
  SplitMix64 random(5);
  std::vector<float> values{1.0f};
  for (int i = 0; i < 63; ++i) values.push_back(static_cast<float>(random.NextUnit() * 2 - 1));
  const auto back = Decode(Encoding::kNf4, Encode(Encoding::kNf4, values), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    float nearest = 2;
    for (const float level : kNf4Levels) nearest = std::min(nearest, std::abs(level - values[i]));
    EXPECT_NEAR(std::abs(back[i] - values[i]), nearest, 1e-7) << values[i];
  }
}

// What the document says of normally distributed numbers.
TEST(RelativeError, OfNormalNumbers) {
  const auto values = Normal(64 * 4096, 17);
  const std::vector<std::pair<Encoding, double>> expected{
      {Encoding::kF16, 0.0002}, {Encoding::kBF16, 0.0017}, {Encoding::kInt8, 0.006}, {Encoding::kNf4, 0.09}};
  for (const auto& [encoding, about] : expected) {
    const auto back = Decode(encoding, Encode(encoding, values), values.size());
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      error += std::pow(static_cast<double>(back[i]) - static_cast<double>(values[i]), 2);
      norm += std::pow(static_cast<double>(values[i]), 2);
    }
    EXPECT_NEAR(std::sqrt(error / norm), about, about * 0.2) << tensor::EncodingName(encoding);
  }
}

TEST(Widen, KnowsEveryFloat) {
  const auto widened = [](DType dtype, auto value) {
    float out = 0;
    Widen(dtype, std::as_bytes(std::span(&value, 1)), std::span(&out, 1));
    return out;
  };
  EXPECT_EQ(widened(DType::kF32, 1.25f), 1.25f);
  EXPECT_EQ(widened(DType::kF64, 1.25), 1.25f);
  EXPECT_EQ(widened(DType::kF64, 1e300), std::numeric_limits<float>::infinity());
  EXPECT_EQ(widened(DType::kF16, std::uint16_t{0x3D00}), 1.25f);
  EXPECT_EQ(widened(DType::kBF16, std::uint16_t{0x3FA0}), 1.25f);
}

TEST(DecodeChunk, GivesEveryDTypeBackAsPartsDo) {
  const auto values = Normal(3000, 5);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF64}) {
    for (const Encoding encoding : kLossy) {
      if (EffectiveEncoding(dtype, encoding) == Encoding::kNative) continue;
      const auto chunk = Encode(encoding, values);
      const auto back = Decode(encoding, chunk, values.size());
      std::vector<std::byte> native(values.size() * tensor::ElementBytes(dtype));
      ASSERT_TRUE(DecodeChunk(dtype, encoding, values.size(), chunk, native).ok());
      std::vector<std::byte> expected(native.size());
      Narrow(dtype, back, expected);
      EXPECT_EQ(native, expected) << tensor::DTypeName(dtype) << " " << tensor::EncodingName(encoding);
      std::vector<float> wide(values.size());
      Widen(dtype, native, wide);
      const float tolerance = dtype == DType::kBF16 ? 0x1p-8f : dtype == DType::kF16 ? 0x1p-11f : 0;
      for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_NEAR(wide[i], back[i], tolerance * std::abs(back[i]) + (tolerance > 0 ? 0x1p-24f : 0));
    }
  }
}

TEST(DecodeChunk, RefusesWhatNoEncoderMakesAndCopiesWhatTravelsNative) {
  auto chunk = Encode(Encoding::kInt8, Normal(200, 6));
  std::vector<std::byte> native(800);
  EXPECT_FALSE(DecodeChunk(DType::kF32, Encoding::kInt8, 200, std::span(chunk).first(chunk.size() - 1), native).ok());
  chunk[3] = std::byte{0x7F};
  chunk[2] = std::byte{0xC0};  // NaN
  EXPECT_EQ(DecodeChunk(DType::kF32, Encoding::kInt8, 200, chunk, native).error().code(), Code::kInvalidArgument);
  const std::vector<std::byte> integers(800, std::byte{7});
  ASSERT_TRUE(DecodeChunk(DType::kI32, Encoding::kInt8, 200, integers, native).ok());
  EXPECT_EQ(native, integers);
}

// The largest number of a block must not round to an infinity on the way back.
TEST(DecodeChunk, TheLargestNumbersOfADTypeComeBackFinite) {
  for (const auto& [dtype, most] : {std::pair{DType::kF16, 65504.0f}, {DType::kBF16, 0x1.FEp+127f}, {DType::kF32, kMost}}) {
    for (const Encoding encoding : {Encoding::kInt8, Encoding::kNf4}) {
      const std::vector<float> values(64, -most);
      const auto chunk = Encode(encoding, values);
      std::vector<std::byte> native(64 * tensor::ElementBytes(dtype));
      ASSERT_TRUE(DecodeChunk(dtype, encoding, 64, chunk, native).ok());
      EXPECT_TRUE(CheckChunk(dtype, Encoding::kNative, 64, native).ok()) << tensor::DTypeName(dtype);
    }
  }
}

}  // namespace
}  // namespace tributary::encoding
