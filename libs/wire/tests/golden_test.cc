// The bytes of every frame, checked in: what one version sent, every later one must read.
//
// TRIBUTARY_WRITE_GOLDEN=1 writes files that are missing; files that are there are never rewritten.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "samples.h"
#include "tributary/digest/digest.h"

namespace tributary::wire {
namespace {

std::filesystem::path Path(const std::string& name) { return std::filesystem::path(TRIBUTARY_GOLDEN_DIR) / (name + ".hex"); }

std::string ReadGolden(const std::string& name, const std::string& actual) {
  if (!std::filesystem::exists(Path(name)) && std::getenv("TRIBUTARY_WRITE_GOLDEN") != nullptr) {
    std::ofstream(Path(name)) << actual;
  }
  std::ifstream file(Path(name));
  return {std::istreambuf_iterator<char>(file), {}};
}

// 32 bytes a line.
std::string HexLines(const std::string& bytes) {
  std::string lines;
  for (std::size_t i = 0; i < bytes.size(); i += 32) lines += digest::Hex(AsBytes(bytes).subspan(i, std::min<std::size_t>(32, bytes.size() - i))) + "\n";
  return lines;
}

TEST(Golden, FramesOfEveryMessage) {
  std::set<std::string> names{"object-spec.hex", "manifest-root.hex", "digest-page.hex", "grant.hex", "put-chunk-payload.hex"};
  ForEachSample([&](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const std::string name(TypeName(M::kType));
    const std::string actual = HexLines(EncodeFrame(kSampleId, sample));
    EXPECT_EQ(ReadGolden(name, actual), actual) << name;
    names.insert(name + ".hex");
  });
  for (const auto& entry : std::filesystem::directory_iterator(TRIBUTARY_GOLDEN_DIR)) {
    EXPECT_TRUE(names.contains(entry.path().filename())) << entry.path() << " belongs to no message";
  }
}

TEST(Golden, AFrameWithItsPayload) {
  const std::string frame = MakeHeader(Type::kPutChunk, kSampleId, EncodeBody(PutChunk{"o", 5, 3, 2, SampleXxh128()}), true) + "payload";
  EXPECT_EQ(ReadGolden("put-chunk-payload", HexLines(frame)), HexLines(frame));
}

TEST(Golden, AGrantWithoutItsSignature) {
  const std::string grant = EncodeGrant(SampleGrant());
  EXPECT_EQ(ReadGolden("grant", HexLines(grant)), HexLines(grant));
  const auto decoded = DecodeGrant(AsBytes(grant));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(*decoded, SampleGrant());
}

TEST(Golden, ObjectsAsTheyLieOnDisk) {
  ObjectSpec spec;
  spec.kind = ObjectKind::kUpdate;
  spec.tensors = {{"wte.weight", tensor::DType::kF32, {257, 64}}, {"steps", tensor::DType::kI64, {}}};
  spec.chunk_bytes = 65536;
  spec.sample_count = 321;
  spec.base_digest = std::string(64, 'd');
  spec.info = "{}";
  EXPECT_EQ(ReadGolden("object-spec", HexLines(EncodeObjectSpec(spec))), HexLines(EncodeObjectSpec(spec)));
  ManifestRoot root;
  root.spec = spec;
  root.slots = 3;
  root.bytes = 257 * 64 * 4 + 8;
  root.pages.resize(1);
  root.pages[0].fill(std::byte{0x5A});
  EXPECT_EQ(ReadGolden("manifest-root", HexLines(EncodeManifestRoot(root))), HexLines(EncodeManifestRoot(root)));
  std::vector<SlotDigest> digests(2);
  digests[1].sha256.fill(std::byte{0x11});
  digests[1].xxh128 = SampleXxh128();
  EXPECT_EQ(ReadGolden("digest-page", HexLines(EncodePage(digests))), HexLines(EncodePage(digests)));
}

}  // namespace
}  // namespace tributary::wire
