#include "tributary/encoding/half.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tributary/base/random.h"
#include "tributary/tensor/dtype.h"

namespace tributary::encoding {
namespace {

TEST(Half, WidensEveryNumberAsTensorDoes) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float f16 = tensor::F16ToFloat(half);
    if (std::isnan(f16)) {
      EXPECT_TRUE(std::isnan(WidenF16(half)));
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(WidenF16(half)), std::bit_cast<std::uint32_t>(f16)) << bits;
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(WidenBF16(half)), std::bit_cast<std::uint32_t>(tensor::BF16ToFloat(half))) << bits;
  }
}

TEST(Half, NarrowsAsTensorDoes) {
  SplitMix64 random(1);
  for (int i = 0; i < 2'000'000; ++i) {
    // Random bits are of every magnitude; the others lie about the numbers that halves hold.
    auto bits = static_cast<std::uint32_t>(random.Next());
    if (i % 2 == 0) bits = std::bit_cast<std::uint32_t>(tensor::F16ToFloat(static_cast<std::uint16_t>(bits))) + static_cast<std::uint32_t>(i % 16384) - 8192;
    const float x = std::bit_cast<float>(bits);
    if (std::isnan(x)) continue;
    ASSERT_EQ(NarrowF16(x), tensor::FloatToF16(x)) << x;
    ASSERT_EQ(NarrowBF16(x), tensor::FloatToBF16(x)) << x;
  }
}

}  // namespace
}  // namespace tributary::encoding
