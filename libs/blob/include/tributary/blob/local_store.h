// Stores that live in this process: in memory, and on disk as the service runs it.
//
// SlotStore adds to BlobStore what a server needs: one slot at a time, from and into buffers that the caller holds. Thread-safe.
//
// A store may be one of several shards: it has the slots that Shard::Has names, and knows of the others' slots the digests that PutDigests brought,
// which a seal needs. Its slots are all that it puts, gives, misses and counts as present (kNotFound for those of others); `slots` and `bytes` of
// ObjectInfo are of the whole object, `norm` is of its own slots: the root of a sum of squares that whoever asks adds up.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "tributary/blob/bucket.h"
#include "tributary/blob/shard.h"
#include "tributary/blob/store.h"

namespace tributary::blob {

struct SlotMeta {
  std::uint64_t generation = 0;
  std::uint32_t bytes = 0;
  wire::SlotDigest digest;
  double squares = 0;  // sum, of an update's differences
};

// The texts of an object whose bytes have a meaning of their own: the root's SHA-256 is the object's digest.
// kDigests: of a page's slots those that this store has, zeros for others', of a sealed object or an open one.
enum class Document { kSpec, kRoot, kPage, kDigests };

class SlotStore : public BlobStore {
 public:
  // Checks slot number, size, `expected` XXH3-128 and that an update's numbers are finite (kInvalidArgument), computes SHA-256, stages the
  // bytes. An older generation than the slot has is kConflict; equal or newer replaces. `sha256`: of `bytes`, where the caller has it already.
  virtual Result<SlotMeta> PutSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                                   const digest::Xxh128* expected, const digest::Sha256* sha256) = 0;
  // kUnavailable if absent or below `min_generation`.
  virtual Result<SlotMeta> StatSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation) = 0;
  // Fills `out` (REQUIRES out.size() == meta.bytes of StatSlot); kDataLoss when the bytes do not match their XXH3-128.
  virtual Result<SlotMeta> GetSlot(const ObjectName& name, std::uint64_t slot, std::span<std::byte> out) = 0;
  // As stored, without decoding; `page` counts for kPage and kDigests alone. Fails like Spec, Root and Page; kDigests is kUnavailable while an own
  // slot of the page is absent.
  virtual Result<std::uint64_t> DocumentBytes(const ObjectName& name, Document document, std::uint64_t page) = 0;
  // Fills `out` (REQUIRES out.size() == DocumentBytes); kUnavailable when the object was replaced in between.
  virtual Status ReadDocument(const ObjectName& name, Document document, std::uint64_t page, std::span<std::byte> out) = 0;
  // Of a page's slots those that lie on other shards, before a seal: the digests of all the page's slots, of which own ones are passed over.
  // `generation`: that of the slots. Again is fine, with other digests, too. kInvalidArgument for another page or count, and of a store that has all
  // slots; kConflict when sealed.
  virtual Status PutDigests(const ObjectName& name, std::uint64_t page, std::uint64_t generation, std::span<const wire::SlotDigest> digests) = 0;
  // The document kDigests, decoded.
  Result<std::vector<wire::SlotDigest>> OwnDigests(const ObjectName& name, std::uint64_t page);
  // Whether calls about the object may wait for a network now, and so should not hold up others. Quick.
  virtual bool Waits(const ObjectName&) { return false; }
  // Whether Seal, PutDigests and the document kDigests may have to read its slots again first, after power loss or a sync that failed. Quick.
  virtual bool Rereads(const ObjectName&) { return false; }
};

// `pool` bounds the chunks of its readers and writers, and must outlive the store.
std::unique_ptr<SlotStore> MakeMemoryStore(memory::Pool& pool, const Shard& shard = {});

struct DiskOptions {
  std::filesystem::path directory;  // made if absent
  std::uint64_t quota = 0;          // bytes that objects may take on disk; 0: no limit
  // Where what is sealed durably goes, updates excepted; must outlive the store. Null: it stays on the disk.
  Bucket* bucket = nullptr;
  std::uint64_t bucket_part_bytes = 32_MiB;
  Duration bucket_grace = std::chrono::hours(1);  // parts in the bucket that belong to nobody stay so long
  std::uint64_t cache_bytes = 0;  // of chunks on the disk that lie in the bucket, too; 0: as many as the quota has room for
  Shard shard = {};  // a directory, and a bucket's prefix, belongs to one for ever
  // Bytes that the objects of one owner may take on disk; 0: no limit but the quota. `owner` tells whose an object is, empty: nobody's; any thread, quick.
  std::uint64_t share = 0;
  std::function<std::string(const ObjectName&)> owner = {};
};

struct StoreUse {
  std::uint64_t bytes = 0;  // that objects take, with what is reserved for open ones
  std::uint64_t quota = 0;
  std::uint64_t evictions = 0;  // objects whose chunks lie in the bucket alone since
};

// A place on the disk that does not hold what it should.
struct Damage {
  ObjectName object;
  std::optional<std::uint64_t> slot;  // none: its manifest
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::string what;
  std::string Text() const;  // one line
};
struct ScrubOptions {
  std::uint64_t bytes_per_second = 0;  // 0: as fast as the disk gives them
  std::stop_token stop;
  std::function<void(const Damage&)> found;
};
struct ScrubReport {
  std::uint64_t objects = 0;  // sealed ones
  std::uint64_t slots = 0;
  std::uint64_t bytes = 0;    // read; what slots share is read once
  std::uint64_t damaged = 0;
};

class DiskStore : public virtual SlotStore {
 public:
  virtual StoreUse Use() const = 0;
  // Reads every sealed object from the disk, past the page cache where the system allows it, and compares its chunks' SHA-256 with its
  // manifest. Needs one chunk of memory besides the pool; changes nothing. kCancelled when stopped.
  virtual Result<ScrubReport> Scrub(const ScrubOptions& options) = 0;
  // Removes open objects to which nothing was written for `age`, and sealed ones under `offers/`, which nobody fetched meanwhile: whoever
  // needs one makes it again. Gives their number.
  virtual Result<std::uint64_t> RemoveAbandoned(Duration age) = 0;
  // Puts sealed objects into the bucket that it lacks, and removes from it what belongs to no object. Nothing without a bucket.
  // kCancelled when stopped; the first error of an object otherwise, after all were tried.
  virtual Status TendBucket(std::stop_token stop) = 0;
};

// Finds what an earlier process left: open objects go on, half-made ones are removed. kInvalidArgument for the directory of another shard.
Result<std::unique_ptr<DiskStore>> OpenDiskStore(const DiskOptions& options, memory::Pool& pool);
// Scrub of a directory that no process has open, of whatever shard it is.
Result<ScrubReport> ScrubDirectory(const std::filesystem::path& directory, const ScrubOptions& options);

}  // namespace tributary::blob
