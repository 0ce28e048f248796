// Stores that live in this process: in memory, and on disk as the service runs it.
//
// SlotStore adds to BlobStore what a server needs: one slot at a time, from and into buffers that the caller holds. Thread-safe.
#pragma once

#include <filesystem>
#include <memory>

#include "tributary/blob/store.h"

namespace tributary::blob {

struct SlotMeta {
  std::uint64_t generation = 0;
  std::uint32_t bytes = 0;
  wire::SlotDigest digest;
};

// The texts of an object whose bytes have a meaning of their own: the root's SHA-256 is the object's digest.
enum class Document { kSpec, kRoot, kPage };

class SlotStore : public BlobStore {
 public:
  // Checks slot number, size, `expected` XXH3-128 and that an update's numbers are finite (kInvalidArgument), computes SHA-256, stages the
  // bytes. An older generation than the slot has is kConflict; equal or newer replaces.
  virtual Result<SlotMeta> PutSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation,
                                   std::span<const std::byte> bytes, const digest::Xxh128* expected) = 0;
  // kUnavailable if absent or below `min_generation`.
  virtual Result<SlotMeta> StatSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation) = 0;
  // Fills `out` (REQUIRES out.size() == meta.bytes of StatSlot); kDataLoss when the bytes do not match their XXH3-128.
  virtual Result<SlotMeta> GetSlot(const ObjectName& name, std::uint64_t slot, std::span<std::byte> out) = 0;
  // As stored, without decoding; `page` counts for kPage alone. Fails like Spec, Root and Page.
  virtual Result<std::uint64_t> DocumentBytes(const ObjectName& name, Document document, std::uint64_t page) = 0;
  // Fills `out` (REQUIRES out.size() == DocumentBytes); kUnavailable when the object was replaced in between.
  virtual Status ReadDocument(const ObjectName& name, Document document, std::uint64_t page, std::span<std::byte> out) = 0;
};

// `pool` bounds the chunks of its readers and writers, and must outlive the store.
std::unique_ptr<SlotStore> MakeMemoryStore(memory::Pool& pool);

struct DiskOptions {
  std::filesystem::path directory;  // made if absent
};
// Finds what an earlier process left: open objects go on, half-made ones are removed.
Result<std::unique_ptr<SlotStore>> OpenDiskStore(const DiskOptions& options, memory::Pool& pool);

}  // namespace tributary::blob
