#include "shape.h"

#include <algorithm>

#include "tributary/encoding/encoding.h"

namespace tributary::blob {

Result<ObjectShape> ObjectShape::Make(const wire::ObjectSpec& spec, const Shard& shard) {
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  ObjectShape shape;
  shape.shard_ = shard;
  for (const tensor::Section& section : layout.sections()) {
    const auto bytes = [&](std::uint64_t elements) { return encoding::EncodedBytes(section.dtype, spec.encoding, elements); };
    Part part{section.slots, shape.own_bytes_, bytes(section.elements_per_slot), section, {}};
    const std::uint64_t own = shard.Before(section.slots.end) - shard.Before(section.slots.begin);
    if (section.ends.empty()) {
      // A slot is of whole blocks, so the section's bytes are those of its slots.
      shape.bytes_ += bytes(section.elements);
      const std::uint64_t last = section.slots.end - 1;
      if (own > 0) shape.own_bytes_ += shard.Has(last) ? (own - 1) * part.slot_bytes + bytes(section.ElementsOf(last).count) : own * part.slot_bytes;
    } else {
      part.offsets.reserve(own);
      for (std::uint64_t slot = section.slots.begin; slot < section.slots.end; ++slot) {
        const std::uint64_t chunk = bytes(section.ElementsOf(slot).count);
        shape.bytes_ += chunk;
        if (!shard.Has(slot)) continue;
        part.offsets.push_back(shape.own_bytes_ - part.offset);
        shape.own_bytes_ += chunk;
      }
    }
    shape.parts_.push_back(std::move(part));
  }
  shape.slots_ = layout.slot_count();
  shape.encoding_ = spec.encoding;
  shape.update_ = spec.kind == wire::ObjectKind::kUpdate;
  shape.delta_ = spec.delta;
  return shape;
}

const ObjectShape::Part& ObjectShape::PartOf(std::uint64_t slot) const {
  return *std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) { return slot < part.slots.end; });
}

std::uint64_t ObjectShape::SlotBytes(std::uint64_t slot) const {
  const Part& part = PartOf(slot);
  return encoding::EncodedBytes(part.section.dtype, encoding_, part.section.ElementsOf(slot).count);
}

std::uint64_t ObjectShape::SlotOffset(std::uint64_t slot) const {
  const Part& part = PartOf(slot);
  const std::uint64_t index = shard_.Before(slot) - shard_.Before(part.slots.begin);
  return part.offset + (part.offsets.empty() ? index * part.slot_bytes : part.offsets[index]);
}

Status ObjectShape::CheckSlot(const ObjectName& name, std::uint64_t slot) const {
  if (slot >= slots_) return MakeError(Code::kNotFound, "object '{}' has no slot {}: it has {}", name.str(), slot, slots_);
  if (Has(slot)) return Ok();
  return MakeError(Code::kNotFound, "slot {} of object '{}' lies on shard {} of {}, this is shard {}", slot, name.str(),
                   Shard::Of(slot, shard_.count), shard_.count, shard_.number);
}

Status ObjectShape::CheckChunk(const ObjectName& name, std::uint64_t slot, std::uint64_t bytes) const {
  TRIBUTARY_TRY(CheckSlot(name, slot));
  if (bytes == SlotBytes(slot)) return Ok();
  return MakeError(Code::kInvalidArgument, "slot {} of object '{}' takes a chunk of {} bytes, not {}", slot, name.str(),
                   SlotBytes(slot), bytes);
}

Status ObjectShape::CheckContent(const ObjectName& name, std::uint64_t slot, std::span<const std::byte> bytes) const {
  TRIBUTARY_TRY(CheckChunk(name, slot, bytes.size()));
  if (!update_) return Ok();
  const Part& part = PartOf(slot);
  const Status checked = encoding::CheckChunk(part.section.dtype, encoding_, part.section.ElementsOf(slot).count, bytes);
  if (checked.ok()) return Ok();
  return MakeError(Code::kInvalidArgument,
                   "slot {} of update '{}' is refused: {}; did its training diverge? Lower the learning rate or clip gradients", slot,
                   name.str(), checked.error().message());
}

double ObjectShape::Squares(std::uint64_t slot, std::span<const std::byte> bytes) const {
  if (!delta_) return 0;
  const Part& part = PartOf(slot);
  // Sections that travel native hold the numbers themselves.
  const tensor::Encoding encoding = encoding::EffectiveEncoding(part.section.dtype, encoding_);
  if (encoding == tensor::Encoding::kNative) return 0;
  constexpr std::uint64_t kPiece = 1024;
  float values[kPiece];
  const std::uint64_t elements = part.section.ElementsOf(slot).count;
  double sum = 0;
  for (std::uint64_t first = 0; first < elements; first += kPiece) {
    const auto piece = std::span(values, std::min(kPiece, elements - first));
    encoding::DecodePart(encoding, bytes, first, elements, piece);
    for (const float value : piece) sum += static_cast<double>(value) * static_cast<double>(value);
  }
  return sum;
}

