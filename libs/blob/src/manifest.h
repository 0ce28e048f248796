// Private: makes an object's manifest from its slot digests, a page at a time.
//
// One owner. Holds at most one page; the pages' own digests go into the root.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/wire/object.h"

namespace tributary::blob {

struct Manifest {
  std::string root;    // encoded
  std::string digest;  // hex SHA-256 of it
};

class ManifestBuilder {
 public:
  using PageSink = std::function<Status(const std::string& page)>;
  explicit ManifestBuilder(PageSink sink) : sink_(std::move(sink)) { page_.reserve(wire::kPageDigests); }

  // In order of slots.
  Status Add(const wire::SlotDigest& digest, std::uint64_t bytes);
  Result<Manifest> Finish(wire::ObjectSpec spec);

 private:
  Status FlushPage();

  PageSink sink_;
  std::vector<wire::SlotDigest> page_;
  wire::ManifestRoot root_;
};

std::string RootDigest(const std::string& encoded_root);

}  // namespace tributary::blob
