#include "services/aggregator/tasks.h"

#include <optional>
#include <utility>

#include "services/aggregator/reduce_task.h"
#include "services/aggregator/synthetic.h"
#include "tributary/base/log.h"
#include "tributary/base/units.h"
#include "tributary/broadcast/broadcast.h"
#include "tributary/job/job.h"

namespace tributary::aggregator {
namespace {

using session::TaskContext;
using session::TaskResult;

// `broadcast`: its name, or empty.
Result<TaskResult> Sealed(blob::BlobStore& store, const ObjectName& object, const std::string& broadcast, std::uint64_t generation) {
  TaskResult result;
  TRIBUTARY_ASSIGN(result.digest, store.Seal(object, generation, /*durable=*/true));
  TRIBUTARY_ASSIGN(const auto info, store.Stat(object));
  result.slots = info.slots;
  if (!broadcast.empty()) {
    TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(broadcast));
    TRIBUTARY_ASSIGN(result.broadcast_digest, store.Seal(name, generation, /*durable=*/true));
  }
  return result;
}

Result<TaskResult> Init(blob::BlobStore& store, const TaskContext& context) {
  TRIBUTARY_ASSIGN(const auto output, ObjectName::Parse(context.spec.output));
  TRIBUTARY_ASSIGN(const auto job, job::ParseJob(context.job_text, "job " + context.spec.job));
  if (!job.synthetic()) {
    return MakeError(Code::kInvalidArgument, "job {}: an aggregator makes the first model of synthetic jobs only", context.spec.job);
  }
  TRIBUTARY_ASSIGN(const auto layout, job::SyntheticLayout(job.model.synthetic, job.transfer.chunk_bytes, job.transfer.cut()));
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kModel;
  spec.tensors = layout.tensors();
  spec.chunk_bytes = layout.chunk_bytes();
  spec.cut = layout.cut();
  spec.repetitive = job.model.synthetic.fill != job::FillKind::kRandom;
  TRIBUTARY_ASSIGN(const auto created, store.Create(output, spec, /*replace=*/true));
  std::optional<ObjectName> encoded;
  if (!context.spec.broadcast.empty()) {
    TRIBUTARY_ASSIGN(encoded, ObjectName::Parse(context.spec.broadcast));
    TRIBUTARY_TRY(store.Create(*encoded, broadcast::SpecOf(spec, job.transfer.broadcast), /*replace=*/true).status());
  }
  broadcast::Encoder encoder(job.transfer.broadcast);
  context.progress.Phase("init", layout.total_bytes(), "bytes");
  if (!created.sealed) {
    // What an earlier worker wrote before it died is the same bytes.
    TRIBUTARY_ASSIGN(const auto missing, store.Missing(output, layout.all_slots(), 0));
    blob::WriteOptions writing;
    writing.stop = context.stop;
    TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
    std::uint64_t written = 0;
    for (const auto& range : missing) {
      for (std::uint64_t slot = range.begin; slot < range.end; ++slot) {
        if (context.stop.stop_requested()) return MakeError(Code::kCancelled, "init was stopped");
        const auto place = layout.Place(slot);
        TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(place.native_bytes()));
        FillSynthetic(job.model.synthetic, job.model.seed, place, chunk->payload());
        memory::BufferPtr form;
        if (encoded) {
          TRIBUTARY_ASSIGN(form, writer->Allocate(encoder.ChunkBytes(place)));
          TRIBUTARY_TRY(encoder.Encode(place, chunk->payload(), form->payload()));
        }
        TRIBUTARY_TRY(writer->Put(output, slot, std::move(chunk)));
        if (form) TRIBUTARY_TRY(writer->Put(*encoded, slot, std::move(form)));
        written += place.native_bytes();
        context.progress.Done(written);
        context.progress.Bytes(written, 0);
      }
    }
    TRIBUTARY_TRY(writer->Flush());
  }
  if (encoded) {
    // What an earlier worker left unencoded.
    TRIBUTARY_TRY(broadcast::Complete(store, output, *encoded, layout, layout.all_slots(), 0, encoder, {}, context.stop));
  }
  context.progress.Phase("seal", 0, "");
  TRIBUTARY_ASSIGN(auto result, Sealed(store, output, context.spec.broadcast, 0));
  if (encoded) encoder.loss().AddTo(result.metrics);
  return result;
}

Result<UpdateForm> FormOf(const TaskContext& context) {
  TRIBUTARY_ASSIGN(const auto job, job::ParseJob(context.job_text, "job " + context.spec.job));
  return UpdateForm{job.transfer.encoding, job.transfer.delta, job.transfer.broadcast, job.strategy.max_norm};
}

Result<TaskResult> Aggregate(blob::BlobStore& store, const TaskContext& context) {
  TRIBUTARY_ASSIGN(const UpdateForm form, FormOf(context));
  TRIBUTARY_ASSIGN(const auto loss, Reduce(store, context.spec, form, context.progress, context.stop));
  TaskResult result;
  if (!context.spec.broadcast.empty()) loss.AddTo(result.metrics);
  return result;
}

Result<TaskResult> Seal(blob::BlobStore& store, const TaskContext& context) {
  TRIBUTARY_ASSIGN(const auto output, ObjectName::Parse(context.spec.output));
  context.progress.Phase("seal", 0, "");
  if (!context.spec.inputs.empty()) {
    // They were averaged while they came, before anybody knew their digests.
    TRIBUTARY_ASSIGN(const UpdateForm form, FormOf(context));
    TRIBUTARY_TRY(CheckUpdates(store, context.spec, form));
  }
  return Sealed(store, output, context.spec.broadcast, context.spec.generation);
}

Result<TaskResult> Remove(blob::BlobStore& store, const TaskContext& context) {
  context.progress.Phase("remove", context.spec.objects.size(), "objects");
  std::uint64_t done = 0;
  for (const auto& text : context.spec.objects) {
    if (context.stop.stop_requested()) return MakeError(Code::kCancelled, "removal was stopped");
    TRIBUTARY_ASSIGN(const auto object, ObjectName::Parse(text));
    TRIBUTARY_TRY(store.Remove(object));
    context.progress.Done(++done);
  }
  return TaskResult{};
}

}  // namespace

Result<TaskResult> AggregatorTasks::Run(const TaskContext& context) {
  log::Debug("task begins: {}", context.spec.task);
  TRIBUTARY_ASSIGN(const auto store, open_store_(context));
  switch (static_cast<wire::TaskKind>(context.spec.kind)) {
    case wire::TaskKind::kInit: return Init(*store, context);
    case wire::TaskKind::kAggregate: return Aggregate(*store, context);
    case wire::TaskKind::kSeal: return Seal(*store, context);
    case wire::TaskKind::kRemove: return Remove(*store, context);
    case wire::TaskKind::kTrain:
    case wire::TaskKind::kValidate:
    case wire::TaskKind::kOffer: break;
  }
  return MakeError(Code::kProtocol, "an aggregator was given a task of kind {}", context.spec.kind);
}

}  // namespace tributary::aggregator
