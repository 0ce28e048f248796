// 4-bit NormalFloat against bitsandbytes; golden values by golden/make_adapter_golden.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "golden_files.h"
#include "nf4.h"
#include "tributary/base/random.h"
#include "tributary/encoding/encoding.h"

namespace tributary::train {
namespace {

// On the processor, and as a device has it: codes and scales as tensors, widened by operations of libtorch.
Place Apart() { return {.device = at::kCPU, .apart = true}; }

class Nf4Golden : public ::testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(Nf4Golden, GivesBackWhatBitsandbytesDoes) {
  const Json golden = ReadGolden("nf4_golden.json");
  const std::vector<float> values = golden["values"];
  const auto [twice, apart] = GetParam();
  const std::vector<float> expected = golden[twice ? "nf4_double" : "nf4"];
  Nf4 matrix(golden["shape"].get<std::vector<std::int64_t>>(), twice, apart ? Apart() : Place());
  matrix.Quantize(values);
  const at::Tensor back = matrix.Dequantize(at::kFloat);
  ASSERT_EQ(static_cast<std::size_t>(back.numel()), expected.size());
  const float* ours = back.data_ptr<float>();
  // Scales that were doubly quantized are a product and a sum in fp32, which may round otherwise in the last place.
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(ours[i], expected[i], 1e-6f * std::abs(expected[i]) + 1e-7f) << i;
}

INSTANTIATE_TEST_SUITE_P(Nf4, Nf4Golden, ::testing::Combine(::testing::Bool(), ::testing::Bool()));

// One value, short and whole blocks, odd ends; and around 256 blocks, which share a scale of their scales when these are quantized.
TEST(Nf4, ADeviceWidensEverySizeToTheSameBits) {
  for (const std::int64_t size : {1, 2, 63, 64, 65, 127, 1073, 64 * 256 - 1, 64 * 256, 64 * 256 + 1, 64 * 257 + 33, 64 * 512, 64 * 600 + 63}) {
    std::vector<float> values(static_cast<std::size_t>(size));
    SplitMix64 random(static_cast<std::uint64_t>(size));
    // Blocks of very different size, some of zeros, so that no scale passes for its neighbour's.
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t block = i / 64;
      values[i] = block % 5 == 3 ? 0.0f : static_cast<float>((random.NextUnit() - 0.5) * std::pow(2.0, static_cast<double>(block % 11) - 5));
    }
    for (const bool twice : {false, true}) {
      Nf4 here({1, size}, twice);
      Nf4 there({1, size}, twice, Apart());
      here.Quantize(values);
      there.Quantize(values);
      for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
        const at::Tensor a = here.Dequantize(type), b = there.Dequantize(type);
        ASSERT_EQ(a.sizes(), b.sizes());
        ASSERT_EQ(b.scalar_type(), type);
        EXPECT_TRUE(at::equal(a, b)) << size << (twice ? " values, scales in 8 bits, " : " values, ") << type;
      }
      // The last value, which may be alone in its byte and in its block, is the one that was stored, to what 4 bits allow.
      const float last = here.Dequantize(at::kFloat).data_ptr<float>()[size - 1];
      const std::size_t begin = (values.size() - 1) / 64 * 64;
      float largest = 0;
      for (std::size_t i = begin; i < values.size(); ++i) largest = std::max(largest, std::abs(values[i]));
      EXPECT_NEAR(last, values.back(), 0.2f * largest + (twice ? 0.5f : 0.0f)) << size;
    }
  }
}

TEST(Nf4, WhatADeviceHoldsIsPaddedToWholeBlocks) {
  EXPECT_EQ(Nf4({64, 64}, false, Apart()).bytes(), Nf4({64, 64}, false).bytes());
  EXPECT_EQ(Nf4({1, 65}, false, Apart()).bytes(), 64u + 2 * 4);
  // 257 blocks: their 8-bit scales stand in whole parts of 256.
  EXPECT_EQ(Nf4({1, 64 * 256 + 1}, true, Apart()).bytes(), 257u * 32 + 512 + 2 * 4);
}

TEST(Nf4, CodeBooksAreThePublishedOnes) {
  const Json golden = ReadGolden("nf4_golden.json");
  const std::vector<float> levels = golden["levels"];
  ASSERT_EQ(levels.size(), std::size(encoding::kNf4Levels));
  for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_EQ(encoding::kNf4Levels[i], levels[i]) << i;
  const std::vector<float> book = golden["dynamic_code_book"];
  ASSERT_EQ(book.size(), DynamicCodeBook().size());
  for (std::size_t i = 0; i < book.size(); ++i) EXPECT_NEAR(DynamicCodeBook()[i], book[i], 1e-6f * std::abs(book[i])) << i;
}

TEST(Nf4, HoldsHalfAByteAValueAndItsScales) {
  EXPECT_EQ(Nf4({64, 64}, false).bytes(), 64u * 64 / 2 + 64 * 4);
  EXPECT_EQ(Nf4({64, 64}, true).bytes(), 64u * 64 / 2 + 64 + 4);
}

TEST(Nf4, AnOddLastValueSurvives) {
  for (const Place& place : {Place(), Apart()}) {
    Nf4 matrix({1, 67}, false, place);
    std::vector<float> values(67, 0.5f);
    values[66] = -2.0f;
    matrix.Quantize(values);
    EXPECT_EQ(matrix.Dequantize(at::kFloat).data_ptr<float>()[66], -2.0f);
  }
}

TEST(Nf4, FreshIsZero) {
  for (const Place& place : {Place(), Apart()}) {
    for (const bool twice : {false, true}) EXPECT_EQ(Nf4({3, 5}, twice, place).Dequantize(at::kFloat).abs().sum().item<float>(), 0.0f);
  }
}

}  // namespace
}  // namespace tributary::train
