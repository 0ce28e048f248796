// Private: what a store needs of an object's layout for each chunk, without its tensors.
//
// A spec may name 65,536 tensors; a store keeps this instead, a few hundred bytes an object; 16 more for each tensor of one whose slots are
// its tensors, at most 64 KiB. Of a store that is one of several shards it knows which slots are the store's own. Immutable value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tributary/base/names.h"
#include "tributary/base/result.h"
#include "tributary/blob/shard.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::blob {

class ObjectShape {
 public:
  // kInvalidArgument for specs that no store takes: a bad layout.
  static Result<ObjectShape> Make(const wire::ObjectSpec& spec, const Shard& shard = {});

  // Of the whole object.
  std::uint64_t slots() const { return slots_; }
  std::uint64_t bytes() const { return bytes_; }
  // Of what this store has of it.
  bool Has(std::uint64_t slot) const { return shard_.Has(slot); }
  std::uint64_t own_slots() const { return shard_.Before(slots_); }
  std::uint64_t own_bytes() const { return own_bytes_; }
  bool sharded() const { return shard_.count > 1; }
  // Of the chunk. REQUIRES slot < slots().
  std::uint64_t SlotBytes(std::uint64_t slot) const;
  // Of its place when all own chunks lie one after another. REQUIRES slot < slots() and Has(slot).
  std::uint64_t SlotOffset(std::uint64_t slot) const;
  // The slots of a page of the manifest. REQUIRES page < pages().
  std::uint64_t pages() const { return (slots_ + wire::kPageDigests - 1) / wire::kPageDigests; }
  tensor::SlotRange PageSlots(std::uint64_t page) const;

  // kNotFound unless the object has the slot, and this store has it.
  Status CheckSlot(const ObjectName& name, std::uint64_t slot) const;
  // Slot number and length.
  Status CheckChunk(const ObjectName& name, std::uint64_t slot, std::uint64_t bytes) const;
  // CheckChunk, and kInvalidArgument for an update whose numbers, as encoded, are not all finite: one would spoil every later round.
  Status CheckContent(const ObjectName& name, std::uint64_t slot, std::span<const std::byte> bytes) const;
  // Sum of the squares of the differences that the chunk of an update holds; 0 of all other chunks. In double, in order. REQUIRES: CheckContent.
  double Squares(std::uint64_t slot, std::span<const std::byte> bytes) const;
  // Digests of a page's slots as put-digests brings them: kInvalidArgument unless there are several shards, the object has the page, there
  // is one of each of its slots, and none of another shard's slots is zeros.
  Status CheckDigests(const ObjectName& name, std::uint64_t page, std::span<const wire::SlotDigest> digests) const;
  // kNotFound unless page < pages().
  Status CheckPage(const ObjectName& name, std::uint64_t page) const;
  // kInvalidArgument unless begin <= end <= slots().
  Status CheckRange(const ObjectName& name, tensor::SlotRange range) const;

 private:
  // A section; bytes are as encoded.
  struct Part {
    tensor::SlotRange slots;
    std::uint64_t offset;      // of its first own slot
    std::uint64_t slot_bytes;  // but for the last; not where slots are tensors
    tensor::Section section;
    std::vector<std::uint64_t> offsets;  // where slots are tensors: of each own one, from `offset`
  };
  const Part& PartOf(std::uint64_t slot) const;

  std::vector<Part> parts_;
  bool update_ = false;
  bool delta_ = false;
  tensor::Encoding encoding_ = tensor::Encoding::kNative;
  std::uint64_t slots_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t own_bytes_ = 0;
  Shard shard_;
};

Error NoSuchObject(const ObjectName& name);
Error SlotAbsent(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation);
Error OlderGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t put, std::uint64_t present);
Error ObjectSealed(const ObjectName& name);
Error OtherBytes(const ObjectName& name, std::uint64_t slot);
Error UpdateInUse(const ObjectName& name);
Error DigestMismatch(const ObjectName& name, std::uint64_t slot, const char* where);
Error SlotsMissing(const ObjectName& name, std::uint64_t missing, std::uint64_t slots, std::uint64_t first);
// Own slots of a page, when somebody asks for their digests.
Error PageIncomplete(const ObjectName& name, std::uint64_t page, std::uint64_t missing, std::uint64_t first);
// Of slots that lie on other shards, when all own ones are there.
// Between the question for a page's digests and their coming back.
Error SlotChanged(const ObjectName& name, std::uint64_t slot);
Error DigestsMissing(const ObjectName& name, std::uint64_t missing, std::uint64_t elsewhere, std::uint64_t first);
Error OtherGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t has, std::uint64_t wanted);
Error OtherSpec(const ObjectName& name, bool sealed);

}  // namespace tributary::blob
