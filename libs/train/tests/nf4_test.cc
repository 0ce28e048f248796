// 4-bit NormalFloat against bitsandbytes; golden values by golden/make_adapter_golden.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden_files.h"
#include "nf4.h"
#include "tributary/encoding/encoding.h"

namespace tributary::train {
namespace {

class Nf4Golden : public ::testing::TestWithParam<bool> {};

TEST_P(Nf4Golden, GivesBackWhatBitsandbytesDoes) {
  const Json golden = ReadGolden("nf4_golden.json");
  const std::vector<float> values = golden["values"];
  const std::vector<float> expected = golden[GetParam() ? "nf4_double" : "nf4"];
  Nf4 matrix(golden["shape"].get<std::vector<std::int64_t>>(), GetParam());
  matrix.Quantize(values);
  const at::Tensor back = matrix.Dequantize(at::kFloat);
  ASSERT_EQ(static_cast<std::size_t>(back.numel()), expected.size());
  const float* ours = back.data_ptr<float>();
  // Scales that were doubly quantized are a product and a sum in fp32, which may round otherwise in the last place.
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(ours[i], expected[i], 1e-6f * std::abs(expected[i]) + 1e-7f) << i;
}

INSTANTIATE_TEST_SUITE_P(Nf4, Nf4Golden, ::testing::Bool());

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
  Nf4 matrix({1, 67}, false);
  std::vector<float> values(67, 0.5f);
  values[66] = -2.0f;
  matrix.Quantize(values);
  EXPECT_EQ(matrix.Dequantize(at::kFloat).data_ptr<float>()[66], -2.0f);
}

TEST(Nf4, FreshIsZero) {
  for (const bool twice : {false, true}) EXPECT_EQ(Nf4({3, 5}, twice).Dequantize(at::kFloat).abs().sum().item<float>(), 0.0f);
}

}  // namespace
}  // namespace tributary::train
