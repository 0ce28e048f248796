#include "tributary/tensor/layout.h"

#include <algorithm>
#include <unordered_set>

namespace tributary::tensor {

Result<std::uint64_t> ElementCount(const std::vector<std::uint64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t dimension : shape) {
    if (dimension == 0) return MakeError(Code::kInvalidArgument, "a dimension is zero");
    if (__builtin_mul_overflow(count, dimension, &count) || count > (1ULL << 56)) {
      return MakeError(Code::kInvalidArgument, "the shape has too many elements");
    }
  }
  return count;
}

Result<Cut> CutFromInt(std::uint64_t number) {
  if (number <= static_cast<std::uint64_t>(Cut::kSections)) return static_cast<Cut>(number);
  return MakeError(Code::kProtocol, "slots are cut in a way ({}) that is not known here", number);
}

Section::Elements Section::ElementsOf(std::uint64_t slot) const {
  const std::uint64_t index = slot - slots.begin;
  if (!ends.empty()) {
    const std::uint64_t first = index == 0 ? 0 : ends[index - 1];
    return {first, ends[index] - first};
  }
  const std::uint64_t first = index * elements_per_slot;
  return {first, std::min(elements_per_slot, elements - first)};
}

Result<Layout> Layout::Make(std::vector<TensorSpec> tensors, std::uint64_t chunk_bytes, Cut cut) {
  if (tensors.empty()) return MakeError(Code::kInvalidArgument, "a layout needs at least one tensor");
  if (tensors.size() > kMaxTensors) {
    return MakeError(Code::kInvalidArgument, "{} tensors: at most {}", tensors.size(), kMaxTensors);
  }
  if (chunk_bytes < kMinChunkBytes || chunk_bytes > kMaxChunkBytes) {
    return MakeError(Code::kInvalidArgument, "chunk_bytes {}: expected {} to {}", chunk_bytes,
                     kMinChunkBytes, kMaxChunkBytes);
  }
  if (cut == Cut::kTensors && tensors.size() > kMaxEntries) {
    return MakeError(Code::kInvalidArgument, "{} tensors, each a message of its own: at most {}; stream them in chunks", tensors.size(),
                     kMaxEntries);
  }
  Layout layout;
  layout.chunk_bytes_ = chunk_bytes;
  layout.cut_ = cut;
  std::unordered_set<std::string_view> names;
  for (const TensorSpec& tensor : tensors) {
    if (tensor.name.empty() || tensor.name.size() > 255) {
      return MakeError(Code::kInvalidArgument, "a tensor's name has {} bytes: expected 1 to 255",
                       tensor.name.size());
    }
    if (!names.insert(tensor.name).second) {
      return MakeError(Code::kInvalidArgument, "tensor '{}' stands twice", tensor.name);
    }
    if (tensor.shape.size() > kMaxRank) {
      return MakeError(Code::kInvalidArgument, "tensor '{}' has {} dimensions: at most {}", tensor.name,
                       tensor.shape.size(), kMaxRank);
    }
    auto elements = ElementCount(tensor.shape);
    if (!elements.ok()) return elements.error().Wrap("tensor '" + tensor.name + "'");

    std::uint32_t section = 0;
    while (section < layout.sections_.size() && layout.sections_[section].dtype != tensor.dtype) ++section;
    if (section == layout.sections_.size()) {
      const std::uint64_t per_slot =
          std::max<std::uint64_t>(64, chunk_bytes / ElementBytes(tensor.dtype) / 64 * 64);
      layout.sections_.push_back({tensor.dtype, 0, per_slot, {}, {}});
      layout.section_tensors_.emplace_back();
    }
    Section& place = layout.sections_[section];
    layout.section_tensors_[section].push_back(static_cast<std::uint32_t>(layout.places_.size()));
    layout.places_.push_back({section, place.elements, *elements});
    place.elements += *elements;
    if (place.elements > (1ULL << 56)) return MakeError(Code::kInvalidArgument, "the model is too large");
    if (cut == Cut::kTensors) place.ends.push_back(place.elements);
    const std::uint64_t message = cut == Cut::kTensors ? *elements : place.elements;
    if (cut != Cut::kChunks && message * ElementBytes(tensor.dtype) > kMaxMessageBytes) {
      return MakeError(Code::kInvalidArgument, "{} has {} bytes, and a message at most {}: stream it in chunks",
                       cut == Cut::kTensors ? "tensor '" + tensor.name + "'" : fmt::format("all of {}", DTypeName(tensor.dtype)),
                       message * ElementBytes(tensor.dtype), kMaxMessageBytes);
    }
  }
  for (Section& section : layout.sections_) {
    if (cut == Cut::kSections) section.elements_per_slot = section.elements;
    const std::uint64_t count =
        cut == Cut::kTensors ? section.ends.size() : (section.elements + section.elements_per_slot - 1) / section.elements_per_slot;
    section.slots = {layout.slot_count_, layout.slot_count_ + count};
    layout.slot_count_ += count;
    layout.total_bytes_ += section.elements * ElementBytes(section.dtype);
  }
  layout.tensors_ = std::move(tensors);
  return layout;
}

SlotPlace Layout::Place(std::uint64_t slot) const {
  std::uint32_t index = 0;
  while (slot >= sections_[index].slots.end) ++index;
  const Section& section = sections_[index];
  const auto [first, count] = section.ElementsOf(slot);
  return {index, section.dtype, first, count};
}

std::vector<SlotPiece> Layout::Pieces(std::uint64_t slot) const {
  const SlotPlace place = Place(slot);
  const std::uint64_t width = ElementBytes(place.dtype);
  const std::uint64_t end = place.first_element + place.elements;
  const auto& order = section_tensors_[place.section];
  // The last tensor that begins at or before the slot.
  auto it = std::upper_bound(order.begin(), order.end(), place.first_element,
                             [&](std::uint64_t element, std::uint32_t t) {
                               return element < places_[t].first_element;
                             });
  std::vector<SlotPiece> pieces;
  for (--it; it != order.end() && places_[*it].first_element < end; ++it) {
    const TensorPlace& tensor = places_[*it];
    const std::uint64_t begin = std::max(tensor.first_element, place.first_element);
    const std::uint64_t stop = std::min(tensor.first_element + tensor.elements, end);
    pieces.push_back({*it, (begin - tensor.first_element) * width, (begin - place.first_element) * width,
                      (stop - begin) * width});
  }
  return pieces;
}

std::uint64_t LargestSlotBytes(const Layout& layout) {
  std::uint64_t largest = 0;
  for (const Section& section : layout.sections()) {
    std::uint64_t elements = std::min(section.elements_per_slot, section.elements);
    if (!section.ends.empty()) {
      elements = 0;
      for (std::uint64_t slot = section.slots.begin; slot < section.slots.end; ++slot) elements = std::max(elements, section.ElementsOf(slot).count);
    }
    largest = std::max(largest, elements * ElementBytes(section.dtype));
  }
  return largest;
}

}  // namespace tributary::tensor
