#include "disk_object.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>

#include "tributary/base/log.h"

namespace tributary::blob {

std::uint64_t DiskObject::BytesToMake(const ObjectShape& shape, const wire::ObjectSpec& spec) {
  return TakenBytes(spec.repetitive ? 0 : shape.own_bytes(), shape.slots() * kSlotRecordBytes);
}

Status DiskObject::Make(const std::filesystem::path& directory, const wire::ObjectSpec& spec, const Shard& shard) {
  TRIBUTARY_ASSIGN(const ObjectShape shape, ObjectShape::Make(spec, shard));
  const std::string text = wire::EncodeObjectSpec(spec);
  TRIBUTARY_TRY(WriteWholeFile(directory / "spec", std::as_bytes(std::span(text)), false));
  TRIBUTARY_TRY(WriteBootMark(directory));
  TRIBUTARY_TRY(MakeReserved(directory / "slots", shape.slots() * kSlotRecordBytes));
  if (spec.repetitive) return WriteWholeFile(directory / "data", {}, false);
  return MakeReserved(directory / "data", shape.own_bytes());
}

Result<std::shared_ptr<DiskObject>> DiskObject::Load(ObjectName name, std::filesystem::path directory, DiskShared& shared) {
  std::shared_ptr<DiskObject> object(new DiskObject(std::move(name), std::move(directory), shared));
  auto spec = object->Spec();
  if (!spec.ok()) return spec.error();
  TRIBUTARY_ASSIGN(object->shape_, ObjectShape::Make(*spec, shared.shard));
  object->kind_ = spec->kind;
  object->sample_count_ = spec->sample_count;
  object->repetitive_ = spec->repetitive;
  TRIBUTARY_ASSIGN(const bool sealed, Exists(object->directory_ / "root"));
  if (sealed) TRIBUTARY_TRY(object->LoadRoot(*spec));
  if (sealed) TRIBUTARY_TRY(object->LoadBucketMark());
  if (sealed || !object->OfAnotherBoot()) object->verified_ = object->shape_.slots();
  TRIBUTARY_TRY(object->CountSlots());
  return object;
}

Status DiskObject::CountSlots() {
  TRIBUTARY_ASSIGN(const auto files, Files());
  double squares = 0;
  TRIBUTARY_TRY(ScanRecords(files->slots, {0, shape_.slots()}, directory_ / "slots",
                            [&](std::uint64_t slot, const SlotRecord* record) {
                              if (record == nullptr || !shape_.Has(slot)) return Ok();
                              squares += record->squares;
                              Count(nullptr, record);
                              tail_ = std::max(tail_, record->location + UpToBlock(record->bytes));
                              return Ok();
                            }));
  if (sealed_) norm_ = std::sqrt(squares);  // the same order as at the seal
  return repetitive_ && !sealed_ ? CutTail(*files) : Ok();
}

void DiskObject::Count(const SlotMeta* before, const SlotMeta* after) {
  const std::lock_guard lock(state_);
  if (before != nullptr) {
    --slots_present_;
    bytes_present_ -= before->bytes;
  }
  if (after != nullptr) {
    ++slots_present_;
    bytes_present_ += after->bytes;
    newest_generation_ = std::max(newest_generation_, after->generation);
  }
}

Result<ObjectInfo> DiskObject::Stat() {
  const std::lock_guard lock(state_);
  ObjectInfo info;
  info.name = name_;
  info.kind = kind_;
  info.sealed = sealed_;
  info.slots = shape_.slots();
  info.slots_present = slots_present_;
  info.generation = newest_generation_;
  info.sample_count = sample_count_;
  info.bytes = shape_.bytes();
  info.bytes_present = bytes_present_;
  info.digest = digest_;
  info.norm = norm_;
  return info;
}

Result<wire::ObjectSpec> DiskObject::Spec() const {
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(directory_ / "spec", kMaxSpecBytes));
  auto spec = wire::DecodeObjectSpec(std::as_bytes(std::span(text)));
  if (!spec.ok()) {
    return MakeError(Code::kDataLoss, "{} is damaged, remove object '{}' and put it again: {}",
                     (directory_ / "spec").string(), name_.str(), spec.error().message());
  }
  return spec;
}

Result<bool> DiskObject::HasSpec(const wire::ObjectSpec& spec) const {
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(directory_ / "spec", kMaxSpecBytes));
  return text == wire::EncodeObjectSpec(spec);
}

