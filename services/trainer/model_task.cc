#include "services/trainer/model_task.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "services/trainer/model_transfer.h"
#include "services/trainer/optimizer_state.h"
#include "services/trainer/script_model.h"
#include "services/trainer/training_plan.h"
#include "services/trainer/weights.h"
#include "tributary/base/log.h"
#include "tributary/base/random.h"
#include "tributary/broadcast/broadcast.h"
#include "tributary/json/json.h"
#include "tributary/memory/malloc.h"

namespace tributary::trainer {
namespace {

using session::TaskContext;
using session::TaskResult;

struct Source {
  ObjectName name;
  std::string digest;
};
// `key` is "model" or "adapter".
Result<Source> ParseSource(const char* key, const std::string& directory, const std::string& object) {
  if (object.empty()) {
    return MakeError(Code::kInvalidArgument, "{}.source {} was imported by nobody: give the job to tributary submit with --blob-store, or run "
                     "tributary model import and set {}.object", key, directory, key);
  }
  Source source;
  const std::size_t at = object.find('@');
  TRIBUTARY_ASSIGN(source.name, ObjectName::Parse(object.substr(0, at)));
  if (at != std::string::npos) source.digest = object.substr(at + 1);
  return source;
}

// Null where the job has every round begin fresh.
Result<std::unique_ptr<DiskOptimizerState>> OpenOptimizerState(const std::string& work_dir, const TaskContext& context, const job::Job& job,
                                                               const tensor::Layout& layout) {
  if (job.train.optimizer_state != "kept") return std::unique_ptr<DiskOptimizerState>();
  if (work_dir.empty()) {
    return MakeError(Code::kInvalidArgument, "train.optimizer_state: kept needs this trainer's disk: start it with --work-dir");
  }
  TRIBUTARY_ASSIGN(const auto job_id, JobId::Parse(context.spec.job));
  return DiskOptimizerState::Open({work_dir + "/optimizer", job_id.str(), context.job_text, layout.tensors(), context.spec.ordinal, context.spec.round});
}

// Forwards a task's stop, and stops by itself once training took longer than the job allows.
class TimeLimit {
 public:
  TimeLimit(Duration limit, std::stop_token outer)
      : limit_(limit), begin_(std::chrono::steady_clock::now()), forward_(outer, [this] { source_.request_stop(); }) {}
  std::stop_token token() const { return source_.get_token(); }
  void Look() {
    if (limit_.count() > 0 && std::chrono::steady_clock::now() - begin_ > limit_) {
      expired_ = true;
      source_.request_stop();
    }
  }
  bool expired() const { return expired_; }

