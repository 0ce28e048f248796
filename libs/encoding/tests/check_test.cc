// Chunks as a hostile peer makes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "tributary/encoding/encoding.h"

namespace tributary::encoding {
namespace {

using tensor::DType;
using tensor::Encoding;
using testing::HasSubstr;

bool Good(DType dtype, Encoding encoding, std::size_t elements, std::span<const std::byte> chunk) {
  return CheckChunk(dtype, encoding, elements, chunk).ok();
}

// One odd number among plain ones, at each end of the blocks that are looked at together.
template <class Bits>
void ExpectFinite(DType dtype, Encoding encoding, Bits plain, Bits odd, bool finite) {
  for (const std::size_t size : {1u, 7u, 4095u, 4096u, 5000u}) {
    std::vector<Bits> numbers(size, plain);
    EXPECT_TRUE(Good(dtype, encoding, size, std::as_bytes(std::span(numbers))));
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      numbers.assign(size, plain);
      numbers[at] = odd;
      EXPECT_EQ(Good(dtype, encoding, size, std::as_bytes(std::span(numbers))), finite) << size << " " << at;
    }
  }
}

TEST(CheckChunk, TellsNaNAndInfinityOfBothSignsFromTheLargestNumbers) {
  const auto native = Encoding::kNative;
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    ExpectFinite<std::uint32_t>(DType::kF32, native, 0x3F800000, sign | 0x7F800000, false);
    ExpectFinite<std::uint32_t>(DType::kF32, native, 0x3F800000, sign | 0x7F800001, false);
    ExpectFinite<std::uint32_t>(DType::kF32, native, 0x3F800000, sign | 0x7FFFFFFF, false);
    ExpectFinite<std::uint32_t>(DType::kF32, native, 0xBF800000, sign | 0x7F7FFFFF, true);
    ExpectFinite<std::uint32_t>(DType::kF32, native, 0xBF800000, sign | 0x00000001, true);
  }
  for (const std::uint16_t sign : {0, 0x8000}) {
    const auto with = [&](std::uint16_t bits) { return static_cast<std::uint16_t>(sign | bits); };
    for (const auto& [dtype, encoding] : {std::pair{DType::kF16, native}, {DType::kF32, Encoding::kF16}, {DType::kF16, Encoding::kF16}}) {
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3C00, with(0x7C00), false);
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3C00, with(0x7E01), false);
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3C00, with(0x7BFF), true);
    }
    for (const auto& [dtype, encoding] : {std::pair{DType::kBF16, native}, {DType::kF64, Encoding::kBF16}}) {
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3F80, with(0x7F80), false);
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3F80, with(0x7FC1), false);
      ExpectFinite<std::uint16_t>(dtype, encoding, 0x3F80, with(0x7F7F), true);
    }
  }
  const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
  using Limits = std::numeric_limits<double>;
  ExpectFinite<std::uint64_t>(DType::kF64, native, bits(1), bits(Limits::infinity()), false);
  ExpectFinite<std::uint64_t>(DType::kF64, native, bits(1), bits(-Limits::infinity()), false);
  ExpectFinite<std::uint64_t>(DType::kF64, native, bits(1), bits(Limits::quiet_NaN()), false);
  ExpectFinite<std::uint64_t>(DType::kF64, native, bits(1), bits(Limits::lowest()), true);
}

TEST(CheckChunk, IntegersAreFiniteWhateverTheirBits) {
  const std::vector<std::byte> ones(8192, std::byte{0xFF});
  for (const DType dtype : {DType::kI64, DType::kI32, DType::kU8, DType::kBool}) {
    for (const Encoding encoding : {Encoding::kNative, Encoding::kF16, Encoding::kInt8, Encoding::kNf4}) {
      EXPECT_TRUE(Good(dtype, encoding, ones.size() / tensor::ElementBytes(dtype), ones));
    }
  }
}

TEST(CheckChunk, RefusesOtherSizes) {
  for (const Encoding encoding : {Encoding::kNative, Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI32}) {
      const std::uint64_t right = EncodedBytes(dtype, encoding, 100);
      for (const std::uint64_t size : {std::uint64_t{0}, right - 1, right, right + 1}) {
        const std::vector<std::byte> chunk(size);
        const Status checked = CheckChunk(dtype, encoding, 100, chunk);
        EXPECT_EQ(checked.ok(), size == right);
        if (!checked.ok()) {
          EXPECT_THAT(checked.error().message(), HasSubstr("100 elements of"));
        }
      }
    }
  }
}

TEST(CheckChunk, RefusesHostileScalesAndNamesTheBlock) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const float most = std::numeric_limits<float>::max();
  for (const Encoding encoding : {Encoding::kInt8, Encoding::kNf4}) {
    const auto with = [&](float scale) {
      std::vector<std::byte> chunk(EncodedBytes(DType::kF32, encoding, 200));
      std::memcpy(chunk.data() + 2 * sizeof scale, &scale, sizeof scale);
      return CheckChunk(DType::kF32, encoding, 200, chunk);
    };
    for (const float bad : {nan, -nan, infinity, -infinity, -1.0f, -0.0f}) {
      ASSERT_FALSE(with(bad).ok()) << bad;
      EXPECT_THAT(with(bad).error().message(), HasSubstr("the scale of its block 2 is"));
    }
    EXPECT_TRUE(with(0.0f).ok());
    EXPECT_EQ(with(most).ok(), encoding == Encoding::kNf4);
  }
}

TEST(CheckChunk, RefusesCodesThatNoEncoderMakes) {
  std::vector<std::byte> int8(EncodedBytes(DType::kF32, Encoding::kInt8, 65));
  EXPECT_TRUE(Good(DType::kF32, Encoding::kInt8, 65, int8));
  int8[40] = std::byte{0x80};
  EXPECT_THAT(CheckChunk(DType::kF32, Encoding::kInt8, 65, int8).error().message(), HasSubstr("-128"));
  int8[40] = std::byte{0};
  int8[3] = std::byte{0x00}, int8[2] = std::byte{0x80};  // within a scale it is none
  EXPECT_TRUE(Good(DType::kF32, Encoding::kInt8, 65, int8));
  std::vector<std::byte> nf4(EncodedBytes(DType::kF32, Encoding::kNf4, 3), std::byte{0});
  EXPECT_TRUE(Good(DType::kF32, Encoding::kNf4, 3, nf4));
  nf4.back() = std::byte{0x01};
  EXPECT_THAT(CheckChunk(DType::kF32, Encoding::kNf4, 3, nf4).error().message(), HasSubstr("half byte"));
}

}  // namespace
}  // namespace tributary::encoding