Result<std::vector<tensor::SlotRange>> DiskObject::Missing(tensor::SlotRange range, std::uint64_t generation) {
  TRIBUTARY_TRY(shape_.CheckRange(name_, range));
  if (!sealed_) TRIBUTARY_TRY(Verify(range.end));
  TRIBUTARY_ASSIGN(const auto files, Files());
  std::vector<tensor::SlotRange> missing;
  TRIBUTARY_TRY(ScanRecords(files->slots, range, directory_ / "slots", [&](std::uint64_t slot, const SlotRecord* meta) {
    if (!shape_.Has(slot) || (meta != nullptr && meta->generation >= generation)) return Ok();
    if (!missing.empty() && missing.back().end == slot) {
      ++missing.back().end;
    } else {
      missing.push_back({slot, slot + 1});
    }
    return Ok();
  }));
  return missing;
}

Error DiskObject::Lost(std::uint64_t slot, const char* why) const {
  return MakeError(Code::kDataLoss, "slot {} of object '{}' is damaged in {}: {}; put it again or restore the directory", slot,
                   name_.str(), directory_.string(), why);
}

Result<SlotMeta> DiskObject::StatSlot(std::uint64_t slot, std::uint64_t min_generation) {
  TRIBUTARY_TRY(shape_.CheckSlot(name_, slot));
  TRIBUTARY_ASSIGN(const auto files, Files());
  const std::shared_lock stripe(StripeOf(slot));
  TRIBUTARY_ASSIGN(const std::optional<SlotRecord> meta, ReadRecord(files->slots, slot, directory_ / "slots"));
  if (!meta && sealed_) return Lost(slot, "its record in the slot table cannot be read");
  if (!meta || meta->generation < min_generation) return SlotAbsent(name_, slot, min_generation);
  return *meta;
}

Result<SlotMeta> DiskObject::Get(std::uint64_t slot, std::span<std::byte> out) {
  TRIBUTARY_TRY(shape_.CheckChunk(name_, slot, out.size()));
  TRIBUTARY_ASSIGN(const auto files, Files());
  const auto table = directory_ / "slots";
  std::optional<SlotRecord> meta;
  {
    const std::shared_lock stripe(StripeOf(slot));
    TRIBUTARY_ASSIGN(meta, ReadRecord(files->slots, slot, table));
    if (!meta && sealed_) return Lost(slot, "its record in the slot table cannot be read");
    if (!meta) return SlotAbsent(name_, slot, 0);
    if (files->data.get() >= 0) {
      TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(files->data, out, meta->location, directory_ / "data"));
      // Checked under the lock of the slot: no writer of ours is between its data and its record.
      if (got == out.size() && meta->bytes == out.size() && digest::ComputeXxh128(out) == meta->digest.xxh128) {
        if (in_bucket_) Touch();
        return *meta;
      }
    }
  }
  if (in_bucket_) {
    if (files->data.get() >= 0) log::LogError("{}", Lost(slot, "its bytes do not match; they are read from the bucket").message());
    TRIBUTARY_TRY(ReadFromBucket(*meta, out));
    return *meta;
  }
  // An open object asks for the slot again (Missing), and shall not get the same place again; a sealed one stays as it is for whoever
  // repairs it.
  if (repetitive_) shared_.recent.Forget(number_, meta->digest.sha256);
  const std::shared_lock life(life_);
  if (!sealing_ && !sealed_) {
    const std::unique_lock stripe(StripeOf(slot));
    TRIBUTARY_ASSIGN(const std::optional<SlotRecord> now, ReadRecord(files->slots, slot, table));
    if (now && now->digest == meta->digest) {
      TRIBUTARY_TRY(ClearRecord(files->slots, slot, table));
      Count(&*now, nullptr);
    }
  }
  return Lost(slot, "its bytes do not match their XXH3-128 digest");
}

void DiskObject::Retire() {
  const std::lock_guard one(seal_);
  const std::unique_lock life(life_);
  const std::lock_guard lock(state_);
  retired_ = true;
}

std::shared_mutex& DiskObject::StripeOf(std::uint64_t slot) { return stripes_[slot % stripes_.size()]; }

Result<std::shared_ptr<OpenFiles>> DiskObject::Files() {
  const std::lock_guard lock(state_);
  if (!files_) {
    // Its path may be another object's by now.
    if (retired_) return NoSuchObject(name_);
    auto files = std::make_shared<OpenFiles>();
    auto data = OpenFile(directory_ / "data", O_RDWR);
    if (data.ok()) {
      files->data = *std::move(data);
    } else if (!in_bucket_ || data.error().code() != Code::kNotFound) {
      return data.error();
    }
    local_ = files->data.get() >= 0;
    TRIBUTARY_ASSIGN(files->slots, OpenFile(directory_ / "slots", O_RDWR));
    files_ = std::move(files);
  }
  return files_;
}

bool DiskObject::retired() const {
  const std::lock_guard lock(state_);
  return retired_;
}

void DiskObject::CloseFiles() {
  const std::lock_guard lock(state_);
  files_.reset();
}

}  // namespace tributary::blob
