#include "tributary/modeldir/import.h"

#include <vector>

#include "tributary/wire/object.h"

namespace tributary::modeldir {

Result<std::string> ImportModel(blob::BlobStore& store, const ModelDirectory& directory, const ObjectName& object, const ImportOptions& options) {
  std::vector<const StoredWeight*> weights;
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kModel;
  spec.chunk_bytes = options.chunk_bytes;
  spec.info = directory.config_json;
  for (const StoredWeight& weight : directory.weights) {
    // Masks and counters are no weights; a tied output layer is kept, since only the model knows whether it is tied.
    if (DerivedWeight(weight.spec.name) && weight.spec.name != "lm_head.weight") continue;
    if (weight.spec.dtype != tensor::DType::kF32 && weight.spec.dtype != tensor::DType::kF16 && weight.spec.dtype != tensor::DType::kBF16) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}' is {}; weights are read as F32, F16 and BF16", weight.file, weight.spec.name,
                       tensor::DTypeName(weight.spec.dtype));
    }
    weights.push_back(&weight);
    spec.tensors.push_back(weight.spec);
  }
  if (weights.empty()) {
    return MakeError(Code::kInvalidArgument, "{} has neither model.safetensors nor model.safetensors.index.json; other formats are not read",
                     directory.path);
  }
  auto made = wire::MakeLayout(spec);
  if (!made.ok()) return made.error().Wrap(directory.path);
  const tensor::Layout& layout = *made;
  TRIBUTARY_ASSIGN(const auto created, store.Create(object, spec, /*replace=*/false));
  if (!created.sealed) {
    blob::WriteOptions writing;
    writing.stop = options.stop;
    TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
    std::uint64_t done = 0;
    // From what the store lacks: an import that was interrupted goes on.
    TRIBUTARY_ASSIGN(const auto missing, store.Missing(object, layout.all_slots(), 0));
    std::uint64_t begin = layout.slot_count();
    if (!missing.empty()) begin = missing.front().begin;
    for (std::uint64_t slot = 0; slot < begin; ++slot) done += layout.SlotBytes(slot);
    for (std::uint64_t slot = begin; slot < layout.slot_count(); ++slot) {
      if (options.stop.stop_requested()) return MakeError(Code::kCancelled, "the import was stopped");
      TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(layout.SlotBytes(slot)));
      for (const tensor::SlotPiece& piece : layout.Pieces(slot)) {
        TRIBUTARY_TRY(ReadWeight(*weights[piece.tensor], piece.tensor_offset, chunk->payload().subspan(piece.chunk_offset, piece.bytes)));
      }
      TRIBUTARY_TRY(writer->Put(object, slot, std::move(chunk)));
      done += layout.SlotBytes(slot);
      if (options.progress) options.progress(done, layout.total_bytes());
    }
    TRIBUTARY_TRY(writer->Flush());
  }
  return store.Seal(object, 0, /*durable=*/true);
}

}  // namespace tributary::modeldir
