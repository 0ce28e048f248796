#include "tributary/broadcast/broadcast.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "tributary/encoding/encoding.h"

namespace tributary::broadcast {
namespace {

using tensor::Encoding;

constexpr std::size_t kPiece = 4096;
static_assert(kPiece % encoding::kBlock == 0);

blob::ChunkSequence SlotsOf(const ObjectName& object, std::vector<tensor::SlotRange> ranges) {
  return [object, ranges = std::move(ranges), range = std::size_t{0}, at = std::uint64_t{0}]() mutable -> std::optional<blob::ChunkRef> {
    while (range < ranges.size() && ranges[range].begin + at == ranges[range].end) {
      ++range;
      at = 0;
    }
    if (range == ranges.size()) return std::nullopt;
    return blob::ChunkRef{object, ranges[range].begin + at++};
  };
}

}  // namespace

wire::ObjectSpec SpecOf(const wire::ObjectSpec& model, Encoding encoding) {
  wire::ObjectSpec spec = model;
  spec.encoding = encoding;
  return spec;
}

void Loss::AddTo(std::map<std::string, double>& metrics) const {
  metrics["broadcast_lost"] = lost;
  metrics["broadcast_norm"] = norm;
}

std::uint64_t Encoder::ChunkBytes(const tensor::SlotPlace& place) const {
  return encoding::EncodedBytes(place.dtype, encoding_, place.elements);
}

Status Encoder::Encode(const tensor::SlotPlace& place, std::span<const std::byte> native, std::span<std::byte> chunk) {
  const Encoding effective = encoding::EffectiveEncoding(place.dtype, encoding_);
  if (effective == Encoding::kNative) {
    std::copy(native.begin(), native.end(), chunk.begin());
    return Ok();
  }
  const std::size_t width = tensor::ElementBytes(place.dtype);
  values_.resize(kPiece);
  back_.resize(kPiece);
  for (std::uint64_t first = 0; first < place.elements; first += kPiece) {
    const std::size_t count = std::min<std::uint64_t>(kPiece, place.elements - first);
    const auto values = std::span(values_).first(count);
    const auto back = std::span(back_).first(count);
    encoding::Widen(place.dtype, native.subspan(first * width, count * width), values);
    if (const Status encoded = encoding::EncodePart(effective, values, first, place.elements, chunk); !encoded.ok()) {
      return encoded.error().Wrap(fmt::format("transfer.broadcast {} cannot hold the model; choose another", tensor::EncodingName(encoding_)));
    }
    encoding::DecodePart(effective, chunk, first, place.elements, back);
    for (std::size_t i = 0; i < count; ++i) {
      const double value = values[i];
      const double off = value - static_cast<double>(back[i]);
      loss_.norm += value * value;
      loss_.lost += off * off;
    }
  }
  return Ok();
}

Status Complete(blob::BlobStore& store, const ObjectName& model, const ObjectName& broadcast, const tensor::Layout& layout,
                tensor::SlotRange range, std::uint64_t generation, Encoder& encoder, const Count& count, std::stop_token stop) {
  TRIBUTARY_ASSIGN(auto missing, store.Missing(broadcast, range, generation));
  if (missing.empty()) return Ok();
  blob::ReadOptions reading;
  reading.min_generation = generation;
  reading.stop = stop;
  blob::WriteOptions writing;
  writing.generation = generation;
  writing.stop = stop;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(SlotsOf(model, std::move(missing)), reading));
  TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
  for (;;) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "encoding the broadcast was stopped");
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    if (!chunk) break;
    const auto place = layout.Place(chunk->slot);
    if (chunk->bytes.size() != place.native_bytes()) {
      return MakeError(Code::kProtocol, "slot {} of {} came with {} bytes: expected {}", chunk->slot, model.str(), chunk->bytes.size(),
                       place.native_bytes());
    }
    if (generation != 0 && chunk->generation != generation) {
      return MakeError(Code::kConflict, "slot {} of {} is of generation {} by now, not {}", chunk->slot, model.str(), chunk->generation, generation);
    }
    TRIBUTARY_ASSIGN(auto encoded, writer->Allocate(encoder.ChunkBytes(place)));
    TRIBUTARY_TRY(encoder.Encode(place, chunk->bytes, encoded->payload()));
    const std::uint64_t bytes = encoded->payload().size();
    TRIBUTARY_TRY(writer->Put(broadcast, chunk->slot, std::move(encoded)));
    if (count) count(bytes, chunk->bytes.size());
  }
  return writer->Flush();
}

}  // namespace tributary::broadcast
