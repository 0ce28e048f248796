#include "tributary/tensor/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tributary/base/random.h"

namespace tributary::tensor {
namespace {

using testing::HasSubstr;

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,
                          DType::kI64, DType::kI32, DType::kU8,   DType::kBool};

TEST(DType, NamesWidthsAndNumbersGoBothWays) {
  for (const DType dtype : kAll) {
    EXPECT_EQ(ParseDType(DTypeName(dtype)).value(), dtype);
    EXPECT_EQ(DTypeFromInt(static_cast<std::uint64_t>(dtype)).value(), dtype);
  }
  EXPECT_EQ(ParseDType("bf16").value(), DType::kBF16);
  EXPECT_EQ(ElementBytes(DType::kF64), 8u);
  EXPECT_EQ(ElementBytes(DType::kF32), 4u);
  EXPECT_EQ(ElementBytes(DType::kBF16), 2u);
  EXPECT_EQ(ElementBytes(DType::kBool), 1u);
}

TEST(DType, NumbersOnDiskAndWireStayWhatTheyAre) {
  EXPECT_EQ(static_cast<int>(DType::kF32), 1);
  EXPECT_EQ(static_cast<int>(DType::kF16), 2);
  EXPECT_EQ(static_cast<int>(DType::kBF16), 3);
  EXPECT_EQ(static_cast<int>(DType::kBool), 8);
  EXPECT_EQ(static_cast<int>(Encoding::kNative), 0);
  EXPECT_EQ(static_cast<int>(Encoding::kNf4), 4);
}

TEST(DType, UnknownNamesAndNumbersAreRefused) {
  for (const char* bad : {"", "F8", "float32", "F32 ", "f_32"}) EXPECT_FALSE(ParseDType(bad).ok()) << bad;
  EXPECT_LT(ParseDType(std::string(10'000, 'F')).error().message().size(), 200u);
  for (const std::uint64_t bad : {0ull, 9ull, 255ull, 257ull, ~0ull}) {
    EXPECT_EQ(DTypeFromInt(bad).error().code(), Code::kProtocol) << bad;
  }
}

TEST(Encoding, NamesAndNumbers) {
  const char* names[] = {"native", "fp16", "bf16", "int8", "nf4"};
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(EncodingName(EncodingFromInt(i).value()), names[i]);
  for (const std::uint64_t bad : {5ull, 256ull, ~0ull}) EXPECT_FALSE(EncodingFromInt(bad).ok());
}

TEST(F16, EveryPatternComesBack) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = F16ToFloat(half);
    if ((bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0) {
      EXPECT_TRUE(std::isnan(wide));
      EXPECT_TRUE(std::isnan(F16ToFloat(FloatToF16(wide))));
      EXPECT_EQ(FloatToF16(wide) & 0x8000, bits & 0x8000);
    } else {
      ASSERT_EQ(FloatToF16(wide), half) << bits;
    }
  }
}

TEST(BF16, EveryPatternComesBack) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto brief = static_cast<std::uint16_t>(bits);
    const float wide = BF16ToFloat(brief);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(BF16ToFloat(FloatToBF16(wide))));
    } else {
      ASSERT_EQ(FloatToBF16(wide), brief) << bits;
    }
  }
}

TEST(F16, KnownValues) {
  EXPECT_EQ(FloatToF16(1.0f), 0x3C00);
  EXPECT_EQ(FloatToF16(-2.0f), 0xC000);
  EXPECT_EQ(FloatToF16(65504.0f), 0x7BFF);
  EXPECT_EQ(FloatToF16(65519.0f), 0x7BFF);
  EXPECT_EQ(FloatToF16(65520.0f), 0x7C00);
  EXPECT_EQ(FloatToF16(1e30f), 0x7C00);
  EXPECT_EQ(FloatToF16(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(FloatToF16(0x1p-24f), 0x0001);
  EXPECT_EQ(FloatToF16(0x1p-25f), 0x0000);           // half of the smallest: to even
  EXPECT_EQ(FloatToF16(0x1.000002p-25f), 0x0001);    // a hair above
  EXPECT_EQ(FloatToF16(-0.0f), 0x8000);
}

// The neighbour that is nearest, and of two equally near ones the even: checked between all neighbours.
TEST(F16, RoundsToNearestEven) {
  for (std::uint16_t bits = 0; bits < 0x7BFF; ++bits) {
    const double low = F16ToFloat(bits);
    const double high = F16ToFloat(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);  // exact: fp32 has 13 more bits
    const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(FloatToF16(middle), even) << bits;
    ASSERT_EQ(FloatToF16(std::nextafter(middle, 0.0f)), bits) << bits;
    ASSERT_EQ(FloatToF16(std::nextafter(middle, 1e9f)), bits + 1) << bits;
  }
}

TEST(BF16, RoundsToNearestEvenAndKeepsNan) {
  SplitMix64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto bits = static_cast<std::uint16_t>(random.NextBelow(0x7F7F));
    const std::uint32_t low = static_cast<std::uint32_t>(bits) << 16;
    const auto even = static_cast<std::uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(FloatToBF16(std::bit_cast<float>(low | 0x8000u)), even);
    ASSERT_EQ(FloatToBF16(std::bit_cast<float>(low | 0x7FFFu)), bits);
    ASSERT_EQ(FloatToBF16(std::bit_cast<float>(low | 0x8001u)), bits + 1);
  }
  EXPECT_EQ(FloatToBF16(std::numeric_limits<float>::max()), 0x7F80);
  // A NaN whose payload is in the low bits alone must not become infinity.
  EXPECT_TRUE(std::isnan(BF16ToFloat(FloatToBF16(std::bit_cast<float>(0x7F800001u)))));
  EXPECT_TRUE(std::isnan(F16ToFloat(FloatToF16(std::bit_cast<float>(0xFF800001u)))));
}

}  // namespace
}  // namespace tributary::tensor
