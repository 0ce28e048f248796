// The blob-store as a task of a job uses it: the right endpoint, and the timeouts that the job asks for.
//
// Shared by the workers (trainer, aggregator). The store is used by the task's thread, ends its waits when the task is stopped, and
// must not outlive the pool. kUnavailable if neither the worker nor the coordinator names a blob-store for the task's shard.
#pragma once

#include <memory>
#include <string>

#include "tributary/base/result.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/memory/pool.h"
#include "tributary/session/worker.h"
#include "tributary/transport/context.h"

namespace tributary::task_store {

struct WorkerStore {
  std::string instance;  // for the store's log
  std::string endpoint;  // as seen from this worker; empty: where the coordinator says
};

Result<std::unique_ptr<blob_client::RemoteStore>> OpenTaskStore(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                                                const WorkerStore& worker, const session::TaskContext& task);

}  // namespace tributary::task_store
