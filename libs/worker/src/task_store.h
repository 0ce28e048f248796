// Private: the options with which a task's blob-store is opened.
#pragma once

#include <string>

#include "tributary/base/result.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/session/worker.h"

namespace tributary::worker {

// `endpoint`: as seen from this worker; empty: where the coordinator says. `budget` bounds messages of jobs that send no chunks.
Result<blob_client::RemoteOptions> StoreOptions(const std::string& instance, const std::vector<std::string>& endpoints,
                                                std::uint64_t budget, const session::TaskContext& task);

}  // namespace tributary::worker
