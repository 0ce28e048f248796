#include "tributary/tensor/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tributary/base/random.h"

namespace tributary::tensor {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::vector<TensorSpec> tensors, std::uint64_t chunk_bytes = 4096) {
  const auto layout = Layout::Make(std::move(tensors), chunk_bytes);
  EXPECT_FALSE(layout.ok());
  return layout.ok() ? "" : layout.error().message();
}

TEST(ElementCount, ProductsAndTheirLimits) {
  EXPECT_EQ(ElementCount({}).value(), 1u);
  EXPECT_EQ(ElementCount({3, 4, 5}).value(), 60u);
  EXPECT_EQ(ElementCount({1ULL << 56}).value(), 1ULL << 56);
  EXPECT_THAT(ElementCount({3, 0, 5}).error().message(), HasSubstr("zero"));
  EXPECT_FALSE(ElementCount({(1ULL << 56) + 1}).ok());
  EXPECT_FALSE(ElementCount({1ULL << 32, 1ULL << 32}).ok());
  EXPECT_FALSE(ElementCount({1ULL << 63, 2}).ok());
}

TEST(Layout, RefusesWhatItCannotHoldAndNamesTheTensor) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("at least one"));
  EXPECT_THAT(ErrorOf({{"", DType::kF32, {1}}}), HasSubstr("0 bytes"));
  EXPECT_THAT(ErrorOf({{std::string(256, 'n'), DType::kF32, {1}}}), HasSubstr("256 bytes"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1}}, {"a", DType::kF16, {1}}}), HasSubstr("'a' stands twice"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1, 1, 1, 1, 1, 1, 1, 1, 1}}}), HasSubstr("'a' has 9 dimensions"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {2, 0}}}), HasSubstr("'a': a dimension is zero"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1ULL << 40, 1ULL << 40}}}), HasSubstr("'a'"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1ULL << 56}}, {"b", DType::kF32, {1}}}), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1}}}, kMinChunkBytes - 1), HasSubstr("4096 to 4194304"));
  EXPECT_THAT(ErrorOf({{"a", DType::kF32, {1}}}, kMaxChunkBytes + 1), HasSubstr("4096 to 4194304"));
  std::vector<TensorSpec> many;
  for (std::uint64_t i = 0; i <= kMaxTensors; ++i) many.push_back({std::to_string(i), DType::kF32, {1}});
  EXPECT_THAT(ErrorOf(many), HasSubstr("65537 tensors"));
  many.pop_back();
  EXPECT_TRUE(Layout::Make(many, 4096).ok());
}

TEST(Layout, SectionsFollowTheFirstAppearanceOfADType) {
  const auto layout = Layout::Make({{"a", DType::kF32, {1000}}, {"b", DType::kBF16, {3}}, {"c", DType::kF32, {100, 11}},
                                    {"d", DType::kI64, {}}}, 4096);
  ASSERT_TRUE(layout.ok());
  ASSERT_EQ(layout->sections().size(), 3u);
  EXPECT_EQ(layout->sections()[0].dtype, DType::kF32);
  EXPECT_EQ(layout->sections()[0].elements, 2100u);
  EXPECT_EQ(layout->sections()[0].elements_per_slot, 1024u);
  EXPECT_EQ(layout->sections()[0].slots, (SlotRange{0, 3}));
  EXPECT_EQ(layout->sections()[1].slots, (SlotRange{3, 4}));
  EXPECT_EQ(layout->sections()[2].slots, (SlotRange{4, 5}));
  EXPECT_EQ(layout->slot_count(), 5u);
  EXPECT_EQ(layout->total_bytes(), 2100u * 4 + 3 * 2 + 8);
  EXPECT_EQ(layout->PlaceOfTensor(2).first_element, 1000u);
  EXPECT_EQ(layout->SlotBytes(2), (2100u - 2048) * 4);
  EXPECT_EQ(layout->SlotBytes(4), 8u);
  const auto pieces = layout->Pieces(0);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1].tensor, 2u);
  EXPECT_EQ(pieces[1].tensor_offset, 0u);
  EXPECT_EQ(pieces[1].chunk_offset, 4000u);
  EXPECT_EQ(pieces[1].bytes, 96u);
}

