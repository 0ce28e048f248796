// Object specs, manifest roots, pages and grants; the first byte says which.
#include "tests/fuzz/target.h"
#include "tributary/wire/grant.h"
#include "tributary/wire/object.h"

namespace {

using namespace tributary;

wire::ObjectSpec Sample() {
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kUpdate;
  spec.tensors = {{"wte.weight", tensor::DType::kF32, {257, 64}}, {"ids", tensor::DType::kI64, {12}}, {"scale", tensor::DType::kF32, {}}};
  spec.chunk_bytes = 4096;
  spec.sample_count = 9;
  spec.base_digest = std::string(64, 'a');
  spec.info = "{}";
  return spec;
}

template <class Decode, class Encode>
void RoundTrip(std::span<const std::byte> bytes, Decode decode, Encode encode) {
  const auto value = decode(bytes);
  if (!value.ok()) return;
  const std::string once = encode(*value);
  const auto again = decode(std::as_bytes(std::span(once)));
  fuzz::Promise(again.ok(), "what was encoded decodes");
  fuzz::Promise(encode(*again) == once, "and encodes to the same bytes");
}

}  // namespace

std::vector<std::string> tributary::fuzz::Seeds() {
  wire::ManifestRoot root;
  root.spec = Sample();
  root.slots = 18;
  root.bytes = 65'892;
  root.pages.resize(1);
  const std::vector<wire::SlotDigest> digests(18);
  return {std::string(1, '\0') + wire::EncodeObjectSpec(Sample()), std::string(1, '\1') + wire::EncodeManifestRoot(root),
          std::string(1, '\2') + wire::EncodePage(digests),
          std::string(1, '\3') + wire::EncodeGrant({"trainer", "a", "j", 2, {"jobs/j/models/1"}, {"jobs/j/rounds/2/updates/a/0"}, 1'800'000'000})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::Bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: RoundTrip(bytes, wire::DecodeObjectSpec, wire::EncodeObjectSpec); break;
    case 1: RoundTrip(bytes, wire::DecodeManifestRoot, wire::EncodeManifestRoot); break;
    case 2: RoundTrip(bytes, wire::DecodePage, [](const auto& digests) { return wire::EncodePage(digests); }); break;
    case 3: RoundTrip(bytes, wire::DecodeGrant, wire::EncodeGrant); break;
  }
  return 0;
}
