#include "tributary/wire/object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw.h"

namespace tributary::wire {
namespace {

using testing::HasSubstr;

ObjectSpec Spec() {
  ObjectSpec spec;
  spec.kind = ObjectKind::kUpdate;
  spec.tensors = {{"a", tensor::DType::kF16, {10, 20}}, {"b", tensor::DType::kF32, {3}}};
  spec.chunk_bytes = 4096;
  spec.encoding = tensor::Encoding::kBF16;
  spec.sample_count = 5;
  spec.base_digest = std::string(64, '0');
  spec.info = "{}";
  return spec;
}

std::string SpecError(const ObjectSpec& spec) {
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec)));
  EXPECT_FALSE(decoded.ok());
  return decoded.ok() ? "" : decoded.error().message();
}

TEST(ObjectSpec, ComesBackAsItWas) {
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(Spec())));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(*decoded, Spec());
}

TEST(ObjectSpec, HowItIsKeptTravelsAndIsNoPartOfTheManifest) {
  ObjectSpec spec = Spec();
  spec.encoding = tensor::Encoding::kNative;
  spec.repetitive = true;
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_TRUE(decoded->repetitive);
  ManifestRoot root;
  root.spec = spec;
  const std::string repetitive = EncodeManifestRoot(root);
  root.spec.repetitive = false;
  EXPECT_EQ(EncodeManifestRoot(root), repetitive);
}

TEST(ObjectSpec, SaysHowItIsCutOnlyWhereItIsNotInChunks) {
  ObjectSpec spec = Spec();
  EXPECT_EQ(EncodeObjectSpec(spec).find("cut"), std::string::npos) << "digests of what is streamed stay what they were";
  spec.cut = tensor::Cut::kTensors;
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded->cut, tensor::Cut::kTensors);
  EXPECT_EQ(MakeLayout(*decoded)->slot_count(), 2u);
  spec.cut = static_cast<tensor::Cut>(3);
  EXPECT_THAT(SpecError(spec), HasSubstr("not known here"));
}

TEST(ObjectSpec, SaysDeltaOnlyWhereItIsOne) {
  ObjectSpec spec = Spec();
  spec.kind = ObjectKind::kUpdate;
  const std::string weights = EncodeObjectSpec(spec);
  EXPECT_EQ(weights.find("delta"), std::string::npos) << "digests of objects without it stay what they were";
  spec.delta = true;
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_TRUE(decoded->delta);
  spec.kind = ObjectKind::kModel;
  EXPECT_THAT(SpecError(spec), HasSubstr("only an update can hold differences"));
}

TEST(ObjectSpec, RefusesALongShapeBeforeItIsMade) {
  ObjectSpec spec = Spec();
  spec.tensors[0].shape.assign(tensor::kMaxRank, 1);
  EXPECT_TRUE(DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec))).ok());
  spec.tensors[0].shape.assign(tensor::kMaxRank + 1, 1);
  EXPECT_THAT(SpecError(spec), HasSubstr("malformed"));
  spec.tensors[0].shape.assign(69'000, 1);
  EXPECT_THAT(SpecError(spec), HasSubstr("malformed"));
}

TEST(ObjectSpec, TheLargestLegalOneIsNotTooManyValues) {
  ObjectSpec spec = Spec();
  spec.tensors.clear();
  for (std::uint64_t i = 0; i < tensor::kMaxTensors; ++i) {
    spec.tensors.push_back({std::to_string(i), tensor::DType::kF32, std::vector<std::uint64_t>(tensor::kMaxRank, 1)});
  }
  const auto decoded = DecodeObjectSpec(AsBytes(EncodeObjectSpec(spec)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded->tensors.size(), tensor::kMaxTensors);
}

TEST(ObjectSpec, RefusesWhatNoLayoutIsMadeOf) {
  ObjectSpec spec = Spec();
  spec.tensors.clear();
  EXPECT_THAT(SpecError(spec), HasSubstr("at least one tensor"));
  spec = Spec();
  spec.tensors[1].name = "a";
  EXPECT_THAT(SpecError(spec), HasSubstr("'a' stands twice"));
  spec = Spec();
  spec.chunk_bytes = 1ull << 40;
  EXPECT_THAT(SpecError(spec), HasSubstr("chunk_bytes"));
  spec = Spec();
  spec.tensors[0].shape = {1ull << 40, 1ull << 40};
  EXPECT_THAT(SpecError(spec), HasSubstr("too many elements"));
}

TEST(ObjectSpec, RefusesNumbersItDoesNotKnow) {
  ObjectSpec spec = Spec();
  spec.kind = static_cast<ObjectKind>(9);
  EXPECT_THAT(SpecError(spec), HasSubstr("object kind 9"));
  spec = Spec();
  spec.encoding = static_cast<tensor::Encoding>(99);
  EXPECT_THAT(SpecError(spec), HasSubstr("encoding number 99"));
  spec = Spec();
  spec.tensors[0].dtype = static_cast<tensor::DType>(77);
  EXPECT_THAT(SpecError(spec), HasSubstr("dtype number 77"));
}

TEST(ObjectSpec, RefusesADigestThatIsNoneAndInfoWithoutEnd) {
  ObjectSpec spec = Spec();
  spec.base_digest = "zz";
  EXPECT_FALSE(SpecError(spec).empty());
  spec = Spec();
  spec.info = std::string((64 << 10) + 1, 'x');
  EXPECT_THAT(SpecError(spec), HasSubstr("over 64 KiB"));
}

TEST(ManifestRoot, ComesBackAsItWasAndMustFitItsLayout) {
  ManifestRoot root;
  root.spec = Spec();
  root.slots = 2;
  root.bytes = 412;
  root.pages.resize(1);
  root.pages[0].fill(std::byte{7});
  const auto decoded = DecodeManifestRoot(AsBytes(EncodeManifestRoot(root)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded->spec, root.spec);
  EXPECT_EQ(decoded->pages, root.pages);
  EXPECT_EQ(decoded->bytes, 412u);
  root.slots = 3;
  EXPECT_THAT(DecodeManifestRoot(AsBytes(EncodeManifestRoot(root))).error().message(), HasSubstr("3 slots in 1 pages do not fit"));
  root.slots = 2;
  root.pages.resize(2);
  EXPECT_FALSE(DecodeManifestRoot(AsBytes(EncodeManifestRoot(root))).ok());
}

TEST(ManifestRoot, RefusesAnotherFormat) {
  const std::string body("\x81\xa6" "format\x02");
  EXPECT_THAT(DecodeManifestRoot(AsBytes(body)).error().message(), HasSubstr("manifest of format 2"));
  EXPECT_THAT(DecodeObjectSpec(AsBytes(body)).error().message(), HasSubstr("object spec of format 2"));
}

TEST(Page, HoldsDigestsOf48Bytes) {
  std::vector<SlotDigest> digests(kPageDigests);
  digests[4095].xxh128 = SampleXxh128();
  const std::string page = EncodePage(digests);
  EXPECT_EQ(page.size(), kPageDigests * kSlotDigestBytes);
  EXPECT_EQ(*DecodePage(AsBytes(page)), digests);
  EXPECT_THAT(DecodePage(AsBytes(page).first(47)).error().message(), HasSubstr("47 bytes"));
  EXPECT_FALSE(DecodePage(AsBytes(page + std::string(48, '\0'))).ok());
  EXPECT_TRUE(DecodePage({})->empty());
}

}  // namespace
}  // namespace tributary::wire