TEST(Layout, SlotsHoldAMultipleOf64Elements) {
  const auto layout = Layout::Make({{"a", DType::kF64, {100'000}}}, 5000);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->sections()[0].elements_per_slot, 576u);  // 5000 / 8 = 625
}

TEST(Layout, EqualityIsOfTensorsAndChunkBytes) {
  const std::vector<TensorSpec> tensors = {{"a", DType::kF32, {10}}};
  EXPECT_EQ(*Layout::Make(tensors, 4096), *Layout::Make(tensors, 4096));
  EXPECT_FALSE(*Layout::Make(tensors, 4096) == *Layout::Make(tensors, 8192));
}

TEST(Layout, OfAModelOf128GigabytesNeedsNoTableOfSlots) {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < 500; ++i) tensors.push_back({"t" + std::to_string(i), DType::kF32, {64'000'000}});
  const auto layout = Layout::Make(tensors, kDefaultChunkBytes);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->total_bytes(), 128'000'000'000u);
  EXPECT_EQ(layout->slot_count(), 122'071u);  // 128e9 / 2^20, rounded up
  EXPECT_EQ(layout->Pieces(layout->slot_count() - 1).back().tensor, 499u);
}

// Every byte of every tensor is in exactly one piece, and the pieces of a slot fill its chunk without a gap.
TEST(Layout, PiecesCoverEveryByteOnceForRandomShapes) {
  constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kF64, DType::kU8};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SplitMix64 random(seed);
    std::vector<TensorSpec> tensors;
    const std::uint64_t count = 1 + random.NextBelow(12);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::vector<std::uint64_t> shape;
      for (std::uint64_t d = random.NextBelow(4); d > 0; --d) {
        shape.push_back(1 + random.NextBelow(random.NextBelow(4) == 0 ? 40 : 6));
      }
      tensors.push_back({"t" + std::to_string(i), kDTypes[random.NextBelow(4)], shape});
    }
    const auto layout = Layout::Make(tensors, kMinChunkBytes + random.NextBelow(3000));
    ASSERT_TRUE(layout.ok()) << seed;

    std::vector<std::uint64_t> next_of_tensor(tensors.size(), 0);
    std::uint64_t total = 0;
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const SlotPlace place = layout->Place(slot);
      ASSERT_GT(place.elements, 0u);
      ASSERT_LE(place.native_bytes(), layout->chunk_bytes());
      ASSERT_EQ(place.first_element % 64, 0u);
      std::uint64_t next_in_chunk = 0;
      for (const SlotPiece& piece : layout->Pieces(slot)) {
        ASSERT_EQ(piece.chunk_offset, next_in_chunk) << seed;
        ASSERT_EQ(piece.tensor_offset, next_of_tensor[piece.tensor]) << seed;
        ASSERT_GT(piece.bytes, 0u);
        ASSERT_EQ(tensors[piece.tensor].dtype, place.dtype);
        next_in_chunk += piece.bytes;
        next_of_tensor[piece.tensor] += piece.bytes;
      }
      ASSERT_EQ(next_in_chunk, layout->SlotBytes(slot)) << seed;
      total += next_in_chunk;
    }
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      ASSERT_EQ(next_of_tensor[i], ElementCount(tensors[i].shape).value() * ElementBytes(tensors[i].dtype)) << seed;
    }
    ASSERT_EQ(total, layout->total_bytes()) << seed;
  }
}

const std::vector<TensorSpec>& Mixed() {
  static const std::vector<TensorSpec> tensors{
      {"a", DType::kF32, {1000}}, {"b", DType::kBF16, {3}}, {"c", DType::kF32, {100, 11}}, {"d", DType::kF32, {7}}};
  return tensors;
}

TEST(Layout, CutAtTensorsEachIsASlotOfItsSection) {
  const auto layout = Layout::Make(Mixed(), 4096, Cut::kTensors);
  ASSERT_TRUE(layout.ok()) << layout.error().message();
  ASSERT_EQ(layout->slot_count(), 4u);
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> places{{0, 1000}, {1000, 1100}, {2100, 7}, {0, 3}};
  const std::vector<std::uint32_t> tensors{0, 2, 3, 1};
  for (std::uint64_t slot = 0; slot < 4; ++slot) {
    const SlotPlace place = layout->Place(slot);
    EXPECT_EQ(place.first_element, places[slot].first) << slot;
    EXPECT_EQ(place.elements, places[slot].second) << slot;
    const auto pieces = layout->Pieces(slot);
    ASSERT_EQ(pieces.size(), 1u) << slot;
    EXPECT_EQ(pieces[0].tensor, tensors[slot]);
    EXPECT_EQ(pieces[0].bytes, layout->SlotBytes(slot));
  }
  EXPECT_EQ(LargestSlotBytes(*layout), 4400u);
  EXPECT_EQ(layout->total_bytes(), 2107u * 4 + 6);
}

TEST(Layout, CutAtSectionsEachIsOneSlot) {
  const auto layout = Layout::Make(Mixed(), 4096, Cut::kSections);
  ASSERT_TRUE(layout.ok()) << layout.error().message();
  ASSERT_EQ(layout->slot_count(), 2u);
  EXPECT_EQ(layout->SlotBytes(0), 2107u * 4);
  EXPECT_EQ(layout->SlotBytes(1), 6u);
  EXPECT_EQ(layout->Pieces(0).size(), 3u);
  EXPECT_EQ(LargestSlotBytes(*layout), 2107u * 4);
  EXPECT_FALSE(*layout == *Layout::Make(Mixed(), 4096));
}

TEST(Layout, MessagesAreBounded) {
  const auto refused = [](std::vector<TensorSpec> tensors, Cut cut) {
    const auto layout = Layout::Make(std::move(tensors), 4096, cut);
    return layout.ok() ? std::string() : layout.error().message();
  };
  const std::uint64_t most = kMaxMessageBytes / 4;
  EXPECT_EQ(refused({{"a", DType::kF32, {most}}}, Cut::kTensors), "");
  EXPECT_THAT(refused({{"a", DType::kF32, {most + 1}}}, Cut::kTensors), HasSubstr("tensor 'a'"));
  EXPECT_EQ(refused({{"a", DType::kF32, {most}}, {"b", DType::kF32, {1}}}, Cut::kTensors), "");
  EXPECT_THAT(refused({{"a", DType::kF32, {most}}, {"b", DType::kF32, {1}}}, Cut::kSections), HasSubstr("all of F32"));
  std::vector<TensorSpec> many;
  for (std::uint64_t i = 0; i <= kMaxEntries; ++i) many.push_back({std::to_string(i), DType::kF32, {1}});
  EXPECT_THAT(refused(many, Cut::kTensors), HasSubstr("4097 tensors"));
  EXPECT_EQ(refused(many, Cut::kSections), "");
  EXPECT_FALSE(CutFromInt(3).ok());
}

}  // namespace
}  // namespace tributary::tensor
