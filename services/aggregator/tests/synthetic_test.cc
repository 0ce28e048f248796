#include "services/aggregator/synthetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace tributary::aggregator {
namespace {

using tensor::DType;

// A model's section of one dtype, slot by slot.
std::vector<std::byte> Fill(const job::SyntheticModel& model, std::uint64_t seed, std::uint64_t chunk_bytes) {
  const auto layout = job::SyntheticLayout(model, chunk_bytes);
  EXPECT_TRUE(layout.ok());
  std::vector<std::byte> all;
  for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
    std::vector<std::byte> chunk(layout->SlotBytes(slot));
    FillSynthetic(model, seed, layout->Place(slot), chunk);
    all.insert(all.end(), chunk.begin(), chunk.end());
  }
  return all;
}

job::SyntheticModel Model(DType dtype, job::FillKind fill, std::uint64_t distinct = 0) {
  job::SyntheticModel model;
  model.bytes = 100'000;
  model.tensors = 3;
  model.dtype = dtype;
  model.fill = fill;
  model.distinct = distinct;
  return model;
}

float ToFloat(DType dtype, const std::byte* p) {
  std::uint16_t half;
  std::memcpy(&half, p, 2);
  if (dtype == DType::kF16) return tensor::F16ToFloat(half);
  if (dtype == DType::kBF16) return tensor::BF16ToFloat(half);
  if (dtype == DType::kF64) {
    double value;
    std::memcpy(&value, p, 8);
    return static_cast<float>(value);
  }
  float value;
  std::memcpy(&value, p, 4);
  return value;
}

class EveryDType : public testing::TestWithParam<DType> {};

TEST_P(EveryDType, ContentDoesNotDependOnTheSlotSize) {
  for (const auto fill : {job::FillKind::kRandom, job::FillKind::kConstant, job::FillKind::kTiled}) {
    const auto model = Model(GetParam(), fill, 4099 * 8);
    const auto small = Fill(model, 7, 4096);
    EXPECT_EQ(small, Fill(model, 7, 65536));
    EXPECT_EQ(small.size(), 100'000u / tensor::ElementBytes(GetParam()) * tensor::ElementBytes(GetParam()));
  }
}

TEST_P(EveryDType, SeedsDiffer) {
  const auto model = Model(GetParam(), job::FillKind::kRandom);
  EXPECT_EQ(Fill(model, 1, 4096), Fill(model, 1, 4096));
  EXPECT_NE(Fill(model, 1, 4096), Fill(model, 2, 4096));
}

INSTANTIATE_TEST_SUITE_P(All, EveryDType,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kF64, DType::kI64, DType::kI32,
                                         DType::kU8, DType::kBool),
                         [](const auto& info) { return std::string(tensor::DTypeName(info.param)); });

TEST(FillSynthetic, RandomFloatsFillTheirRange) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF64}) {
    const auto bytes = Fill(Model(dtype, job::FillKind::kRandom), 3, 65536);
    float low = 1;
    float high = -1;
    double sum = 0;
    const std::size_t width = tensor::ElementBytes(dtype);
    for (std::size_t i = 0; i < bytes.size(); i += width) {
      const float value = ToFloat(dtype, bytes.data() + i);
      ASSERT_TRUE(std::isfinite(value));
      low = std::min(low, value);
      high = std::max(high, value);
      sum += value;
    }
    EXPECT_GE(low, -1.0f);
    EXPECT_LT(low, -0.98f);
    EXPECT_LE(high, 1.0f);
    EXPECT_GT(high, 0.98f);
    EXPECT_NEAR(sum / static_cast<double>(bytes.size() / width), 0.0, 0.05);
  }
}

TEST(FillSynthetic, TilesRepeat) {
  const auto bytes = Fill(Model(DType::kF32, job::FillKind::kTiled, 8192), 3, 65536);
  for (std::size_t i = 8192; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], bytes[i - 8192]) << i;
  const auto random = Fill(Model(DType::kF32, job::FillKind::kRandom), 3, 65536);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + 8192, random.begin()));
}

}  // namespace
}  // namespace tributary::aggregator
