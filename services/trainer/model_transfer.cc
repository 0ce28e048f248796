#include "services/trainer/model_transfer.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "tributary/encoding/encoding.h"

namespace tributary::trainer {

Status CheckTensors(const std::vector<tensor::TensorSpec>& tensors, const train::Model& model, const std::string& object) {
  const auto& parameters = model.Parameters();
  for (std::size_t i = 0; i < tensors.size() && i < parameters.size(); ++i) {
    if (tensors[i] != parameters[i]) {
      return MakeError(Code::kInvalidArgument, "tensor {} of {} is '{}': this model has '{}' there, or another shape or dtype", i,
                       object, tensors[i].name, parameters[i].name);
    }
  }
  if (tensors.size() != parameters.size()) {
    return MakeError(Code::kInvalidArgument, "{} has {} tensors, this model {}", object, tensors.size(), parameters.size());
  }
  return Ok();
}

Status DownloadModel(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, tensor::Encoding encoding, train::Model& model,
                     session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop) {
  std::uint64_t total = 0;
  for (const tensor::Section& section : layout.sections()) total += encoding::EncodedBytes(section.dtype, encoding, section.elements);
  progress.Phase("download", total, "bytes");
  blob::ReadOptions options;
  options.stop = stop;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(object, layout.all_slots()), options));
  std::uint64_t done = 0;
  std::vector<std::byte> scratch;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the download was stopped");
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    if (!chunk || chunk->slot != slot) return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, object.str());
    TRIBUTARY_ASSIGN(const auto native, NativeOf(*chunk, layout.Place(slot), encoding, scratch));
    for (const auto& piece : layout.Pieces(slot)) {
      std::memcpy(model.ParameterBytes(piece.tensor).data() + piece.tensor_offset, native.data() + piece.chunk_offset,
                  piece.bytes);
    }
    bytes.Down(chunk->bytes.size());
    progress.Done(done += chunk->bytes.size());
  }
  return Ok();
}

namespace {

// Elements of a slot out of the tensors that they lie in.
void CopyTrained(const std::vector<tensor::SlotPiece>& pieces, train::Model& model, std::uint64_t offset, std::span<std::byte> out) {
  const std::uint64_t end = offset + out.size();
  for (const auto& piece : pieces) {
    const std::uint64_t from = std::max(offset, piece.chunk_offset);
    const std::uint64_t to = std::min(end, piece.chunk_offset + piece.bytes);
    if (from >= to) continue;
    std::memcpy(out.data() + (from - offset), model.ParameterBytes(piece.tensor).data() + piece.tensor_offset + (from - piece.chunk_offset),
                to - from);
  }
}

}  // namespace

Status UploadModel(blob::BlobStore& store, const ObjectName& object, const ObjectName& base, tensor::Encoding base_encoding, const tensor::Layout& layout,
                   train::Model& model, UpdateEncoder& encoder, bool deduplicate, session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop) {
  progress.Phase("upload", encoder.TotalBytes(), "bytes");
  blob::WriteOptions options;
  options.stop = stop;
  if (deduplicate) options.same_as = base;
  TRIBUTARY_ASSIGN(const auto writer, store.Write(options));
  blob::ReadOptions reading;
  reading.stop = stop;
  auto needed = [&encoder, &layout, base, slot = std::uint64_t{0}]() mutable -> std::optional<blob::ChunkRef> {
    while (slot < layout.slot_count() && !encoder.NeedsBase(slot)) ++slot;
    if (slot == layout.slot_count()) return std::nullopt;
    return blob::ChunkRef{base, slot++};
  };
  TRIBUTARY_ASSIGN(const auto reader, store.Read(std::move(needed), reading));
  std::uint64_t done = 0;
  std::vector<std::byte> scratch;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the upload was stopped");
    const std::uint64_t size = encoder.ChunkBytes(slot);
    TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(size));
    std::optional<blob::Chunk> before;
    std::span<const std::byte> before_native;
    if (encoder.NeedsBase(slot)) {
      TRIBUTARY_ASSIGN(before, reader->Next());
      if (!before || before->slot != slot) return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, base.str());
      TRIBUTARY_ASSIGN(before_native, NativeOf(*before, layout.Place(slot), base_encoding, scratch));
      bytes.Down(before->bytes.size());
    }
    const auto pieces = layout.Pieces(slot);
    const std::uint64_t width = tensor::ElementBytes(layout.Place(slot).dtype);
    const auto trained = [&](std::uint64_t first, std::span<std::byte> native) { CopyTrained(pieces, model, first * width, native); };
    TRIBUTARY_TRY(encoder.Encode(slot, trained, before_native, chunk->payload()));
    TRIBUTARY_TRY(writer->Put(object, slot, std::move(chunk)));
    bytes.Up(size);
    progress.Done(done += size);
  }
  TRIBUTARY_TRY(writer->Flush());
  bytes.Deduplicated(writer->deduplicated());
  return encoder.Complete();
}

}  // namespace tributary::trainer
