#include "libs/blob/src/shape.h"

#include <gmock/gmock.h>

#include "libs/blob/src/format.h"
#include "libs/blob/testing/store_testing.h"

namespace tributary::blob::testing {
namespace {

using ::testing::HasSubstr;

std::vector<wire::ObjectSpec> Specs() {
  std::vector<wire::ObjectSpec> specs{SmallSpec(), OneTensorSpec(4096, 4096), OneTensorSpec(9 * 4096 - 5, 4096)};
  wire::ObjectSpec sections;  // slots of 1, 7, 3 and 1, the last ones of three short
  sections.tensors = {{"a", tensor::DType::kU8, {100}},
                      {"b", tensor::DType::kF32, {6 * 1024 + 3}},
                      {"c", tensor::DType::kF16, {3 * 2048}},
                      {"d", tensor::DType::kI64, {1}}};
  sections.chunk_bytes = 4096;
  specs.push_back(sections);
  sections.encoding = tensor::Encoding::kBF16;
  sections.kind = wire::ObjectKind::kUpdate;
  specs.push_back(sections);
  sections.encoding = tensor::Encoding::kNative;
  sections.tensors.push_back({"e", tensor::DType::kF32, {77}});
  for (const tensor::Cut cut : {tensor::Cut::kTensors, tensor::Cut::kSections}) {
    sections.cut = cut;
    specs.push_back(sections);
  }
  return specs;
}

TEST(ObjectShape, OwnSlotsOfEachShardLieOneBehindAnother) {
  for (const wire::ObjectSpec& spec : Specs()) {
    const auto layout = LayoutOf(spec);
    const auto whole = ObjectShape::Make(spec).value();
    EXPECT_FALSE(whole.sharded());
    EXPECT_EQ(whole.own_bytes(), whole.bytes());
    EXPECT_EQ(whole.own_slots(), whole.slots());
    for (std::uint32_t count = 1; count <= 5; ++count) {
      std::uint64_t slots = 0;
      std::uint64_t bytes = 0;
      for (std::uint32_t number = 0; number < count; ++number) {
        const auto shape = ObjectShape::Make(spec, {number, count}).value();
        EXPECT_EQ(shape.slots(), layout.slot_count());
        EXPECT_EQ(shape.bytes(), whole.bytes());
        std::uint64_t own = 0;
        std::uint64_t next = 0;
        for (std::uint64_t slot = number; slot < shape.slots(); slot += count) {
          EXPECT_TRUE(shape.Has(slot));
          EXPECT_EQ(shape.SlotBytes(slot), whole.SlotBytes(slot));
          EXPECT_EQ(shape.SlotOffset(slot), next) << slot << " of shard " << number << " of " << count;
          next += shape.SlotBytes(slot);
          ++own;
        }
        EXPECT_EQ(shape.own_slots(), own);
        EXPECT_EQ(shape.own_bytes(), next) << number << " of " << count;
        slots += own;
        bytes += next;
      }
      EXPECT_EQ(slots, whole.slots());
      EXPECT_EQ(bytes, whole.bytes());
    }
  }
}

TEST(ObjectShape, ASlotOfAnotherShardIsNamedWithBoth) {
  const auto shape = ObjectShape::Make(SmallSpec(), {0, 2}).value();
  EXPECT_TRUE(shape.CheckSlot(Object("x"), 4).ok());
  const Status other = shape.CheckSlot(Object("x"), 3);
  ASSERT_EQ(CodeOf(other), "not found");
  EXPECT_EQ(other.error().message(), "slot 3 of object 'x' lies on shard 1 of 2, this is shard 0");
  EXPECT_EQ(CodeOf(shape.CheckChunk(Object("x"), 3, 4096)), "not found");
  EXPECT_EQ(CodeOf(shape.CheckContent(Object("x"), 3, Pattern(4096, 3))), "not found");
  EXPECT_EQ(shape.CheckSlot(Object("x"), 7).error().message(), "object 'x' has no slot 7: it has 7");
}

TEST(ObjectShape, DigestsAreOfAWholePageAndOfSeveralShards) {
  const auto spec = OneTensorSpec((wire::kPageDigests + 3) * 4096, 4096);
  const auto shape = ObjectShape::Make(spec, {1, 2}).value();
  EXPECT_EQ(shape.pages(), 2u);
  EXPECT_EQ(shape.PageSlots(1), (tensor::SlotRange{wire::kPageDigests, wire::kPageDigests + 3}));
  std::vector<wire::SlotDigest> digests(3);
  for (auto& digest : digests) digest.sha256[5] = std::byte{1};
  const auto check = [&](std::uint64_t page) { return shape.CheckDigests(Object("x"), page, digests); };
  EXPECT_TRUE(check(1).ok());
  for (const std::uint64_t page : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0}}) EXPECT_EQ(CodeOf(check(page)), "invalid argument");
  digests[1] = {};  // its own
  EXPECT_TRUE(check(1).ok());
  digests[2] = {};
  EXPECT_THAT(check(1).error().message(), HasSubstr("slot 4098"));
  digests.resize(2);
  EXPECT_THAT(check(1).error().message(), HasSubstr("3 slots, not 2"));
  const auto alone = ObjectShape::Make(spec).value();
  EXPECT_EQ(CodeOf(alone.CheckDigests(Object("x"), 1, digests)), "invalid argument");
}

TEST(Format, TellsShardsApartAndNothingElse) {
  const std::string version = "tributary blob-store 2\n";
  EXPECT_EQ(FormatText(version, {}), version);
  EXPECT_EQ(FormatText(version, {1, 2}), version + "shard 1 of 2\n");
  for (const Shard shard : {Shard{}, Shard{0, 2}, Shard{1023, 1024}}) EXPECT_EQ(ParseFormat(version, FormatText(version, shard)), shard);
  for (const char* rest : {"shard 2 of 2\n", "shard 0 of 1\n", "shard 0 of 0\n", "shard 1 of 2", "shard 01 of 2\n", "shard 1 of 2\n\n", "shard -1 of 2\n",
                           "shard 1 of 99999999999\n", "shard", "shard 1", " of 2\n", "x"}) {
    EXPECT_EQ(ParseFormat(version, version + rest), std::nullopt) << rest;
  }
  EXPECT_EQ(ParseFormat(version, "tributary blob-store 1\n"), std::nullopt);
  EXPECT_EQ(ParseFormat(version, ""), std::nullopt);
}

}  // namespace
}  // namespace tributary::blob::testing
