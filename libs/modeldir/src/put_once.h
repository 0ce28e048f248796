// Bytes of files as a sealed object that is either new or the same as before: what import does for weights and for a tokenizer's files.
#pragma once

#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/modeldir/import.h"

namespace tributary::modeldir {

struct Origin {
  std::string what;       // "model"
  std::string directory;
  std::string keys = "model.object, and model.tokenizer where there is one";  // of a job, that name what an import prints
};

// `entries` are the tensors of `spec`, in order. The sealed object's digest; kAlreadyExists as ImportModel has it.
Result<std::string> PutOnce(blob::BlobStore& store, const ObjectName& object, const wire::ObjectSpec& spec,
                            const std::vector<const StoredWeight*>& entries, const Origin& origin, const ImportOptions& options);

}  // namespace tributary::modeldir