tensor::SlotRange ObjectShape::PageSlots(std::uint64_t page) const {
  return {page * wire::kPageDigests, std::min((page + 1) * wire::kPageDigests, slots_)};
}

Status ObjectShape::CheckPage(const ObjectName& name, std::uint64_t page) const {
  if (page < pages()) return Ok();
  return MakeError(Code::kNotFound, "object '{}' has no page {}: it has {}", name.str(), page, pages());
}

Status ObjectShape::CheckDigests(const ObjectName& name, std::uint64_t page, std::span<const wire::SlotDigest> digests) const {
  if (!sharded()) {
    return MakeError(Code::kInvalidArgument, "digests of object '{}' are refused: this blob-store has all of its slots, there is no other shard",
                     name.str());
  }
  if (const Status there = CheckPage(name, page); !there.ok()) return Error(Code::kInvalidArgument, there.error().message());
  const tensor::SlotRange slots = PageSlots(page);
  if (digests.size() != slots.size()) {
    return MakeError(Code::kInvalidArgument, "page {} of object '{}' has the digests of {} slots, not {}", page, name.str(), slots.size(),
                     digests.size());
  }
  for (std::uint64_t slot = slots.begin; slot < slots.end; ++slot) {
    if (Has(slot) || digests[slot - slots.begin] != wire::SlotDigest()) continue;
    return MakeError(Code::kInvalidArgument, "the digest of slot {} of object '{}' is zeros: ask shard {} for it first", slot, name.str(),
                     Shard::Of(slot, shard_.count));
  }
  return Ok();
}

Status ObjectShape::CheckRange(const ObjectName& name, tensor::SlotRange range) const {
  if (range.begin <= range.end && range.end <= slots_) return Ok();
  return MakeError(Code::kInvalidArgument, "slots [{}, {}) are no range of object '{}', which has {} slots",
                   range.begin, range.end, name.str(), slots_);
}

Error NoSuchObject(const ObjectName& name) {
  return MakeError(Code::kNotFound, "there is no object '{}'; create it first", name.str());
}

Error SlotAbsent(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation) {
  return MakeError(Code::kUnavailable, "slot {} of object '{}' is not there yet (generation {} or newer)", slot,
                   name.str(), min_generation);
}

Error OlderGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t put, std::uint64_t present) {
  return MakeError(Code::kConflict, "slot {} of object '{}' has generation {} already: {} is refused", slot, name.str(),
                   present, put);
}

Error ObjectSealed(const ObjectName& name) {
  return MakeError(Code::kConflict, "object '{}' is sealed and cannot change", name.str());
}

Error OtherBytes(const ObjectName& name, std::uint64_t slot) {
  return MakeError(Code::kConflict, "slot {} of update '{}' holds other bytes, which may have been averaged already; put an update of another name",
                   slot, name.str());
}

Error UpdateInUse(const ObjectName& name) {
  return MakeError(Code::kAlreadyExists, "update '{}' is open with another spec and holds chunks, which may have been averaged already; "
                   "put an update of another name", name.str());
}

Error DigestMismatch(const ObjectName& name, std::uint64_t slot, const char* where) {
  return MakeError(Code::kDataLoss, "slot {} of object '{}' {} does not match its XXH3-128 digest", slot, name.str(),
                   where);
}

Error SlotsMissing(const ObjectName& name, std::uint64_t missing, std::uint64_t slots, std::uint64_t first) {
  return MakeError(Code::kUnavailable, "object '{}' cannot be sealed: {} of {} slots are missing, the first is {}",
                   name.str(), missing, slots, first);
}

Error PageIncomplete(const ObjectName& name, std::uint64_t page, std::uint64_t missing, std::uint64_t first) {
  return MakeError(Code::kUnavailable, "page {} of object '{}' is not complete: {} of its slots on this shard are missing, the first is {}",
                   page, name.str(), missing, first);
}

Error SlotChanged(const ObjectName& name, std::uint64_t slot) {
  return MakeError(Code::kUnavailable, "slot {} of object '{}' changed while it was being sealed; seal it again", slot, name.str());
}

Error DigestsMissing(const ObjectName& name, std::uint64_t missing, std::uint64_t elsewhere, std::uint64_t first) {
  return MakeError(Code::kUnavailable,
                   "object '{}' cannot be sealed: the digests of {} of {} slots that lie on other shards are not here, put-digests first; the "
                   "first is of slot {}",
                   name.str(), missing, elsewhere, first);
}

Error OtherGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t has, std::uint64_t wanted) {
  return MakeError(Code::kConflict, "object '{}' cannot be sealed: slot {} is of generation {}, not {}", name.str(),
                   slot, has, wanted);
}

Error OtherSpec(const ObjectName& name, bool sealed) {
  return MakeError(Code::kAlreadyExists, "object '{}' exists with another spec and is {}", name.str(),
                   sealed ? "sealed; choose another name or remove it" : "open; remove or replace it");
}

}  // namespace tributary::blob
