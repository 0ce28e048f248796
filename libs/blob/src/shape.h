// Private: what a store needs of an object's layout for each chunk, without its tensors.
//
// A spec may name 65,536 tensors; a store keeps this instead, a few hundred bytes an object; 16 more for each tensor of one whose slots are
// its tensors, at most 64 KiB. Immutable value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tributary/base/names.h"
#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::blob {

class ObjectShape {
 public:
  // kInvalidArgument for specs that no store takes: a bad layout.
  static Result<ObjectShape> Make(const wire::ObjectSpec& spec);

  std::uint64_t slots() const { return slots_; }
  std::uint64_t bytes() const { return bytes_; }
  // Of the chunk, and of its place when all chunks lie one after another. REQUIRES slot < slots().
  std::uint64_t SlotBytes(std::uint64_t slot) const;
  std::uint64_t SlotOffset(std::uint64_t slot) const;

  // kNotFound unless slot < slots().
  Status CheckSlot(const ObjectName& name, std::uint64_t slot) const;
  // Slot number and length.
  Status CheckChunk(const ObjectName& name, std::uint64_t slot, std::uint64_t bytes) const;
  // CheckChunk, and kInvalidArgument for an update whose numbers, as encoded, are not all finite: one would spoil every later round.
  Status CheckContent(const ObjectName& name, std::uint64_t slot, std::span<const std::byte> bytes) const;
  // Sum of the squares of the differences that the chunk of an update holds; 0 of all other chunks. In double, in order. REQUIRES: CheckContent.
  double Squares(std::uint64_t slot, std::span<const std::byte> bytes) const;
  // kInvalidArgument unless begin <= end <= slots().
  Status CheckRange(const ObjectName& name, tensor::SlotRange range) const;

 private:
  // A section; bytes are as encoded.
  struct Part {
    tensor::SlotRange slots;
    std::uint64_t offset;      // of its first slot
    std::uint64_t slot_bytes;  // but for the last; not where slots are tensors
    tensor::Section section;
    std::vector<std::uint64_t> offsets;  // where slots are tensors: of each, from `offset`
  };
  const Part& PartOf(std::uint64_t slot) const;

  std::vector<Part> parts_;
  bool update_ = false;
  bool delta_ = false;
  tensor::Encoding encoding_ = tensor::Encoding::kNative;
  std::uint64_t slots_ = 0;
  std::uint64_t bytes_ = 0;
};

Error NoSuchObject(const ObjectName& name);
Error SlotAbsent(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation);
Error OlderGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t put, std::uint64_t present);
Error ObjectSealed(const ObjectName& name);
Error OtherBytes(const ObjectName& name, std::uint64_t slot);
Error UpdateInUse(const ObjectName& name);
Error DigestMismatch(const ObjectName& name, std::uint64_t slot, const char* where);
Error SlotsMissing(const ObjectName& name, std::uint64_t missing, std::uint64_t slots, std::uint64_t first);
Error OtherGeneration(const ObjectName& name, std::uint64_t slot, std::uint64_t has, std::uint64_t wanted);
Error OtherSpec(const ObjectName& name, bool sealed);

}  // namespace tributary::blob
