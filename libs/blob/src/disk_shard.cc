// Of a store that is one of several shards: what an object's slot table knows of slots that lie on others.
#include <algorithm>
#include <cstring>

#include "disk_object.h"

namespace tributary::blob {

Status DiskObject::PutDigests(std::uint64_t page, std::uint64_t generation, std::span<const wire::SlotDigest> digests) {
  TRIBUTARY_TRY(shape_.CheckDigests(name_, page, digests));
  if (sealed_) return ObjectSealed(name_);
  const tensor::SlotRange slots = shape_.PageSlots(page);
  // First, since it forgets what another boot wrote here.
  TRIBUTARY_TRY(Verify(slots.end));
  const std::shared_lock life(life_);
  if (retired()) return NoSuchObject(name_);
  if (sealing_) return MakeError(Code::kConflict, "object '{}' is being sealed: it takes no digests", name_.str());
  if (sealed_) return ObjectSealed(name_);
  TRIBUTARY_ASSIGN(const auto files, Files());
  // Own records lie among the others and are written back with them.
  std::array<std::unique_lock<std::shared_mutex>, std::tuple_size_v<decltype(stripes_)>> stripes;
  std::ranges::transform(stripes_, stripes.begin(), [](std::shared_mutex& stripe) { return std::unique_lock(stripe); });
  std::optional<std::uint64_t> changed;
  TRIBUTARY_TRY(RewriteRecords(files->slots, slots, directory_ / "slots", [&](std::uint64_t slot, std::optional<SlotRecord>& record) {
    const wire::SlotDigest& digest = digests[slot - slots.begin];
    if (shape_.Has(slot)) {
      // The other shards were told this one, too: a seal would give them another root than this one.
      if (!changed && (!record || record->digest != digest)) changed = slot;
      return false;
    }
    if (record && record->elsewhere && record->digest == digest && record->generation == generation) return false;
    record.emplace();
    record->generation = generation;
    record->bytes = static_cast<std::uint32_t>(shape_.SlotBytes(slot));
    record->digest = digest;
    record->elsewhere = true;
    return true;
  }));
  return changed ? Status(SlotChanged(name_, *changed)) : Ok();
}

Status DiskObject::ReadDigests(std::uint64_t page, std::span<std::byte> out) {
  TRIBUTARY_TRY(shape_.CheckPage(name_, page));
  const tensor::SlotRange slots = shape_.PageSlots(page);
  if (out.size() != slots.size() * wire::kSlotDigestBytes) return MakeError(Code::kUnavailable, "object '{}' was replaced; ask again", name_.str());
  if (!sealed_) TRIBUTARY_TRY(Verify(slots.end));
  TRIBUTARY_ASSIGN(const auto files, Files());
  std::uint64_t missing = 0;
  std::uint64_t first = 0;
  std::ranges::fill(out, std::byte{0});
  TRIBUTARY_TRY(ScanRecords(files->slots, slots, directory_ / "slots", [&](std::uint64_t slot, const SlotRecord* record) {
    if (!shape_.Has(slot)) return Ok();
    if (record == nullptr) {
      if (missing++ == 0) first = slot;
      return Ok();
    }
    std::byte* const digest = out.data() + (slot - slots.begin) * wire::kSlotDigestBytes;
    std::memcpy(digest, record->digest.sha256.data(), record->digest.sha256.size());
    std::memcpy(digest + record->digest.sha256.size(), record->digest.xxh128.data(), record->digest.xxh128.size());
    return Ok();
  }));
  if (missing > 0 && sealed_) return Lost(first, "its record in the slot table cannot be read");
  return missing > 0 ? Status(PageIncomplete(name_, page, missing, first)) : Ok();
}

Status DiskObject::ForgetElsewhere(const OpenFiles& files, std::uint64_t slot) {
  const std::shared_lock life(life_);
  if (sealing_ || sealed_) return Ok();
  const std::unique_lock stripe(StripeOf(slot));
  TRIBUTARY_ASSIGN(const std::optional<SlotRecord> record, ReadRecord(files.slots, slot, directory_ / "slots"));
  return record ? ClearRecord(files.slots, slot, directory_ / "slots") : Ok();
}

}  // namespace tributary::blob
