// A Hugging Face directory into the blob-store that the command line names, with progress on a terminal.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/config/options.h"
#include "tributary/modeldir/directory.h"

namespace tributary::cli {

// `options` has the store's and the keys' (config::AddStoreOptions, config::AddKeyOptions). An empty `name`: models/ and the directory's own. A name that
// holds another model, be it of the same tensors: kAlreadyExists. One that does not begin with models/, where services with keys may read:
// kInvalidArgument. The directory's tokenizer comes with it.
struct Imported {
  std::string model;      // NAME@DIGEST: model.object of a job
  std::string tokenizer;  // object:NAME@DIGEST, its model.tokenizer; empty where the directory has none
};
Result<Imported> ImportDirectory(const config::Options& options, const modeldir::ModelDirectory& directory, const std::string& name,
                                 std::uint64_t chunk_bytes);

// The same of PEFT's adapters: NAME@DIGEST, adapter.object of a job.
Result<std::string> ImportAdapterDirectory(const config::Options& options, const modeldir::AdapterDirectory& directory, const std::string& name,
                                           std::uint64_t chunk_bytes);

// The model.tokenizer, object:NAME@DIGEST, that an import put beside `model`, NAME or NAME@DIGEST; empty where it put none. `options` as above.
Result<std::string> FindTokenizer(const config::Options& options, const std::string& model);

}  // namespace tributary::cli
