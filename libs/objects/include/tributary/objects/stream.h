// Objects that are no models, streamed: a source of named entries into the blob-store, and out of it into a sink.
//
// An entry is a tensor of the object's layout (bytes: U8 of one dimension), so that an object of a million small entries and one of a
// single huge file cost the same memory: the window of chunks under way. Put ends with a durable seal. Get checks every chunk's SHA-256
// against the manifest and the manifest against the object's digest, so what a sink gets is what was sealed, whoever passed it on.
// Sources and sinks are the caller's; everything runs on the calling thread. Bytes.
// Failures: kAlreadyExists (another object of this name), kUnavailable (not sealed yet), kDataLoss (a digest), kCancelled, and what
// the source or sink says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/tensor/layout.h"

namespace tributary::objects {

// An entry of `bytes` bytes, of which there must be some: a layout has no empty tensors.
tensor::TensorSpec ByteEntry(std::string name, std::uint64_t bytes);

class Source {
 public:
  virtual ~Source() = default;
  // In the order in which they are sent; names differ and have 1 to 255 bytes.
  virtual const std::vector<tensor::TensorSpec>& Entries() const = 0;
  // What else a sink must know; stands in the object's spec, at most 64 KiB.
  virtual std::string Info() const = 0;
  // Fills `out` with the bytes of the entry from `offset` on. Called in order of entries and offsets.
  virtual Status Read(std::uint32_t entry, std::uint64_t offset, std::span<std::byte> out) = 0;
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status Begin(const std::vector<tensor::TensorSpec>& entries, const std::string& info) = 0;
  // In order of entries of one dtype, and of offsets.
  virtual Status Write(std::uint32_t entry, std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Everything came and was what was sealed.
  virtual Status Finish() = 0;
};

struct PutOptions {
  std::uint64_t chunk_bytes = tensor::kDefaultChunkBytes;
  // An earlier put of the same entries was interrupted: slots that are there are not sent again, and held against the source after the
  // seal (kDataLoss where it has changed since). Without it everything is sent.
  bool resume = false;
  // What has this name is removed first, but for what is to be resumed.
  bool replace = false;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
};
struct GetOptions {
  std::string digest;  // hex; the object must have this one; empty: any
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
};
struct Outcome {
  std::string digest;            // of the sealed object, hex
  std::uint64_t bytes = 0;       // of the object
  std::uint64_t bytes_moved = 0;
};

Result<Outcome> Put(blob::BlobStore& store, const ObjectName& name, Source& source, const PutOptions& options = {});
Result<Outcome> Get(blob::BlobStore& store, const ObjectName& name, Sink& sink, const GetOptions& options = {});

}  // namespace tributary::objects
