// Puts a Hugging Face directory into the blob-store as a sealed model that jobs can start from.
//
// Tensors keep names, dtypes and order of the files; `info` of the object is the directory's config.json. Streams chunk by chunk:
// memory is the writer's window, whatever the model's size. An import that was interrupted begins again. Where a sealed object has the
// name already, the files are held against its manifest's digests (the weights are read here and not from the store): the same model is left
// as it is, in whatever chunks it lies there, another one is kAlreadyExists. One thread. Bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/modeldir/directory.h"

namespace tributary::modeldir {

struct ImportOptions {
  std::uint64_t chunk_bytes = tensor::kDefaultChunkBytes;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
};

// The sealed object's digest. kInvalidArgument for a directory without weights or of tensors that no layout takes (dtypes that are no
// numbers of a model among them); kAlreadyExists, with what to do, where `object` is sealed with other tensors or other bytes;
// kConflict where another import wrote a mixture into it, which is removed.
Result<std::string> ImportModel(blob::BlobStore& store, const ModelDirectory& directory, const ObjectName& object,
                                const ImportOptions& options = {});

// The same of PEFT's adapters, all of them F32; `info` is the directory's adapter_config.json.
Result<std::string> ImportAdapters(blob::BlobStore& store, const AdapterDirectory& directory, const ObjectName& object, const ImportOptions& options = {});

}  // namespace tributary::modeldir
