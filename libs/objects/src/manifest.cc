#include "tributary/objects/manifest.h"

#include <utility>

namespace tributary::objects {

Manifest::Manifest(blob::BlobStore& store, ObjectName name, wire::ManifestRoot root)
    : store_(&store), name_(std::move(name)), root_(std::move(root)) {}

Result<Manifest> Manifest::Read(blob::BlobStore& store, const ObjectName& name, const std::string& digest) {
  TRIBUTARY_ASSIGN(auto root, store.Root(name));
  const std::string text = wire::EncodeManifestRoot(root);
  if (digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(text)))) != digest) {
    return MakeError(Code::kDataLoss, "the manifest of {} does not have the digest {}", name.str(), digest);
  }
  return Manifest(store, name, std::move(root));
}

Result<wire::SlotDigest> Manifest::Digest(std::uint64_t slot) {
  const std::uint64_t number = slot / wire::kPageDigests;
  if (page_.empty() || page_number_ != number) {
    TRIBUTARY_ASSIGN(page_, store_->Page(name_, number));
    page_number_ = number;
    const std::string text = wire::EncodePage(page_);
    if (number >= root_.pages.size() || digest::ComputeSha256(std::as_bytes(std::span(text))) != root_.pages[number]) {
      page_.clear();
      return MakeError(Code::kDataLoss, "page {} of the manifest of {} is not the one that was sealed", number, name_.str());
    }
  }
  const std::uint64_t index = slot % wire::kPageDigests;
  if (index >= page_.size()) return MakeError(Code::kDataLoss, "the manifest of {} has no slot {}", name_.str(), slot);
  return page_[index];
}

Status Manifest::Check(std::uint64_t slot, std::span<const std::byte> bytes) {
  TRIBUTARY_ASSIGN(const wire::SlotDigest sealed, Digest(slot));
  if (sealed.sha256 == digest::ComputeSha256(bytes)) return Ok();
  return MakeError(Code::kDataLoss, "slot {} of {} is not what was sealed: its SHA-256 differs", slot, name_.str());
}

}  // namespace tributary::objects
