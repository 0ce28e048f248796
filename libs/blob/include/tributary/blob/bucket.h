// Where sealed objects may lie besides the disk: an object store of keys and values, as S3 is one.
//
// The disk store puts what is sealed durably here, and reads it back once its own copy is gone (DiskOptions::bucket). Values are written whole
// and never in part; a Put that succeeded is durable and seen by every later call. Keys hold [A-Za-z0-9._/-] alone. Calls block until done, retry
// what may pass by itself, and are thread-safe. Failures by code: kNotFound, kPermission (denied), kUnavailable (away after all retries),
// kCancelled (after Cancel), kDataLoss (shorter than asked); the text names the place and what to do. Bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::blob {

class Bucket {
 public:
  // Fills `out` with the bytes at `offset`. Called in any order, and more than once for the same bytes when a request is repeated.
  using Source = std::function<Status(std::uint64_t offset, std::span<std::byte> out)>;

  virtual ~Bucket() = default;

  // Holds a few KiB of the value at a time. Replaces what was there.
  virtual Status Put(const std::string& key, std::uint64_t bytes, const Source& source) = 0;
  // Fills `out` with what begins at `offset`; kDataLoss when the value ends before.
  virtual Status Get(const std::string& key, std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual Result<std::uint64_t> Size(const std::string& key) = 0;
  // Absent is fine.
  virtual Status Delete(const std::string& key) = 0;
  // Keys that begin with `prefix` and come after `after` in order of bytes, at most 1000; empty at the end.
  virtual Result<std::vector<std::string>> List(const std::string& prefix, const std::string& after) = 0;

  // "s3://bucket/prefix at https://host", for logs.
  virtual std::string Place() const = 0;
  // Calls under way and later ones end soon.
  virtual void Cancel() = 0;
};

}  // namespace tributary::blob
