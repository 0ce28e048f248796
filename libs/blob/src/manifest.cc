#include "manifest.h"

namespace tributary::blob {

Status ManifestBuilder::Add(const wire::SlotDigest& digest, std::uint64_t bytes) {
  page_.push_back(digest);
  ++root_.slots;
  root_.bytes += bytes;
  return page_.size() == wire::kPageDigests ? FlushPage() : Ok();
}

Status ManifestBuilder::FlushPage() {
  const std::string page = wire::EncodePage(page_);
  page_.clear();
  root_.pages.push_back(digest::ComputeSha256(std::as_bytes(std::span(page))));
  return sink_(page);
}

Result<Manifest> ManifestBuilder::Finish(wire::ObjectSpec spec) {
  if (!page_.empty()) TRIBUTARY_TRY(FlushPage());
  root_.spec = std::move(spec);
  Manifest manifest;
  manifest.root = wire::EncodeManifestRoot(root_);
  manifest.digest = RootDigest(manifest.root);
  return manifest;
}

std::string RootDigest(const std::string& encoded_root) {
  return digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(encoded_root))));
}

}  // namespace tributary::blob