 private:
  Duration limit_;
  std::chrono::steady_clock::time_point begin_;
  std::stop_source source_;
  bool expired_ = false;
  std::stop_callback<std::function<void()>> forward_;
};

}  // namespace

Status ModelTasks::Prepare(const std::string& config_json, const job::Job& job) {
  TRIBUTARY_ASSIGN(const std::string config, LocalConfig(config_json, job.model));
  const train::ModelSpec spec = SpecOf(config, job);
  const std::string made_of = KeyOf(spec);
  if (model_ != nullptr && made_of_ == made_of) return Ok();
  TRIBUTARY_ASSIGN(train::Module* const module, load_());
  module_.store(module, std::memory_order_release);
  model_.reset();  // never two models at once
  digest_.clear();
  base_.clear();
  TRIBUTARY_ASSIGN(model_, module->CreateModel(spec));
  made_of_ = made_of;
  log::Info("the model computes on {} ({})", model_->DeviceName(), module->Description());
  return Ok();
}

Status ModelTasks::PrepareBase(blob::BlobStore& store, const TaskContext& context, const job::Job& job, bool weights, ByteCount& bytes) {
  if (!job.model.family.empty() || !job.model.script.empty()) {
    // Made from a seed or a script's own weights: every trainer makes the same bytes.
    TRIBUTARY_ASSIGN(const std::string config, FirstConfig(job.model));
    TRIBUTARY_TRY(Prepare(config, job));
    const std::string seeded = fmt::format("seed {}", job.model.seed);
    if (weights && base_ != seeded) TRIBUTARY_TRY(model_->InitFromSeed(job.model.seed));
    if (weights) base_ = seeded;
    return Ok();
  }
  TRIBUTARY_ASSIGN(auto source, ParseSource("model", job.model.source, job.model.object));
  TRIBUTARY_TRY(CheckBase(store, source.name, source.digest));
  if (source.digest.empty()) {
    TRIBUTARY_ASSIGN(const auto info, store.Stat(source.name));
    source.digest = info.digest;
  }
  TRIBUTARY_ASSIGN(const auto spec, store.Spec(source.name));
  if (const Status made = Prepare(spec.info, job); !made.ok()) return NamedBySource(made.error(), job.model);
  if (!weights || base_ == source.digest) return Ok();
  base_.clear();
  digest_.clear();
  const Status loaded = DownloadWeights(store, source.name, *model_, context.progress, bytes, context.stop);
  if (!loaded.ok()) return NamedBySource(loaded.error(), job.model);
  base_ = source.digest;
  return Ok();
}

Result<tensor::Layout> ModelTasks::Fetch(blob::BlobStore& store, const TaskContext& context, const job::Job& job, ByteCount& bytes) {
  const wire::TaskSpec& task = context.spec;
  TRIBUTARY_ASSIGN(const auto base, ObjectName::Parse(task.base));
  TRIBUTARY_TRY(CheckBase(store, base, task.base_digest));
  TRIBUTARY_ASSIGN(const auto spec, store.Spec(base));
  if (spec.info.empty()) {
    return MakeError(Code::kInvalidArgument, "{} carries no config.json: no trainer made it", task.base);
  }
  TRIBUTARY_TRY(job.adapted() ? PrepareBase(store, context, job, true, bytes) : Prepare(spec.info, job));
  TRIBUTARY_TRY(CheckTensors(spec.tensors, *model_, task.base));
  TRIBUTARY_ASSIGN(auto layout, wire::MakeLayout(spec));
  base_encoding_ = spec.encoding;
  if (!digest_.empty() && digest_ == task.base_digest) return layout;
  digest_.clear();
  TRIBUTARY_TRY(DownloadModel(store, base, layout, base_encoding_, *model_, context.progress, bytes, context.stop));
  digest_ = task.base_digest;
  return layout;
}

Result<TaskResult> ModelTasks::Init(blob::BlobStore& store, const TaskContext& context, const job::Job& job, ByteCount& bytes) {
  const wire::TaskSpec& task = context.spec;
  TRIBUTARY_ASSIGN(const auto output, ObjectName::Parse(task.output));
  context.progress.Phase("init", 0, "");
  // A model of all weights is trained in place: what was there of an earlier job is not the base any more.
  if (!job.adapted()) base_.clear();
  TRIBUTARY_TRY(PrepareBase(store, context, job, /*weights=*/!job.adapted(), bytes));
  digest_.clear();
  if (job.adapted()) TRIBUTARY_TRY(InitAdapters(store, context, job, bytes));
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kModel;
  spec.tensors = model_->Parameters();
  spec.chunk_bytes = job.transfer.chunk_bytes;
  spec.cut = job.transfer.cut();
  // The model's own words are what it is made from again.
  spec.info = job.adapted() ? AdapterInfo(*model_, job) : model_->ConfigJson();
  if (!job.adapted()) made_of_ = KeyOf(SpecOf(spec.info, job));
  TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));
  TRIBUTARY_ASSIGN(const auto created, store.Create(output, spec, /*replace=*/true));
  if (!created.sealed) {
    UpdateEncoder native(layout, job::Transfer());
    TRIBUTARY_TRY(UploadModel(store, output, ObjectName(), tensor::Encoding::kNative, layout, *model_, native, false, context.progress, bytes, context.stop));
  }
  context.progress.Phase("seal", 0, "");
  TaskResult result;
  TRIBUTARY_ASSIGN(result.digest, store.Seal(output, 0, /*durable=*/true));
  result.slots = layout.slot_count();
  if (!task.broadcast.empty()) {
    // Trainers begin from it and not from the model: this one downloads it like all others.
    TRIBUTARY_TRY(InitBroadcast(store, context, job, spec, layout, created.sealed, bytes, result));
    return result;
  }
  // What was sealed already may be another trainer's, of other bits: that is downloaded when it is needed.
  if (!created.sealed) digest_ = result.digest;
  return result;
}

