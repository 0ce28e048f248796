// Sealing an object: everything that its manifest speaks of is on the disk before the manifest is.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <utility>

#include "disk_object.h"
#include "manifest.h"
#include "slot_table.h"

namespace tributary::blob {

Status DiskObject::CheckComplete(const OpenFiles& files, std::uint64_t generation) {
  struct Absent {
    std::uint64_t count = 0;
    std::uint64_t first = 0;
  } own, elsewhere;
  std::optional<Error> other;
  TRIBUTARY_TRY(ScanRecords(files.slots, {0, shape_.slots()}, directory_ / "slots",
                            [&](std::uint64_t slot, const SlotRecord* meta) {
                              if (meta == nullptr) {
                                Absent& absent = shape_.Has(slot) ? own : elsewhere;
                                if (absent.count++ == 0) absent.first = slot;
                              } else if (meta->elsewhere && meta->generation == 0) {
                                // Told for a seal that named none.
                              } else if (generation != 0 && meta->generation != generation && !other) {
                                other = OtherGeneration(name_, slot, meta->generation, generation);
                              }
                              return Ok();
                            }));
  if (own.count > 0 && sealed_) return Lost(own.first, "its record in the slot table cannot be read");
  if (own.count > 0) return SlotsMissing(name_, own.count, shape_.own_slots(), own.first);
  // A sealed object's manifest has them.
  if (elsewhere.count > 0 && !sealed_) return DigestsMissing(name_, elsewhere.count, shape_.slots() - shape_.own_slots(), elsewhere.first);
  if (other) return *other;
  return Ok();
}

Result<std::string> DiskObject::Seal(std::uint64_t generation, bool durable) {
  const std::lock_guard one(seal_);
  if (retired()) return NoSuchObject(name_);
  TRIBUTARY_ASSIGN(const auto files, Files());
  TRIBUTARY_TRY(Verify(shape_.slots()));
  struct Sealing {
    std::atomic<bool>& flag;
    ~Sealing() { flag = false; }
  } sealing{sealing_};
  const bool was_sealed = sealed_;
  if (!was_sealed || generation != 0) {
    // Waits for puts under way. Not held while bytes go to the disk: whoever puts would wait on a thread that serves others.
    const std::unique_lock life(life_);
    TRIBUTARY_TRY(CheckComplete(*files, generation));
    sealing_ = true;
  }
  if (!was_sealed) TRIBUTARY_TRY(WriteManifest(*files, durable));
  if (was_sealed && durable) {
    TRIBUTARY_TRY(SyncAll(*files));
    if (GoesToBucket() && !in_bucket_) TRIBUTARY_TRY(UploadAgain(*files));
  }
  if (durable) {
    TRIBUTARY_TRY(SyncDirectory(directory_));
    TRIBUTARY_TRY(SyncDirectory(directory_.parent_path()));
  }
  const std::lock_guard lock(state_);
  return digest_;
}

Status DiskObject::SyncAll(const OpenFiles& files) {
  for (const auto& [fd, name] : {std::pair(files.data.get(), "data"), std::pair(files.slots.get(), "slots")}) {
    if (fd < 0 || fdatasync(fd) == 0) continue;
    const int error = errno;
    // The system may have dropped what it could not write, and says so only once.
    Distrust(files);
    return ErrnoError(error, "syncing " + (directory_ / name).string());
  }
  for (const char* file : {"spec", "pages", "root"}) {
    TRIBUTARY_ASSIGN(const bool there, Exists(directory_ / file));
    if (there) TRIBUTARY_TRY(SyncData(directory_ / file));
  }
  return Ok();
}

Status DiskObject::WriteManifest(const OpenFiles& files, bool durable) {
  TRIBUTARY_ASSIGN(wire::ObjectSpec spec, Spec());
  const auto pages = directory_ / "pages";
  Manifest manifest;
  double squares = 0;
  {
    TRIBUTARY_ASSIGN(const Fd out, OpenFile(pages, O_WRONLY | O_CREAT | O_TRUNC));
    std::uint64_t offset = 0;
    ManifestBuilder builder([&](const std::string& page) -> Status {
      TRIBUTARY_TRY(WriteAt(out, std::as_bytes(std::span(page)), offset, pages));
      offset += page.size();
      return Ok();
    });
    TRIBUTARY_TRY(ScanRecords(files.slots, {0, shape_.slots()}, directory_ / "slots",
                              [&](std::uint64_t slot, const SlotRecord* meta) {
                                if (meta == nullptr) return Status(Lost(slot, "its record changed while it was sealed"));
                                squares += meta->squares;
                                return builder.Add(meta->digest, meta->bytes);
                              }));
    TRIBUTARY_ASSIGN(manifest, builder.Finish(std::move(spec)));
  }
  // Everything that the root speaks of is on the disk before the root is.
  if (durable) {
    TRIBUTARY_TRY(SyncAll(files));
    TRIBUTARY_TRY(SyncDirectory(directory_));
  }
  if (durable && GoesToBucket()) TRIBUTARY_TRY(Upload(files, manifest.root, manifest.digest));
  // Always synced: an empty root would tell of a sealed object.
  TRIBUTARY_TRY(WriteWholeFile(directory_ / "root.tmp", std::as_bytes(std::span(manifest.root)), true));
  TRIBUTARY_TRY(RenamePath(directory_ / "root.tmp", directory_ / "root"));
  const std::lock_guard lock(state_);
  digest_ = manifest.digest;
  norm_ = std::sqrt(squares);
  sealed_ = true;
  return Ok();
}

}  // namespace tributary::blob
