// Putting a chunk: what is on the disk when the process dies in between is always the old chunk, the new one or none.
#include "disk_object.h"

namespace tributary::blob {

Result<SlotMeta> DiskObject::Put(std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                                 const wire::SlotDigest& digest, double squares, bool* gone) {
  TRIBUTARY_TRY(shape_.CheckChunk(name_, slot, bytes.size()));
  const std::shared_lock life(life_);
  if ((*gone = retired())) return NoSuchObject(name_);
  // In this order: a seal that ends in between has set the second before it clears the first.
  if (sealing_) return MakeError(Code::kConflict, "object '{}' is being sealed: it takes no chunks", name_.str());
  if (sealed_) return ObjectSealed(name_);
  TRIBUTARY_ASSIGN(const auto files, Files());
  const auto table = directory_ / "slots";
  const std::unique_lock stripe(StripeOf(slot));
  TRIBUTARY_ASSIGN(std::optional<SlotRecord> before, ReadRecord(files->slots, slot, table));
  if (before && before->generation > generation) {
    return OlderGeneration(name_, slot, generation, before->generation);
  }
  SlotRecord record{{generation, static_cast<std::uint32_t>(bytes.size()), digest, squares}, 0};
  // The same bytes again, as after a lost acknowledgement: at most the generation changes.
  const bool same = before && before->digest == digest && slot < verified_;
  if (same && before->generation == generation) return record;
  // Its slots are averaged as they come. What power loss took is not there yet.
  if (kind_ == wire::ObjectKind::kUpdate && before && before->digest != digest && (slot < verified_ || IsIntact(*files, *before))) {
    return OtherBytes(name_, slot);
  }
  if (same) {
    record.location = before->location;
  } else if (repetitive_) {
    // The earlier chunk stays where it is: its record stands until the new one takes its place, and others may point there.
    TRIBUTARY_ASSIGN(record.location, Place(*files, slot, digest, bytes));
  } else {
    record.location = shape_.SlotOffset(slot);
    if (before) {
      // From here on until the new record the slot is absent, so that SIGKILL leaves no record over other bytes.
      TRIBUTARY_TRY(ClearRecord(files->slots, slot, table));
      Count(&*before, nullptr);
      before.reset();
    }
    TRIBUTARY_TRY(WriteChunk(*files, slot, bytes, record.location));
  }
  TRIBUTARY_TRY(WriteRecord(files->slots, slot, record, table));
  Count(before ? &*before : nullptr, &record);
  if (repetitive_) shared_.recent.Remember(number_, digest.sha256, record.location);
  return record;
}

bool DiskObject::IsIntact(const OpenFiles& files, const SlotRecord& record) const {
  std::vector<std::byte> chunk(record.bytes);
  const auto got = ReadAt(files.data, chunk, record.location, directory_ / "data");
  return got.ok() && *got == chunk.size() && digest::ComputeXxh128(chunk) == record.digest.xxh128;
}

Result<std::uint64_t> DiskObject::Place(const OpenFiles& files, std::uint64_t slot, const wire::SlotDigest& digest,
                                        std::span<const std::byte> bytes) {
  // What a place holds never changes, whatever became of the slot that was put there first.
  if (const auto known = shared_.recent.Find(number_, digest.sha256)) return *known;
  const std::uint64_t room = UpToBlock(bytes.size());
  TRIBUTARY_TRY(shared_.space.Take(name_, room));
  std::uint64_t location;
  {
    const std::lock_guard lock(grow_);
    location = std::exchange(tail_, tail_ + room);
  }
  const Status written = WriteChunk(files, slot, bytes, location);
  if (written.ok()) return location;
  const std::lock_guard lock(grow_);
  // What another put has begun to write behind it must stay where it is; this place then lies idle until the object goes.
  if (tail_ == location + room && CutFile(files.data, location, directory_ / "data").ok()) {
    tail_ = location;
    shared_.space.Give(name_, room);
  }
  return written.error();
}

Status DiskObject::WriteChunk(const OpenFiles& files, std::uint64_t slot, std::span<const std::byte> bytes,
                              std::uint64_t location) const {
  const Status written = WriteAt(files.data, bytes, location, directory_ / "data");
  if (written.ok() || written.error().code() != Code::kResourceExhausted) return written;
  return MakeError(Code::kResourceExhausted,
                   "the disk of {} is full: slot {} of object '{}' was not stored, all that was stored is unharmed; free some room and put "
                   "it again: {} bytes are needed, {} are free",
                   directory_.parent_path().string(), slot, name_.str(), bytes.size(), FreeBytes(directory_).value_or(0));
}

Status DiskObject::CutTail(const OpenFiles& files) {
  const auto path = directory_ / "data";
  TRIBUTARY_ASSIGN(const std::uint64_t bytes, FileBytes(path));
  const std::lock_guard lock(grow_);
  if (bytes <= tail_) return Ok();
  TRIBUTARY_TRY(CutFile(files.data, tail_, path));
  shared_.space.Give(name_, UpToBlock(bytes) - tail_);
  return Ok();
}

}  // namespace tributary::blob