Status ModelTasks::InitAdapters(blob::BlobStore& store, const TaskContext& context, const job::Job& job, ByteCount& bytes) {
  if (job.adapter.source.empty() && job.adapter.object.empty()) return model_->InitAdapter(job.model.seed);
  TRIBUTARY_ASSIGN(const auto source, ParseSource("adapter", job.adapter.source, job.adapter.object));
  TRIBUTARY_TRY(CheckBase(store, source.name, source.digest));
  const Status loaded = DownloadAdapters(store, source.name, job.adapter, *model_, context.progress, bytes, context.stop);
  return loaded.ok() ? loaded : Status(loaded.error().Wrap("adapter.object"));
}

Status ModelTasks::InitBroadcast(blob::BlobStore& store, const TaskContext& context, const job::Job& job, const wire::ObjectSpec& spec,
                                 const tensor::Layout& layout, bool sealed_before, ByteCount& bytes, TaskResult& result) {
  TRIBUTARY_ASSIGN(const auto model, ObjectName::Parse(context.spec.output));
  TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(context.spec.broadcast));
  TRIBUTARY_ASSIGN(const auto created, store.Create(name, broadcast::SpecOf(spec, job.transfer.broadcast), /*replace=*/true));
  if (!created.sealed) {
    broadcast::Loss loss;
    if (sealed_before) {
      // Encoded from what is sealed, which another trainer may have made.
      broadcast::Encoder encoder(job.transfer.broadcast);
      TRIBUTARY_TRY(broadcast::Complete(store, model, name, layout, layout.all_slots(), 0, encoder,
                                        [&](std::uint64_t up, std::uint64_t down) { bytes.Up(up), bytes.Down(down); }, context.stop));
      loss = encoder.loss();
    } else {
      job::Transfer transfer;
      transfer.encoding = job.transfer.broadcast;
      UpdateEncoder encoder(layout, transfer);
      TRIBUTARY_TRY(UploadModel(store, name, ObjectName(), tensor::Encoding::kNative, layout, *model_, encoder, false, context.progress, bytes, context.stop));
      loss = encoder.loss();
    }
    loss.AddTo(result.metrics);
  }
  context.progress.Phase("seal", 0, "");
  TRIBUTARY_ASSIGN(result.broadcast_digest, store.Seal(name, 0, /*durable=*/true));
  return Ok();
}

