#include "services/trainer/model_transfer.h"

#include <cstring>
#include <utility>

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

Status DownloadModel(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, train::Model& model,
                     session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop) {
  progress.Phase("download", layout.total_bytes(), "bytes");
  blob::ReadOptions options;
  options.stop = stop;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(object, layout.all_slots()), options));
  std::uint64_t done = 0;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the download was stopped");
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    if (!chunk || chunk->slot != slot || chunk->bytes.size() != layout.SlotBytes(slot)) {
      return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, object.str());
    }
    for (const auto& piece : layout.Pieces(slot)) {
      std::memcpy(model.ParameterBytes(piece.tensor).data() + piece.tensor_offset, chunk->bytes.data() + piece.chunk_offset,
                  piece.bytes);
    }
    bytes.Down(chunk->bytes.size());
    progress.Done(done += chunk->bytes.size());
  }
  return Ok();
}

Status UploadModel(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, train::Model& model,
                   session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop) {
  progress.Phase("upload", layout.total_bytes(), "bytes");
  blob::WriteOptions options;
  options.stop = stop;
  TRIBUTARY_ASSIGN(const auto writer, store.Write(options));
  std::uint64_t done = 0;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the upload was stopped");
    const std::uint64_t size = layout.SlotBytes(slot);
    TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(size));
    for (const auto& piece : layout.Pieces(slot)) {
      std::memcpy(chunk->payload().data() + piece.chunk_offset, model.ParameterBytes(piece.tensor).data() + piece.tensor_offset,
                  piece.bytes);
    }
    TRIBUTARY_TRY(writer->Put(object, slot, std::move(chunk)));
    bytes.Up(size);
    progress.Done(done += size);
  }
  return writer->Flush();
}

}  // namespace tributary::trainer
