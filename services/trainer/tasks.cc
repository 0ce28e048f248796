#include "services/trainer/tasks.h"

#include <chrono>

#include "services/trainer/metrics_file.h"
#include "services/trainer/offer_task.h"
#include "services/trainer/synthetic_task.h"
#include "tributary/base/log.h"
#include "tributary/encoding/encoding.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

using session::TaskContext;
using session::TaskResult;

Status CheckBase(blob::BlobStore& store, const ObjectName& base, const std::string& digest) {
  TRIBUTARY_ASSIGN(const auto info, store.Stat(base));
  if (!info.sealed) return MakeError(Code::kUnavailable, "{} is not sealed yet: training starts on sealed models only", base.str());
  if (!digest.empty() && info.digest != digest) {
    return MakeError(Code::kConflict, "{} has digest {}, the coordinator means {}: the blob-store is another one's", base.str(),
                     info.digest, digest);
  }
  return Ok();
}

Result<std::span<const std::byte>> NativeOf(const blob::Chunk& chunk, const tensor::SlotPlace& place, tensor::Encoding encoding,
                                            std::vector<std::byte>& scratch) {
  if (const std::uint64_t bytes = encoding::EncodedBytes(place.dtype, encoding, place.elements); chunk.bytes.size() != bytes) {
    return MakeError(Code::kProtocol, "slot {} of {} came with {} bytes: expected {}", chunk.slot, chunk.object.str(), chunk.bytes.size(), bytes);
  }
  if (encoding::EffectiveEncoding(place.dtype, encoding) == tensor::Encoding::kNative) return chunk.bytes;
  scratch.resize(place.native_bytes());
  if (const Status decoded = encoding::DecodeChunk(place.dtype, encoding, place.elements, chunk.bytes, scratch); !decoded.ok()) {
    return decoded.error().Wrap(fmt::format("slot {} of {}", chunk.slot, chunk.object.str()));
  }
  return std::span<const std::byte>(scratch);
}

Result<TaskResult> TrainerTasks::Dispatch(blob::BlobStore& store, const TaskContext& context, const job::Job& job,
                                          ByteCount& bytes) {
  switch (static_cast<wire::TaskKind>(context.spec.kind)) {
    case wire::TaskKind::kInit:
      if (job.synthetic()) break;
      return models_.Init(store, context, job, bytes);
    case wire::TaskKind::kTrain:
      if (job.synthetic()) return TrainSynthetic(store, context, job, identity_, bytes);
      return models_.Train(store, context, job, bytes);
    case wire::TaskKind::kValidate:
      if (job.synthetic()) return TaskResult{};  // there is nothing to measure
      return models_.Validate(store, context, job, bytes);
    default: break;
  }
  return MakeError(Code::kProtocol, "a trainer was given a task of kind {}, which is an aggregator's", context.spec.kind);
}

Result<TaskResult> TrainerTasks::Run(const TaskContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  const auto kind = static_cast<wire::TaskKind>(context.spec.kind);
  if (kind == wire::TaskKind::kOffer || kind == wire::TaskKind::kRemove) {
    TRIBUTARY_ASSIGN(const auto store, open_store_(context));
    return kind == wire::TaskKind::kOffer ? SendOffer(*store, context, identity_) : RemoveOffered(*store, context);
  }
  TRIBUTARY_ASSIGN(auto job, job::ParseJob(context.job_text, "job " + context.spec.job));
  TRIBUTARY_ASSIGN(const auto store, open_store_(context));
  log::Info("task begins: {}", context.spec.task);
  if (!job.model.tokenizer_object.empty()) {
    TRIBUTARY_ASSIGN(job.model.tokenizer, tokenizer_.Open(*store, job.model.tokenizer_object, context.stop));
  }
  ByteCount bytes(context.progress);
  TRIBUTARY_ASSIGN(auto result, Dispatch(*store, context, job, bytes));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.metrics.emplace("seconds", seconds);
  if (bytes.deduplicated() > 0) result.metrics["bytes_deduplicated"] = static_cast<double>(bytes.deduplicated());
  AppendMetrics(identity_.work_dir, context.spec, result, bytes);
  log::Info("task is done after {:.1f} s: {}", seconds, context.spec.task);
  return result;
}

}  // namespace tributary::trainer
