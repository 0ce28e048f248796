// An object's spec, manifest root and pages, decoded or as they lie on the disk.
#include <fcntl.h>

#include <algorithm>

#include "disk_object.h"
#include "manifest.h"

namespace tributary::blob {
namespace {

constexpr std::uint64_t kMaxRootBytes = 256u << 20;

}  // namespace

Status DiskObject::LoadRoot(const wire::ObjectSpec& spec) {
  const auto path = directory_ / "root";
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(path, kMaxRootBytes));
  auto root = wire::DecodeManifestRoot(std::as_bytes(std::span(text)));
  if (!root.ok()) return MakeError(Code::kDataLoss, "{} is damaged: {}", path.string(), root.error().message());
  root->spec.repetitive = spec.repetitive;  // no part of the manifest
  if (root->spec != spec || root->bytes != shape_.bytes()) {
    return MakeError(Code::kDataLoss, "{} does not fit the spec beside it: the object is damaged", path.string());
  }
  digest_ = RootDigest(text);
  sealed_ = true;
  return Ok();
}

Status DiskObject::CheckRoot(std::span<const std::byte> text) const {
  const std::lock_guard lock(state_);
  if (digest::Hex(digest::ComputeSha256(text)) == digest_) return Ok();
  return MakeError(Code::kDataLoss, "{} changed since it was opened", (directory_ / "root").string());
}

Result<wire::ManifestRoot> DiskObject::Root() const {
  if (!sealed_) return MakeError(Code::kUnavailable, "object '{}' is not sealed yet", name_.str());
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(directory_ / "root", kMaxRootBytes));
  TRIBUTARY_TRY(CheckRoot(std::as_bytes(std::span(text))));
  auto root = wire::DecodeManifestRoot(std::as_bytes(std::span(text)));
  if (!root.ok()) {
    return MakeError(Code::kDataLoss, "{} is damaged: {}", (directory_ / "root").string(), root.error().message());
  }
  return root;
}

Status DiskObject::CheckPage(std::uint64_t page) const {
  if (!sealed_) return MakeError(Code::kUnavailable, "object '{}' is not sealed yet", name_.str());
  return shape_.CheckPage(name_, page);
}

Result<std::vector<wire::SlotDigest>> DiskObject::Page(std::uint64_t page) {
  TRIBUTARY_ASSIGN(const std::uint64_t size, DocumentBytes(Document::kPage, page));
  std::vector<std::byte> bytes(size);
  TRIBUTARY_TRY(ReadDocument(Document::kPage, page, bytes));
  return wire::DecodePage(bytes);
}

Result<std::uint64_t> DiskObject::DocumentBytes(Document document, std::uint64_t page) const {
  switch (document) {
    case Document::kSpec: return FileBytes(directory_ / "spec");
    case Document::kRoot:
      if (!sealed_) return MakeError(Code::kUnavailable, "object '{}' is not sealed yet", name_.str());
      return FileBytes(directory_ / "root");
    case Document::kPage: TRIBUTARY_TRY(CheckPage(page)); break;
    case Document::kDigests: TRIBUTARY_TRY(shape_.CheckPage(name_, page)); break;
  }
  return shape_.PageSlots(page).size() * wire::kSlotDigestBytes;
}

Status DiskObject::ReadDocument(Document document, std::uint64_t page, std::span<std::byte> out) {
  if (document == Document::kSpec) return ReadExactly(directory_ / "spec", out);
  if (document == Document::kRoot) {
    TRIBUTARY_TRY(ReadExactly(directory_ / "root", out));
    return CheckRoot(out);
  }
  if (document == Document::kDigests) return ReadDigests(page, out);
  TRIBUTARY_TRY(CheckPage(page));
  const auto path = directory_ / "pages";
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY));
  TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(fd, out, page * wire::kPageDigests * wire::kSlotDigestBytes, path));
  // The root names each page's SHA-256, so a reader finds flipped bits; a cut file shows here.
  if (got != out.size()) return MakeError(Code::kDataLoss, "{} is cut off in page {}", path.string(), page);
  return Ok();
}

}  // namespace tributary::blob
