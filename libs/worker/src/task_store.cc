#include "task_store.h"

#include "tributary/job/job.h"
#include "tributary/job/needs.h"

namespace tributary::worker {

Result<blob_client::RemoteOptions> StoreOptions(const std::string& instance, const std::vector<std::string>& endpoints,
                                                std::uint64_t budget, const session::TaskContext& task) {
  blob_client::RemoteOptions options;
  options.instance = instance;
  options.stop = task.stop;
  options.grant = task.spec.grant;
  options.endpoints = !endpoints.empty() ? endpoints : task.blob_stores;
  if (options.endpoints.empty()) return MakeError(Code::kUnavailable, "the coordinator told no blob-store; start it with --blob-store");
  // Removals may come after the coordinator has let go of the job's text: the defaults serve them.
  if (!task.job_text.empty()) {
    TRIBUTARY_ASSIGN(const job::Job job, job::ParseJob(task.job_text, "job " + task.spec.job));
    options.request_timeout = job.transfer.communication_timeout;
    options.connect_timeout = job.transfer.communication_timeout;
    options.read_timeout = job.transfer.streaming_read_timeout;
    options.write_timeout = job.transfer.tensor_send_timeout;
    options.ack_timeout = job.transfer.streaming_ack_wait;
    options.derived = {!job.transfer.names_communication_timeout, !job.transfer.names_streaming_read_timeout,
                       !job.transfer.names_tensor_send_timeout, !job.transfer.names_streaming_ack_wait};
    if (job.transfer.cut() != tensor::Cut::kChunks) {
      // What a worker cannot do it may still seal and remove.
      const auto kind = static_cast<wire::TaskKind>(task.spec.kind);
      if (kind != wire::TaskKind::kSeal && kind != wire::TaskKind::kRemove) TRIBUTARY_TRY(job::CheckBudget(job, budget));
      options.max_message = blob_client::MessagesWithin(budget);
    }
  }
  return options;
}

}  // namespace tributary::worker
