// Moves a model between the store and parameter memory: bytes are received straight into it and sent straight from it.
//
// One copy per chunk, no second model in memory. Layout and parameters must be of the same tensors in the same order.
#pragma once

#include "services/trainer/task_support.h"
#include "services/trainer/update_encoder.h"

namespace tributary::trainer {

// kInvalidArgument, with the first tensor that differs, unless the tensors are the model's parameters.
Status CheckTensors(const std::vector<tensor::TensorSpec>& tensors, const train::Model& model, const std::string& object);

// `encoding`: how the object's chunks stand.
Status DownloadModel(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, tensor::Encoding encoding, train::Model& model,
                     session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop);

// Writes every slot of an open object as the encoder makes it. `base`, of chunks as `base_encoding` says, is read again, slot by slot, where
// the encoder needs it. `deduplicate`: slots that are equal to the base's are not sent.
Status UploadModel(blob::BlobStore& store, const ObjectName& object, const ObjectName& base, tensor::Encoding base_encoding, const tensor::Layout& layout,
                   train::Model& model, UpdateEncoder& encoder, bool deduplicate, session::TaskProgress& progress, ByteCount& bytes, std::stop_token stop);

}  // namespace tributary::trainer
