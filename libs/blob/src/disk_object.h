// Private: one object's directory: its chunks, slot table and manifest.
//
// Thread-safe: calls on different slots run side by side, those on one slot exclude each other as readers and a writer; a seal or
// retirement waits for puts and keeps them out. Files are opened when needed and closed by the store (CloseFiles)
// when too many are open; a call under way keeps them until it is done.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "files.h"
#include "shape.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob {

struct OpenFiles {
  Fd data;
  Fd slots;
};

class DiskObject {
 public:
  // Writes the files of a new object into `directory` (which exists and is not yet in its place).
  static Status Make(const std::filesystem::path& directory, const wire::ObjectSpec& spec);
  // kDataLoss when its spec or manifest cannot be read.
  static Result<std::shared_ptr<DiskObject>> Load(ObjectName name, std::filesystem::path directory);

  Result<ObjectInfo> Stat();
  Result<wire::ObjectSpec> Spec() const;
  Result<bool> HasSpec(const wire::ObjectSpec& spec) const;
  Result<std::vector<tensor::SlotRange>> Missing(tensor::SlotRange range, std::uint64_t generation);
  // `gone` is set when the object was retired before the call.
  Result<SlotMeta> Put(std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                       const wire::SlotDigest& digest, bool* gone);
  Result<SlotMeta> StatSlot(std::uint64_t slot, std::uint64_t min_generation);
  Result<SlotMeta> Get(std::uint64_t slot, std::span<std::byte> out);
  Result<std::string> Seal(std::uint64_t generation, bool durable);
  Result<wire::ManifestRoot> Root() const;
  Result<std::vector<wire::SlotDigest>> Page(std::uint64_t page) const;

  bool sealed() const { return sealed_; }
  const ObjectName& name() const { return name_; }
  // Before its directory is moved away: no put begins afterwards.
  void Retire();

  void CloseFiles();

 private:
  DiskObject(ObjectName name, std::filesystem::path directory) : name_(std::move(name)), directory_(std::move(directory)) {}

  Result<std::shared_ptr<OpenFiles>> Files();
  bool retired() const;
  std::shared_mutex& StripeOf(std::uint64_t slot);
  Status CountSlots();
  void Count(const SlotMeta* before, const SlotMeta* after);
  Status WriteManifest(const OpenFiles& files, bool durable);
  Status SyncAll(const OpenFiles& files) const;
  Error Lost(std::uint64_t slot, const char* why) const;

  const ObjectName name_;
  const std::filesystem::path directory_;
  ObjectShape shape_;
  wire::ObjectKind kind_ = wire::ObjectKind::kModel;
  std::uint64_t sample_count_ = 0;
  std::atomic<bool> sealed_{false};

  // Held shared by puts, exclusively by Seal and Retire. Order: life_, then a stripe, then state_.
  std::shared_mutex life_;
  std::array<std::shared_mutex, 16> stripes_;

  mutable std::mutex state_;
  // Protected by state_. retired_ changes only while life_ is held exclusively, too.
  bool retired_ = false;
  std::shared_ptr<OpenFiles> files_;
  std::uint64_t slots_present_ = 0;
  std::uint64_t bytes_present_ = 0;
  std::uint64_t newest_generation_ = 0;
  std::string digest_;  // hex, of a sealed one
};

}  // namespace tributary::blob
