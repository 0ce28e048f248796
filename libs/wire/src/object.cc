#include "tributary/wire/object.h"

#include <cstring>
#include <type_traits>

#include "fields.h"

namespace tributary::wire {
namespace {

// As they lie on disk and on the wire: numbers for enums, so that a reader can refuse those it does not know.
struct TensorRow {
  std::string name;
  std::uint32_t dtype = 0;
  std::vector<std::uint64_t> shape;
};
struct SpecRow {
  static constexpr Type kType = Type::kSpec;
  // A tensor is at most 7 values and its 8 dimensions; the rest is for keys to come and the pages of a root.
  static constexpr std::size_t kMaxValues = tensor::kMaxTensors * 24;
  std::uint32_t format = 1;
  std::uint32_t kind = 0;
  std::vector<TensorRow> tensors;
  std::uint64_t chunk_bytes = 0;
  std::uint32_t encoding = 0;
  std::uint64_t sample_count = 0;
  std::string base_digest;
  std::string info;
  bool repetitive = false;
  bool delta = false;
  std::uint32_t cut = 0;
};
struct RootRow {
  static constexpr Type kType = Type::kRoot;
  static constexpr std::size_t kMaxValues = SpecRow::kMaxValues;
  std::uint32_t format = 1;
  SpecRow spec;
  std::uint64_t slots = 0;
  std::uint64_t bytes = 0;
  std::vector<digest::Sha256> pages;
};

template <class V>
void Fields(V& v, TensorRow& m) {
  v("name", m.name);
  v("dtype", m.dtype);
  v("shape", m.shape, tensor::kMaxRank);
}
template <class V>
void Fields(V& v, SpecRow& m) {
  v("format", m.format);
  v("kind", m.kind);
  v("tensors", m.tensors);
  v("chunk_bytes", m.chunk_bytes);
  v("encoding", m.encoding);
  v("sample_count", m.sample_count);
  v("base_digest", m.base_digest);
  v("info", m.info);
  // Written only when set: manifests and most specs do without.
  if (m.repetitive || std::is_same_v<V, Unpack>) v("repetitive", m.repetitive);
  // Left out where it is false: the bytes of all other specs, and with them digests, are those of programs that know no delta.
  if (std::is_same_v<V, Unpack> || m.delta) v("delta", m.delta);
  if (std::is_same_v<V, Unpack> || m.cut != 0) v("cut", m.cut);
}
template <class V>
void Fields(V& v, RootRow& m) {
  v("format", m.format);
  v("spec", m.spec);
  v("slots", m.slots);
  v("bytes", m.bytes);
  v("pages", m.pages);
}

SpecRow ToRow(const ObjectSpec& spec) {
  SpecRow row;
  row.kind = static_cast<std::uint32_t>(spec.kind);
  for (const auto& tensor : spec.tensors) {
    row.tensors.push_back({tensor.name, static_cast<std::uint32_t>(tensor.dtype), tensor.shape});
  }
  row.chunk_bytes = spec.chunk_bytes;
  row.encoding = static_cast<std::uint32_t>(spec.encoding);
  row.sample_count = spec.sample_count;
  row.base_digest = spec.base_digest;
  row.info = spec.info;
  row.repetitive = spec.repetitive;
  row.delta = spec.delta;
  row.cut = static_cast<std::uint32_t>(spec.cut);
  return row;
}

Result<ObjectSpec> FromRow(SpecRow row) {
  if (row.format != 1) return MakeError(Code::kProtocol, "object spec of format {}: this program reads 1", row.format);
  ObjectSpec spec;
  if (row.kind < 1 || row.kind > 3) return MakeError(Code::kProtocol, "object kind {} is not known here", row.kind);
  spec.kind = static_cast<ObjectKind>(row.kind);
  TRIBUTARY_ASSIGN(spec.encoding, tensor::EncodingFromInt(row.encoding));
  for (TensorRow& tensor : row.tensors) {
    TRIBUTARY_ASSIGN(const tensor::DType dtype, tensor::DTypeFromInt(tensor.dtype));
    spec.tensors.push_back({std::move(tensor.name), dtype, std::move(tensor.shape)});
  }
  spec.chunk_bytes = row.chunk_bytes;
  spec.sample_count = row.sample_count;
  if (!row.base_digest.empty()) TRIBUTARY_TRY(digest::ParseSha256(row.base_digest).status());
  spec.base_digest = std::move(row.base_digest);
  if (row.info.size() > (64u << 10)) return MakeError(Code::kProtocol, "object info is over 64 KiB");
  spec.info = std::move(row.info);
  spec.repetitive = row.repetitive;
  spec.delta = row.delta;
  if (spec.delta && spec.kind != ObjectKind::kUpdate) return Error(Code::kProtocol, "only an update can hold differences");
  TRIBUTARY_ASSIGN(spec.cut, tensor::CutFromInt(row.cut));
  TRIBUTARY_TRY(MakeLayout(spec).status());
  return spec;
}

}  // namespace

Result<tensor::Layout> MakeLayout(const ObjectSpec& spec) { return tensor::Layout::Make(spec.tensors, spec.chunk_bytes, spec.cut); }

std::string EncodeObjectSpec(const ObjectSpec& spec) { return EncodeBody(ToRow(spec)); }

Result<ObjectSpec> DecodeObjectSpec(std::span<const std::byte> bytes) {
  TRIBUTARY_ASSIGN(SpecRow row, DecodeBody<SpecRow>(bytes));
  return FromRow(std::move(row));
}

std::string EncodeManifestRoot(const ManifestRoot& root) {
  RootRow row;
  row.spec = ToRow(root.spec);
  row.spec.repetitive = false;
  row.slots = root.slots;
  row.bytes = root.bytes;
  row.pages = root.pages;
  return EncodeBody(row);
}

Result<ManifestRoot> DecodeManifestRoot(std::span<const std::byte> bytes) {
  TRIBUTARY_ASSIGN(RootRow row, DecodeBody<RootRow>(bytes));
  if (row.format != 1) return MakeError(Code::kProtocol, "manifest of format {}: this program reads 1", row.format);
  ManifestRoot root;
  root.slots = row.slots;
  root.bytes = row.bytes;
  root.pages = std::move(row.pages);
  TRIBUTARY_ASSIGN(root.spec, FromRow(std::move(row.spec)));
  TRIBUTARY_ASSIGN(const tensor::Layout layout, MakeLayout(root.spec));
  if (root.slots != layout.slot_count() || root.pages.size() != (root.slots + kPageDigests - 1) / kPageDigests) {
    return MakeError(Code::kProtocol, "manifest root: {} slots in {} pages do not fit its layout", root.slots,
                     root.pages.size());
  }
  return root;
}

std::string EncodePage(std::span<const SlotDigest> digests) {
  std::string page(digests.size() * kSlotDigestBytes, '\0');
  char* out = page.data();
  for (const SlotDigest& slot : digests) {
    std::memcpy(out, slot.sha256.data(), slot.sha256.size());
    std::memcpy(out + slot.sha256.size(), slot.xxh128.data(), slot.xxh128.size());
    out += kSlotDigestBytes;
  }
  return page;
}

Result<std::vector<SlotDigest>> DecodePage(std::span<const std::byte> bytes) {
  if (bytes.size() % kSlotDigestBytes != 0 || bytes.size() / kSlotDigestBytes > kPageDigests) {
    return MakeError(Code::kProtocol, "a page of digests has {} bytes", bytes.size());
  }
  std::vector<SlotDigest> digests(bytes.size() / kSlotDigestBytes);
  const std::byte* in = bytes.data();
  for (SlotDigest& slot : digests) {
    std::memcpy(slot.sha256.data(), in, slot.sha256.size());
    std::memcpy(slot.xxh128.data(), in + slot.sha256.size(), slot.xxh128.size());
    in += kSlotDigestBytes;
  }
  return digests;
}

}  // namespace tributary::wire
