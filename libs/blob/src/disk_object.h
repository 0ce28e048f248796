// Private: one object's directory: its chunks, slot table and manifest.
//
// Thread-safe: calls on different slots run side by side, those on one slot exclude each other as readers and a writer. A seal waits for
// puts under way; those that come while it writes and syncs are refused. Files are opened when needed and closed by the store
// (CloseFiles) when too many are open; a call under way keeps them until it is done.
//
// Records that this boot of the machine did not write may tell of data that power loss took: an open object's slots are read again
// before Missing or Seal believes them (disk_verify.cc), and so are all slots after a sync that failed.
//
// A repetitive object (wire::ObjectSpec) appends chunks to its data file, and slots of equal chunks point to one place. A place that was
// written once is never written again, so that no put changes what another slot reads (disk_put.cc).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "bucket_object.h"
#include "files.h"
#include "recent_chunks.h"
#include "shape.h"
#include "slot_table.h"
#include "space.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob {

struct OpenFiles {
  Fd data;  // none of an object that lies in the bucket alone
  Fd slots;
};

// Ids of uploads that have not ended: their parts have no commit yet and are nobody's leftovers. Thread-safe.
class Uploads {
 public:
  class Entry {
   public:
    Entry(Uploads& uploads, const std::string& id) : uploads_(uploads), id_(id) {
      const std::lock_guard lock(uploads_.mutex_);
      uploads_.ids_.insert(id_);
    }
    ~Entry() {
      const std::lock_guard lock(uploads_.mutex_);
      uploads_.ids_.erase(id_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Uploads& uploads_;
    const std::string id_;
  };
  bool Has(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> ids_;  // protected by mutex_
};

// Of an object that lies in the bucket: the header of its commit. The file's time is that of the last read.
constexpr const char* kBucketMark = "bucket";

// What the objects of one store have in common; outlives them.
struct DiskShared {
  explicit DiskShared(const DiskOptions& options)
      : space(options.quota, options.owner ? options.share : 0, options.owner), bucket(options.bucket), part_bytes(options.bucket_part_bytes), shard(options.shard) {}
  Space space;
  RecentChunks recent;
  Bucket* const bucket;  // may be null
  const std::uint64_t part_bytes;
  const Shard shard;
  Uploads uploads;
  std::atomic<std::uint64_t> loaded{0};  // gives each DiskObject a number of its own
};

class DiskObject {
 public:
  static constexpr std::uint64_t kMaxSpecBytes = 64u << 20;

  // What Make takes of the store's space.
  static std::uint64_t BytesToMake(const ObjectShape& shape, const wire::ObjectSpec& spec);
  // Writes the files of a new object into `directory` (which exists and is not yet in its place).
  static Status Make(const std::filesystem::path& directory, const wire::ObjectSpec& spec, const Shard& shard);
  // kDataLoss when its spec or manifest cannot be read.
  static Result<std::shared_ptr<DiskObject>> Load(ObjectName name, std::filesystem::path directory, DiskShared& shared);

  Result<ObjectInfo> Stat();
  Result<wire::ObjectSpec> Spec() const;
  Result<bool> HasSpec(const wire::ObjectSpec& spec) const;
  Result<std::vector<tensor::SlotRange>> Missing(tensor::SlotRange range, std::uint64_t generation);
  // Before the bytes are hashed: slot number, size, numbers.
  Status CheckContent(std::uint64_t slot, std::span<const std::byte> bytes) const { return shape_.CheckContent(name_, slot, bytes); }
  double Squares(std::uint64_t slot, std::span<const std::byte> bytes) const { return shape_.Squares(slot, bytes); }
  // `squares`: of the bytes, as Squares gives them. `gone` is set when the object was retired before the call.
  Result<SlotMeta> Put(std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                       const wire::SlotDigest& digest, double squares, bool* gone);
  Result<SlotMeta> StatSlot(std::uint64_t slot, std::uint64_t min_generation);
  Result<SlotMeta> Get(std::uint64_t slot, std::span<std::byte> out);
  Result<std::string> Seal(std::uint64_t generation, bool durable);
  Result<wire::ManifestRoot> Root() const;
  Result<std::vector<wire::SlotDigest>> Page(std::uint64_t page);
  Result<std::uint64_t> DocumentBytes(Document document, std::uint64_t page) const;
  Status ReadDocument(Document document, std::uint64_t page, std::span<std::byte> out);
  Status PutDigests(std::uint64_t page, std::uint64_t generation, std::span<const wire::SlotDigest> digests);

  bool sealed() const { return sealed_; }
  // Whether what the records say needs no look at the data.
  bool believed() const { return sealed_ || verified_ == shape_.slots(); }
  const ObjectName& name() const { return name_; }
  // Before its directory is moved away: no put begins afterwards.
  void Retire();

  void CloseFiles();

  // Whether reads find the chunks on the disk.
  bool local() const { return local_; }
  // Puts a sealed object into the bucket if it belongs there and is not yet. Takes as long as that takes.
  Status UploadSealed();
  // Removes the chunks from the disk if they lie in the bucket and nobody seals; gives the bytes that this made free.
  Result<std::uint64_t> Evict();

 private:
  DiskObject(ObjectName name, std::filesystem::path directory, DiskShared& shared)
      : name_(std::move(name)), directory_(std::move(directory)), shared_(shared), number_(++shared.loaded) {}

  Result<std::shared_ptr<OpenFiles>> Files();
  bool retired() const;
  std::shared_mutex& StripeOf(std::uint64_t slot);
  Status CountSlots();
  // Bytes behind the last place that a record points to: a put that did not end.
  Status CutTail(const OpenFiles& files);
  // Of a sealed object: kDataLoss unless it can be read and fits the spec.
  Status LoadRoot(const wire::ObjectSpec& spec);
  Status CheckPage(std::uint64_t page) const;
  Status CheckRoot(std::span<const std::byte> text) const;

  // Whether the object's mark is of another boot than this one.
  bool OfAnotherBoot() const;
  static Status WriteBootMark(const std::filesystem::path& directory);
  // Reads the present slots below `end` that were not read since Distrust, and clears records whose data is not there. In a sealed
  // object that is kDataLoss instead.
  Status Verify(std::uint64_t end);
  // Of slots on other shards (disk_shard.cc): what another boot wrote of them is put anew by the next seal.
  Status ForgetElsewhere(const OpenFiles& files, std::uint64_t slot);
  Status ReadDigests(std::uint64_t page, std::span<std::byte> out);
  // What the records say has to be verified, now and after a restart.
  void Distrust(const OpenFiles& files);

  // Writes the chunk of a repetitive object where no other is, unless a slot has the same bytes already; gives the place.
  Result<std::uint64_t> Place(const OpenFiles& files, std::uint64_t slot, const wire::SlotDigest& digest,
                              std::span<const std::byte> bytes);
  // Whether the record's bytes are on the disk: of one that another boot wrote.
  bool IsIntact(const OpenFiles& files, const SlotRecord& record) const;
  Status WriteChunk(const OpenFiles& files, std::uint64_t slot, std::span<const std::byte> bytes, std::uint64_t location) const;

  Status CheckComplete(const OpenFiles& files, std::uint64_t generation);
  void Count(const SlotMeta* before, const SlotMeta* after);
  Status WriteManifest(const OpenFiles& files, bool durable);

  // The bucket (disk_bucket.cc).
  bool GoesToBucket() const { return shared_.bucket != nullptr && kind_ != wire::ObjectKind::kUpdate; }
  Status LoadBucketMark();
  // Everything, and the mark. REQUIRES seal_, and that no put is under way.
  Status Upload(const OpenFiles& files, const std::string& root, const std::string& digest);
  Status UploadAgain(const OpenFiles& files);
  Status ReadFromBucket(const SlotRecord& record, std::span<std::byte> out);
  // It was read.
  void Touch();

  // Distrusts what could not be synced.
  Status SyncAll(const OpenFiles& files);
  Error Lost(std::uint64_t slot, const char* why) const;

  const ObjectName name_;
  const std::filesystem::path directory_;
  DiskShared& shared_;
  std::atomic<std::uint64_t> number_;  // another one when places may have lost their bytes
  ObjectShape shape_;
  bool repetitive_ = false;
  wire::ObjectKind kind_ = wire::ObjectKind::kModel;
  std::uint64_t sample_count_ = 0;
  std::atomic<bool> sealed_{false};
  std::atomic<bool> in_bucket_{false};
  std::atomic<bool> local_{true};
  std::atomic<std::int64_t> touched_{0};  // seconds

  // Order of locks: seal_, verify_, life_, a stripe, grow_ or state_.
  std::mutex seal_;    // one Seal or Retire at a time
  std::mutex verify_;  // one Verify at a time
  std::atomic<std::uint64_t> verified_{0};  // slots below it are as their records say; changes with verify_ held
  // Held shared by puts, exclusively by Seal while it looks at what is there, and by Retire.
  std::shared_mutex life_;
  std::atomic<bool> sealing_{false};  // rises while life_ is held exclusively
  std::array<std::shared_mutex, 16> stripes_;

  std::mutex grow_;
  std::uint64_t tail_ = 0;  // protected by grow_; of a repetitive object: where the next place begins

  mutable std::mutex state_;
  // Protected by state_. retired_ changes only while life_ is held exclusively, too.
  bool retired_ = false;
  std::shared_ptr<OpenFiles> files_;
  // Own ones.
  std::uint64_t slots_present_ = 0;
  std::uint64_t bytes_present_ = 0;
  std::uint64_t newest_generation_ = 0;
  std::string digest_;  // hex, of a sealed one
  double norm_ = 0;     // of a sealed one
  BucketObject place_;  // of one in the bucket
};

}  // namespace tributary::blob
