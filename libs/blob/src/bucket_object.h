// Private: how an object lies in a bucket: its keys, and the header of its commit (docs/blob-store.md).
//
// Plain values and pure functions. What is decoded comes from a bucket and is hostile: sizes are bounded here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tributary/base/names.h"
#include "tributary/base/result.h"

namespace tributary::blob {

constexpr std::string_view kBucketFormat = "tributary bucket 1\n";
constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kCommits = "sealed/";
constexpr std::string_view kParts = "parts/";
// In front of the root's bytes.
constexpr std::uint64_t kCommitHeaderBytes = 512;

struct BucketObject {
  std::string id;      // 16 hexadecimal digits
  std::string digest;  // hex, of the root
  std::uint64_t part_bytes = 0;
  std::uint64_t data = 0;
  std::uint64_t slots = 0;
  std::uint64_t pages = 0;
  std::uint64_t spec = 0;
  std::uint64_t root = 0;

  std::uint64_t parts() const { return (data + part_bytes - 1) / part_bytes; }
};

// kCommitHeaderBytes of text.
std::string EncodeHeader(const BucketObject& object);
Result<BucketObject> DecodeHeader(std::string_view text);

// Which object a key belongs to, and which of its uploads.
struct UploadRef {
  ObjectName name;
  std::string id;
  bool operator==(const UploadRef&) const = default;
};

std::string CommitKey(const UploadRef& upload);
// Of all commits of the name.
std::string CommitsPrefix(const ObjectName& name);
std::string PartsPrefix(const UploadRef& upload);
std::string PartKey(const UploadRef& upload, std::uint64_t part);
// Nothing for keys that are no commit's, no part's.
std::optional<UploadRef> UploadOfCommit(std::string_view key);
std::optional<UploadRef> UploadOfPart(std::string_view key);
bool IsUploadId(std::string_view text);

}  // namespace tributary::blob
