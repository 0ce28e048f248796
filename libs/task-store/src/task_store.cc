#include "tributary/task_store/task_store.h"

#include "tributary/job/job.h"

namespace tributary::task_store {

Result<std::unique_ptr<blob_client::RemoteStore>> OpenTaskStore(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                                                const WorkerStore& worker, const session::TaskContext& task) {
  blob_client::RemoteOptions options;
  options.instance = worker.instance;
  options.stop = task.stop;
  if (!worker.endpoint.empty()) {
    options.endpoint = worker.endpoint;
  } else if (task.spec.shard < task.blob_stores.size()) {
    options.endpoint = task.blob_stores[task.spec.shard];
  } else {
    return MakeError(Code::kUnavailable, "the coordinator told no blob-store for shard {}; start it with --blob-store", task.spec.shard);
  }
  // Removals may come after the coordinator has let go of the job's text: the defaults serve them.
  if (!task.job_text.empty()) {
    TRIBUTARY_ASSIGN(const job::Job job, job::ParseJob(task.job_text, "job " + task.spec.job));
    options.request_timeout = job.transfer.communication_timeout;
    options.connect_timeout = job.transfer.communication_timeout;
    options.read_timeout = job.transfer.streaming_read_timeout;
    options.write_timeout = job.transfer.tensor_send_timeout;
  }
  return blob_client::ConnectStore(std::move(context), pool, options);
}

}  // namespace tributary::task_store
