// A Hugging Face directory into the blob-store that the command line names, with progress on a terminal.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/config/options.h"
#include "tributary/modeldir/directory.h"

namespace tributary::cli {

// `options` has the store's and the keys' (config::AddStoreOptions, config::AddKeyOptions). An empty `name`: models/ and the directory's own. Gives NAME@DIGEST, as model.object
// wants it. A name that holds another model, be it of the same tensors: kAlreadyExists.
Result<std::string> ImportDirectory(const config::Options& options, const modeldir::ModelDirectory& directory, const std::string& name,
                                    std::uint64_t chunk_bytes);

}  // namespace tributary::cli