Result<TaskResult> ModelTasks::Train(blob::BlobStore& store, const TaskContext& context, const job::Job& job, ByteCount& bytes) {
  const wire::TaskSpec& task = context.spec;
  TRIBUTARY_ASSIGN(const auto output, ObjectName::Parse(task.output));
  // Data first: a site that lacks it says so before any byte is moved.
  TRIBUTARY_ASSIGN(const corpus::Corpus* const corpus, data_.Open(job, task.ordinal, context.progress, context.stop));
  TRIBUTARY_ASSIGN(const auto layout, Fetch(store, context, job, bytes));
  TRIBUTARY_TRY(CheckDataSuits(job, *model_));

  const Plan plan = PlanOf(job.train, *corpus);
  const std::uint64_t round = std::max<std::uint32_t>(1, task.round);
  TRIBUTARY_ASSIGN(train::TrainOptions options, OptionsOf(job, plan, task.round, task.ordinal, Threads(job)));
  TRIBUTARY_ASSIGN(const auto optimizer, OpenOptimizerState(identity_.work_dir, context, job, layout));
  options.optimizer_store = optimizer.get();
  // One order for the whole job, of which this round is the next part.
  const auto batches = corpus->Training(
      {MixSeed(job.model.seed, task.ordinal), job.train.batch_size, (round - 1) * plan.batches, plan.batches});

  context.progress.Phase("train", plan.steps, "steps");
  const auto begun = std::chrono::steady_clock::now();
  digest_.clear();  // from here on the weights are those of no sealed model
  TimeLimit limit(job.train.timeout, context.stop);
  std::optional<memory::SteadyHeap> heap(std::in_place);
  auto trained = model_->Train(
      *batches, options,
      [&](const train::Progress& progress) {
        context.progress.Done(progress.step);
        context.progress.Metric("train_loss", progress.loss);
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begun;
        if (spent.count() > 0) context.progress.Metric("tokens_per_second", static_cast<double>(progress.tokens) / spent.count());
        limit.Look();
      },
      limit.token());
  // What training held goes back before bytes move: a transfer needs the model and its window, not the optimizer's peak.
  heap.reset();
  if (!trained.ok()) {
    if (limit.expired()) {
      return MakeError(Code::kDeadline, "training took longer than train.timeout ({}); raise it or train fewer steps",
                       FormatDuration(job.train.timeout));
    }
    return trained.error();
  }

  wire::ObjectSpec update;
  update.kind = wire::ObjectKind::kUpdate;
  update.tensors = layout.tensors();
  update.chunk_bytes = layout.chunk_bytes();
  update.cut = layout.cut();
  update.sample_count = corpus->TrainingSamples();
  update.base_digest = task.base_digest;
  TRIBUTARY_ASSIGN(const auto encoder, UpdateEncoder::Open(layout, context, job, identity_));
  encoder->Describe(update);
  TRIBUTARY_ASSIGN(const auto base, ObjectName::Parse(task.base));
  TRIBUTARY_ASSIGN(const auto created, store.Create(output, update, /*replace=*/true));
  context.progress.Metric("samples", static_cast<double>(update.sample_count));  // the update is open: it may be averaged as it comes
  if (!created.sealed) {
    TRIBUTARY_TRY(UploadModel(store, output, base, base_encoding_, layout, *model_, *encoder, job.transfer.deduplicate, context.progress, bytes, context.stop));
  }
  context.progress.Phase("seal", 0, "");
  TaskResult result;
  TRIBUTARY_ASSIGN(result.digest, store.Seal(output, 0, /*durable=*/false));
  result.slots = layout.slot_count();
  result.metrics = {{"train_loss", trained->mean_loss},
                    {"samples", static_cast<double>(update.sample_count)},
                    {"steps", static_cast<double>(trained->steps)},
                    {"tokens", static_cast<double>(trained->tokens)},
                    {"seconds", trained->seconds},
                    {"tokens_per_second", trained->seconds > 0 ? static_cast<double>(trained->tokens) / trained->seconds : 0.0}};
  if (const std::uint64_t peak = DevicePeakBytes(); peak > 0) result.metrics["cuda_peak_bytes"] = static_cast<double>(peak);
  encoder->Sealed();
  if (optimizer != nullptr && task.round >= job.rounds) optimizer->Remove();
  encoder->AddMetrics(result.metrics);
  return result;
}

Result<TaskResult> ModelTasks::Validate(blob::BlobStore& store, const TaskContext& context, const job::Job& job,
                                        ByteCount& bytes) {
  TRIBUTARY_ASSIGN(const corpus::Corpus* const corpus, data_.Open(job, context.spec.ordinal, context.progress, context.stop));
  if (corpus->ValidationSamples() == 0) {
    // Small partitions may have nothing held out; the round's loss is of the others.
    TaskResult nothing;
    AddEvaluation({}, nothing.metrics);
    return nothing;
  }
  TRIBUTARY_TRY(Fetch(store, context, job, bytes).status());
  TRIBUTARY_TRY(CheckDataSuits(job, *model_));
  context.progress.Phase("validate", 0, "batches");
  const auto begin = std::chrono::steady_clock::now();
  const auto batches = corpus->Validation(job.train.batch_size);
  TRIBUTARY_ASSIGN(const auto evaluated,
                   model_->Evaluate(*batches, Threads(job),
                                    [&](const train::Progress& progress) { context.progress.Done(progress.step); }, context.stop));
  memory::TrimHeap();
  TaskResult result;
  AddEvaluation(evaluated, result.metrics);
  result.metrics["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tributary::trainer
