// The manifest of a sealed object, checked from the object's digest down.
//
// Holds the root and one page of digests at a time, whatever the object's size, so slots are best asked for in order. Uses the caller's
// store, which outlives it. One thread. kDataLoss where root, page or bytes are not what was sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/wire/object.h"

namespace tributary::objects {

class Manifest {
 public:
  // `digest`: the object's, hex.
  static Result<Manifest> Read(blob::BlobStore& store, const ObjectName& name, const std::string& digest);

  const wire::ObjectSpec& spec() const { return root_.spec; }
  Result<wire::SlotDigest> Digest(std::uint64_t slot);
  // That the slot's bytes have its SHA-256.
  Status Check(std::uint64_t slot, std::span<const std::byte> bytes);

 private:
  Manifest(blob::BlobStore& store, ObjectName name, wire::ManifestRoot root);
  blob::BlobStore* store_;
  ObjectName name_;
  wire::ManifestRoot root_;
  std::vector<wire::SlotDigest> page_;
  std::uint64_t page_number_ = 0;
};

}  // namespace tributary::objects
