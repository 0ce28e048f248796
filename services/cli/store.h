// The blob-store that a command's options name, and whether a job's model lies in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/config/options.h"
#include "tributary/memory/pool.h"

namespace tributary::cli {

// `options` has the store's and the keys' (config::AddStoreOptions, config::AddKeyOptions); `pool` outlives the store.
Result<std::unique_ptr<blob::BlobStore>> OpenStore(const config::Options& options, memory::Pool& pool);

// kNotFound, with the key that keeps models, unless the job's model of this round lies sealed in the store.
Status CheckKept(blob::BlobStore& store, const std::string& job, std::uint32_t round);

}  // namespace tributary::cli
