// Which slot records to believe: the pages of `slots` may have reached the disk before power failed, and those of `data` not.
#include <fcntl.h>

#include <random>

#include "checked_places.h"
#include "disk_object.h"
#include "slot_table.h"

namespace tributary::blob {
namespace {

// The kernel's id of this boot. Where it does not tell, an id that no earlier process had: everything is read again then.
const std::string& BootId() {
  static const std::string id = [] {
    // Files of /proc tell no size.
    const std::filesystem::path path = "/proc/sys/kernel/random/boot_id";
    std::array<std::byte, 64> bytes{};
    if (const auto fd = OpenFile(path, O_RDONLY); fd.ok()) {
      const auto got = ReadAt(*fd, bytes, 0, path);
      if (got.ok() && *got > 0) return std::string(reinterpret_cast<const char*>(bytes.data()), *got);
    }
    return std::to_string(std::random_device()()) + "-" + std::to_string(std::random_device()()) + "\n";
  }();
  return id;
}

}  // namespace

bool DiskObject::OfAnotherBoot() const {
  const auto mark = ReadWholeFile(directory_ / "boot", 4096);
  return !mark.ok() || *mark != BootId();
}

// Not synced: a mark that power loss takes is as good as one of an earlier boot.
Status DiskObject::WriteBootMark(const std::filesystem::path& directory) {
  return WriteWholeFile(directory / "boot", std::as_bytes(std::span(BootId())), false);
}

void DiskObject::Distrust(const OpenFiles& files) {
  const std::lock_guard one(verify_);
  std::error_code ignored;
  std::filesystem::remove(directory_ / "boot", ignored);
  DropCached(files.data);
  DropCached(files.slots);
  verified_ = 0;
  number_ = ++shared_.loaded;
}

Status DiskObject::Verify(std::uint64_t end) {
  if (verified_ >= end) return Ok();
  const std::lock_guard one(verify_);
  TRIBUTARY_ASSIGN(const auto files, Files());
  std::vector<std::byte> chunk;
  CheckedPlaces checked;
  while (verified_ < end) {
    const std::uint64_t slot = verified_;
    if (!shape_.Has(slot)) {
      TRIBUTARY_TRY(ForgetElsewhere(*files, slot));
      verified_ = slot + 1;
      continue;
    }
    TRIBUTARY_ASSIGN(const std::optional<SlotRecord> meta, ReadRecord(files->slots, slot, directory_ / "slots"));
    if (meta && !checked.Has(meta->location, meta->digest.sha256)) {
      chunk.resize(shape_.SlotBytes(slot));
      // Clears the record of an open object when the data is not there.
      const auto got = Get(slot, chunk);
      if (!got.ok() && (sealed_ || (got.error().code() != Code::kDataLoss && got.error().code() != Code::kUnavailable))) {
        return got.error();
      }
      if (got.ok() && repetitive_) checked.Add(meta->location, meta->digest.sha256);
    }
    verified_ = slot + 1;
  }
  return verified_ == shape_.slots() ? WriteBootMark(directory_) : Ok();
}

}  // namespace tributary::blob
