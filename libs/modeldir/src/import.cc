#include "tributary/modeldir/import.h"

#include <vector>

#include "put_once.h"

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
  return PutOnce(store, object, spec, weights, {"model", directory.path}, options);
}

Result<std::string> ImportAdapters(blob::BlobStore& store, const AdapterDirectory& directory, const ObjectName& object, const ImportOptions& options) {
  std::vector<const StoredWeight*> weights;
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kModel;
  spec.chunk_bytes = options.chunk_bytes;
  spec.info = directory.config_json;
  for (const StoredWeight& weight : directory.weights) {
    if (weight.spec.dtype != tensor::DType::kF32) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}' is {}; adapters are read as F32", weight.file, weight.spec.name, tensor::DTypeName(weight.spec.dtype));
    }
    weights.push_back(&weight);
    spec.tensors.push_back(weight.spec);
  }
  if (weights.empty()) return MakeError(Code::kInvalidArgument, "{} has no adapters: adapter_model.safetensors is empty", directory.path);
  return PutOnce(store, object, spec, weights, {"model", directory.path, "adapter.object"}, options);
}

}  // namespace tributary::modeldir
