#include "libs/blob/src/finite.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace tributary::blob {
namespace {

using tensor::DType;

// One odd number among plain ones, at each end of the blocks that are looked at together.
template <class Bits>
void Check(DType dtype, Bits plain, Bits odd, bool finite) {
  for (const std::size_t size : {1u, 7u, 4095u, 4096u, 5000u}) {
    std::vector<Bits> numbers(size, plain);
    EXPECT_TRUE(AllFinite(dtype, std::as_bytes(std::span(numbers))));
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      numbers.assign(size, plain);
      numbers[at] = odd;
      EXPECT_EQ(AllFinite(dtype, std::as_bytes(std::span(numbers))), finite) << size << " " << at;
    }
  }
}

TEST(AllFinite, TellsNaNAndInfinityOfBothSignsFromTheLargestNumbers) {
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    Check<std::uint32_t>(DType::kF32, 0x3F800000, sign | 0x7F800000, false);
    Check<std::uint32_t>(DType::kF32, 0x3F800000, sign | 0x7F800001, false);
    Check<std::uint32_t>(DType::kF32, 0x3F800000, sign | 0x7FFFFFFF, false);
    Check<std::uint32_t>(DType::kF32, 0xBF800000, sign | 0x7F7FFFFF, true);
    Check<std::uint32_t>(DType::kF32, 0xBF800000, sign | 0x00000001, true);
  }
  for (const std::uint16_t sign : {0, 0x8000}) {
    const auto with = [&](std::uint16_t bits) { return static_cast<std::uint16_t>(sign | bits); };
    Check<std::uint16_t>(DType::kF16, 0x3C00, with(0x7C00), false);
    Check<std::uint16_t>(DType::kF16, 0x3C00, with(0x7E01), false);
    Check<std::uint16_t>(DType::kF16, 0x3C00, with(0x7BFF), true);
    Check<std::uint16_t>(DType::kBF16, 0x3F80, with(0x7F80), false);
    Check<std::uint16_t>(DType::kBF16, 0x3F80, with(0x7FC1), false);
    Check<std::uint16_t>(DType::kBF16, 0x3F80, with(0x7F7F), true);
  }
  const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
  using Limits = std::numeric_limits<double>;
  Check<std::uint64_t>(DType::kF64, bits(1), bits(Limits::infinity()), false);
  Check<std::uint64_t>(DType::kF64, bits(1), bits(-Limits::infinity()), false);
  Check<std::uint64_t>(DType::kF64, bits(1), bits(Limits::quiet_NaN()), false);
  Check<std::uint64_t>(DType::kF64, bits(1), bits(Limits::lowest()), true);
}

TEST(AllFinite, IntegersAreFiniteWhateverTheirBits) {
  const std::vector<std::byte> ones(8192, std::byte{0xFF});
  for (const DType dtype : {DType::kI64, DType::kI32, DType::kU8, DType::kBool}) EXPECT_TRUE(AllFinite(dtype, ones));
}

}  // namespace
}  // namespace tributary::blob
