// Where each element of a model lies: tensors -> sections -> slots.
//
// The tensors of one dtype, in manifest order, concatenated, are a *section*. A section is cut into
// *slots*, ranges of elements: chunk_bytes / element size, rounded down to a multiple of 64 (at least
// 64); the last slot of a section may be shorter. Slots are numbered over the sections in order of the
// dtype's first appearance. A slot may split a tensor or hold several, and is the same range of elements
// in every encoding. That is Cut::kChunks, what Tributary streams; the other cuts make the messages that other systems send, to compare
// with them. Layout is immutable after Make, holds no tensor bytes, and may be shared by threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/dtype.h"

namespace tributary::tensor {

constexpr std::uint64_t kDefaultChunkBytes = 1u << 20;
constexpr std::uint64_t kMaxChunkBytes = 4u << 20;
constexpr std::uint64_t kMinChunkBytes = 4096;
constexpr std::uint64_t kMaxTensors = 65536;
constexpr std::uint32_t kMaxRank = 8;
// Of the cuts that are no chunks: bytes of a slot, and slots by tensor.
constexpr std::uint64_t kMaxMessageBytes = 1u << 30;
constexpr std::uint64_t kMaxEntries = 4096;

// Where slots end. kTensors: at each tensor. kSections: a section is one slot.
enum class Cut : std::uint8_t { kChunks = 0, kTensors = 1, kSections = 2 };
Result<Cut> CutFromInt(std::uint64_t number);

struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::uint64_t> shape;  // empty: a scalar

  bool operator==(const TensorSpec&) const = default;
};

// Half-open: [begin, end).
struct SlotRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
  bool operator==(const SlotRange&) const = default;
};

struct Section {
  DType dtype;
  std::uint64_t elements;           // in all
  std::uint64_t elements_per_slot;  // but for the last; not of kTensors
  SlotRange slots;
  std::vector<std::uint64_t> ends;  // of kTensors alone: the element after each slot's last

  struct Elements {
    std::uint64_t first;
    std::uint64_t count;
  };
  // REQUIRES slots.begin <= slot < slots.end
  Elements ElementsOf(std::uint64_t slot) const;
};

// A slot's place: a range of elements of a section.
struct SlotPlace {
  std::uint32_t section;
  DType dtype;
  std::uint64_t first_element;  // in the section
  std::uint64_t elements;
  std::uint64_t native_bytes() const { return elements * ElementBytes(dtype); }
};

// A tensor's place, by its index in tensors().
struct TensorPlace {
  std::uint32_t section;
  std::uint64_t first_element;
  std::uint64_t elements;
};

// The part of one slot that lies in one tensor: bytes [chunk_offset, +bytes) of the native chunk are
// bytes [tensor_offset, +bytes) of the tensor.
struct SlotPiece {
  std::uint32_t tensor;
  std::uint64_t tensor_offset;
  std::uint64_t chunk_offset;
  std::uint64_t bytes;
};

class Layout {
 public:
  // Refuses: no tensors, empty or doubled names, names over 255 bytes, rank over kMaxRank, tensors without
  // elements, sizes that overflow, chunk_bytes outside [kMinChunkBytes, kMaxChunkBytes]; of cuts that are no chunks, slots over
  // kMaxMessageBytes and more than kMaxEntries tensors.
  static Result<Layout> Make(std::vector<TensorSpec> tensors, std::uint64_t chunk_bytes, Cut cut = Cut::kChunks);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  const std::vector<Section>& sections() const { return sections_; }
  std::uint64_t chunk_bytes() const { return chunk_bytes_; }
  Cut cut() const { return cut_; }
  std::uint64_t slot_count() const { return slot_count_; }
  std::uint64_t total_bytes() const { return total_bytes_; }  // native
  SlotRange all_slots() const { return {0, slot_count_}; }

  // REQUIRES: slot < slot_count()
  SlotPlace Place(std::uint64_t slot) const;
  std::uint64_t SlotBytes(std::uint64_t slot) const { return Place(slot).native_bytes(); }
  // The pieces of tensors that the slot is made of, in order.
  std::vector<SlotPiece> Pieces(std::uint64_t slot) const;
  // REQUIRES: index < tensors().size()
  const TensorPlace& PlaceOfTensor(std::uint32_t index) const { return places_[index]; }

  bool operator==(const Layout& other) const {
    return chunk_bytes_ == other.chunk_bytes_ && cut_ == other.cut_ && tensors_ == other.tensors_;
  }

 private:
  Layout() = default;

  std::vector<TensorSpec> tensors_;
  std::vector<Section> sections_;
  std::vector<TensorPlace> places_;
  // For each section, tensor indices in order of first_element: the search tree of Pieces.
  std::vector<std::vector<std::uint32_t>> section_tensors_;
  std::uint64_t chunk_bytes_ = 0;
  Cut cut_ = Cut::kChunks;
  std::uint64_t slot_count_ = 0;
  std::uint64_t total_bytes_ = 0;
};

// Native bytes of the longest slot.
std::uint64_t LargestSlotBytes(const Layout& layout);
// Elements of a shape; error when the product overflows or a dimension is zero.
Result<std::uint64_t> ElementCount(const std::vector<std::uint64_t>& shape);

}  // namespace tributary::tensor
