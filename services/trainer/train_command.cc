#include "services/trainer/train_command.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <optional>
#include <stop_token>

#include "services/trainer/checkpoints.h"
#include "services/trainer/local_data.h"
#include "services/trainer/script_model.h"
#include "services/trainer/seeded_base.h"
#include "services/trainer/training_plan.h"
#include "services/trainer/weights.h"
#include "tributary/base/random.h"
#include "tributary/config/options.h"
#include "tributary/job/needs.h"
#include "tributary/json/json.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/modeldir/adapter_config.h"
#include "tributary/modeldir/export.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBudget = 64u << 20;  // no chunk moves here; the heap is trimmed as a trainer's is

volatile std::sig_atomic_t g_signal = 0;
void OnSignal(int signal) { g_signal = signal; }

// Ctrl-C and SIGTERM end the training in order while this lives: whoever makes progress looks whether one came.
class StopOnSignal final : public session::TaskProgress {
 public:
  StopOnSignal() {
    g_signal = 0;
    struct sigaction action {};
    action.sa_handler = OnSignal;
    sigaction(SIGINT, &action, &before_[0]);
    sigaction(SIGTERM, &action, &before_[1]);
  }
  ~StopOnSignal() {
    sigaction(SIGINT, &before_[0], nullptr);
    sigaction(SIGTERM, &before_[1], nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  void Look() {
    if (g_signal != 0) stop_.request_stop();
  }
  // Between phases, none of which may have looked since.
  Status Check() {
    Look();
    if (!stop_.stop_requested()) return Ok();
    return MakeError(Code::kCancelled, "stopped by signal {}", static_cast<int>(g_signal));
  }
  std::stop_token token() const { return stop_.get_token(); }

  void Phase(const std::string&, std::uint64_t, const std::string&) override {}
  void Done(std::uint64_t) override { Look(); }
  void Metric(const std::string&, double) override {}
  void Bytes(std::uint64_t, std::uint64_t) override {}

 private:
  struct sigaction before_[2] {};
  std::stop_source stop_;
};

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// User and system time of all threads so far.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Result<std::unique_ptr<train::Model>> SeededModel(const job::Job& job, train::Module& module) {
  if (!job.model.source.empty()) {
    const auto directory = modeldir::OpenModelDirectory(job.model.source);
    if (!directory.ok()) return directory.error().Wrap("model.source");
    auto loaded = LoadModelDirectory(*directory, module, SpecOf("", job));
    if (!loaded.ok()) return loaded.error().Wrap("model.source");
    std::unique_ptr<train::Model> model = std::move(*loaded);
    if (job.adapted()) TRIBUTARY_TRY(model->InitAdapter(job.model.seed));
    return model;
  }
  TRIBUTARY_ASSIGN(const std::string config, FirstConfig(job.model));
  TRIBUTARY_ASSIGN(auto model, module.CreateModel(SpecOf(config, job)));
  TRIBUTARY_TRY(model->InitFromSeed(job.model.seed));
  return model;
}

Result<std::unique_ptr<train::Model>> FirstModel(const job::Job& job, train::Module& module) {
  if (job.adapter.source.empty()) return SeededModel(job, module);
  // Its config is looked at before gigabytes of a base are read.
  TRIBUTARY_ASSIGN(const auto directory, modeldir::OpenStartingAdapters(job.adapter.source, job.adapter.rank, job.adapter.alpha));
  TRIBUTARY_ASSIGN(auto model, SeededModel(job, module));
  const Status loaded = LoadAdapters(directory, job.adapter, *model);
  if (!loaded.ok()) return loaded.error().Wrap("adapter.source");
  return model;
}

// Adapters name `base` as theirs where the job names none.
Status Save(train::Model& model, const job::Job& job, const std::string& base, const std::string& directory) {
  return modeldir::SaveModel(model.Parameters(), [&](std::uint32_t i) { return std::span<const std::byte>(model.ParameterBytes(i)); },
                             job.adapted() ? AdapterInfo(model, job, base) : model.ConfigJson(), directory,
                             job.adapted() ? std::string() : job.model.tokenizer, job.checkpoint.max_shard_bytes);
}

// Told before the first step: behind it, it would cost what was trained.
Status CheckHeldOut(const job::Job& job, const corpus::Corpus& corpus, const std::string& path) {
  if (!job.validate || corpus.ValidationSamples() > 0) return Ok();
  return MakeError(Code::kInvalidArgument, "data '{}'{}: nothing is held out of it to validate on ({} samples, data.validation_fraction {}); give more data, raise "
                   "data.validation_fraction, or set tasks: [train]", job.data.name, path.empty() ? "" : " at " + path, corpus.TrainingSamples(),
                   job.data.validation_fraction);
}

}  // namespace

namespace {

Status TrainRounds(const TrainCommandSpec& spec, const LoadModule& load, StopOnSignal& stop) {
  const auto begun = std::chrono::steady_clock::now();
  job::Job job = spec.job;
  job.data.count = 1;
  auto begins = spec.resume ? Checkpoints::Resume(job, spec.work_dir, spec.from_round) : Checkpoints::Begin(job, spec.work_dir);
  if (!begins.ok()) return begins.error();
  Checkpoints& checkpoints = *begins;
  // An earlier training's would say "completed" of this one, should it be stopped or fail.
  std::error_code ec;
  fs::remove(spec.work_dir + "/summary.json", ec);
  if (ec) return ErrnoError(ec.value(), "removing " + spec.work_dir + "/summary.json");
  Identity identity;
  identity.data[job.data.name] = spec.data_path;
  identity.work_dir = spec.work_dir;
  LocalData data(identity);
  TRIBUTARY_ASSIGN(const auto* const corpus, data.Open(job, 0, stop, stop.token()));
  TRIBUTARY_TRY(CheckHeldOut(job, *corpus, spec.data_path));
  const bool writes_base = job::HasBaseOfSeed(job);
  const std::string base = writes_base ? (fs::absolute(spec.work_dir, ec) / kBaseDirectory).lexically_normal().string() : std::string();
  // Before the model that is trained, so that there are never two. One that goes on has it from before.
  if (writes_base && !(spec.resume && fs::exists(base, ec))) TRIBUTARY_TRY(WriteSeededBase(job, load, base));
  TRIBUTARY_ASSIGN(train::Module* const module, load());
  TRIBUTARY_ASSIGN(const auto model, checkpoints.done() == 0 ? FirstModel(job, *module) : SeededModel(job, *module));
  if (checkpoints.done() > 0) TRIBUTARY_TRY(checkpoints.Load(*model));
  TRIBUTARY_TRY(CheckDataSuits(job, *model));
  TRIBUTARY_TRY(stop.Check());
  const Plan plan = PlanOf(job.train, *corpus);
  const double before_first_step = SecondsSince(begun);
  const bool terminal = spec.progress && isatty(STDERR_FILENO) == 1;

  OrderedJson summary;
  summary["job"] = job.name;
  summary["status"] = "completed";
  summary["seconds_to_first_step"] = before_first_step;
  const std::uint32_t begun_behind = checkpoints.done();
  OrderedJson best = checkpoints.best();
  if (begun_behind > 0 && spec.progress) fmt::print("{} goes on behind round {} of {}\n", job.name, begun_behind, job.rounds);
  for (std::uint32_t round = begun_behind + 1; round <= job.rounds; ++round) {
    TRIBUTARY_ASSIGN(train::TrainOptions options, OptionsOf(job, plan, round, 0, job.train.threads));
    TRIBUTARY_ASSIGN(options.optimizer_store, checkpoints.OptimizerOf(round, *model));
    const auto batches = corpus->Training({MixSeed(job.model.seed, 0), job.train.batch_size, (round - 1) * plan.batches, plan.batches});
    const double cpu_before = CpuSeconds();
    std::optional<memory::SteadyHeap> heap(std::in_place);
    TRIBUTARY_ASSIGN(const train::TrainResult trained,
                     model->Train(*batches, options,
                                  [&](const train::Progress& progress) {
                                    stop.Look();
                                    if (terminal) {
                                      fmt::print(stderr, "\rround {} of {}: step {} of {}, loss {:.4f} ", round, job.rounds, progress.step,
                                                 progress.steps, progress.loss);
                                    }
                                  },
                                  stop.token()));
    const double cpu_seconds = CpuSeconds() - cpu_before;
    heap.reset();
    if (terminal) fmt::print(stderr, "\r\033[K");
    OrderedJson metrics;
    metrics["train_loss"] = trained.mean_loss;
    metrics["tokens"] = trained.tokens;
    metrics["tokens_per_second"] = trained.seconds > 0 ? static_cast<double>(trained.tokens) / trained.seconds : 0.0;
    std::string line = fmt::format("round {} of {} done in {:.1f} s, train loss {:.4f}", round, job.rounds, trained.seconds, trained.mean_loss);
    if (job.validate) {
      const auto held_out = corpus->Validation(job.train.batch_size);
      TRIBUTARY_ASSIGN(const train::EvalResult evaluated,
                       model->Evaluate(*held_out, job.train.threads, [&](const train::Progress&) { stop.Look(); }, stop.token()));
      AddEvaluation(evaluated, metrics);
      metrics["val_perplexity"] = std::exp(evaluated.loss);
      line += fmt::format(", val loss {:.4f}", evaluated.loss);
      if (best.is_null() || evaluated.loss < best["val_loss"].get<double>()) {
        best = {{"round", round}, {"val_loss", evaluated.loss}};
        if (job.checkpoint.best) TRIBUTARY_TRY(Save(*model, job, base, spec.work_dir + "/model-best"));
      }
    }
    TRIBUTARY_TRY(stop.Check());
    if (spec.progress) fmt::print("{}\n", line);
    TRIBUTARY_TRY(checkpoints.Finished(round, {{"round", round}, {"seconds", trained.seconds}, {"cpu_seconds", cpu_seconds}, {"metrics", metrics}}, best,
                                       [&](const std::string& directory) { return Save(*model, job, base, directory); }));
  }
  if (begun_behind > 0) summary["from_round"] = begun_behind;
  summary["rounds"] = checkpoints.rounds();
  if (!best.is_null()) summary["best"] = best;
  summary["seconds"] = SecondsSince(begun);
  summary["device"] = model->DeviceName();
  if (const auto memory = memory::ReadProcessMemory(); memory.ok()) summary["peak_rss_bytes"] = memory->rss_peak;
  if (const std::uint64_t peak = module->DevicePeakBytes(); peak > 0) summary["cuda_peak_bytes"] = peak;
  if (writes_base) summary["model_base"] = kBaseDirectory;
  summary["model"] = "model/" + modeldir::WeightsFileOf(spec.work_dir + "/model");
  return WriteJsonFile(spec.work_dir + "/summary.json", summary);
}

}  // namespace

Status TrainAlone(const TrainCommandSpec& spec, const LoadModule& load) {
  StopOnSignal stop;
  const Status trained = TrainRounds(spec, load, stop);
  // Whichever phase ended of it, there is one thing to say; what was cancelled without a signal says it itself.
  if (!trained.ok() && trained.error().code() == Code::kCancelled) TRIBUTARY_TRY(stop.Check());
  return trained;
}

int TrainMain(int argc, char** argv) {
  config::Options options("tributary train", "trains a job's model on all of its data in one process, without a federation");
  options.Group("Train");
  options.AddPositional("job", "the job file");
  options.AddString("work-dir", "", "where model and summary are written (default: ./tributary-train/<job name>)");
  options.AddStrings("set", "path.to.key=value: replaces a value of the job file");
  options.AddStrings("data", "NAME=PATH: where the job's data lies (default: the job file's data.path)");
  options.AddBool("resume", false, "go on behind the newest round whose model lies in the work directory (checkpoint.every, checkpoint.keep)");
  options.AddUint("from-round", 0, "the same behind this round; what came after it is done anew", 0, 1'000'000);
  options.AddString("write-base", "", "writes there what the job's adapters lie over, where model.seed makes it, as a model directory, and trains nothing");
  options.AddBool("no-progress", false, "show no progress");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto fail = [](const Error& error, int code) {
    fmt::print(stderr, "tributary train: {}\n", error.message());
    return code;
  };
  std::vector<job::Override> overrides;
  for (const std::string& set : options.Strings("set")) {
    auto parsed = job::ParseOverride(set);
    if (!parsed.ok()) return fail(parsed.error(), config::kExitUsage);
    overrides.push_back(*std::move(parsed));
  }
  auto job = job::ReadJobFile(options.String("job"), overrides);
  if (!job.ok()) return fail(job.error(), config::kExitUsage);
  if (job->synthetic()) {
    return fail(MakeError(Code::kInvalidArgument, "{} has a synthetic model, which is not trained; tributary run moves and averages it", job->name),
                config::kExitUsage);
  }
  if (const std::string& directory = options.String("write-base"); !directory.empty()) {
    memory::TuneMalloc(kBudget);
    const Status written = WriteSeededBase(*job, [] { return train::LoadTrainModule(); }, directory);
    if (!written.ok()) return fail(written.error().Wrap("--write-base"), written.error().code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed);
    fmt::print("{}\n", directory);
    return config::kExitDone;
  }
  TrainCommandSpec spec;
  spec.data_path = job->data.path;
  for (const std::string& flag : options.Strings("data")) {
    if (flag.rfind(job->data.name + "=", 0) != 0) {
      return fail(MakeError(Code::kInvalidArgument, "--data {}: the job reads '{}': --data {}=PATH", flag, job->data.name, job->data.name),
                  config::kExitUsage);
    }
    spec.data_path = flag.substr(job->data.name.size() + 1);
  }
  if (spec.data_path.empty() && job->reads_data()) {
    return fail(MakeError(Code::kNotFound, "the job's data '{}' has no place here; add --data {}=PATH", job->data.name, job->data.name),
                config::kExitFailed);
  }
  if (!job->model.tokenizer_object.empty()) {
    return fail(MakeError(Code::kInvalidArgument, "model.tokenizer: object:{} lies in a blob-store, which a training alone has not; name the directory",
                          job->model.tokenizer_object), config::kExitUsage);
  }
  if (!job->adapter.object.empty() && job->adapter.source.empty()) {
    return fail(MakeError(Code::kInvalidArgument, "adapter.object: {} lies in a blob-store, which a training alone has not; name a directory with adapter.source",
                          job->adapter.object), config::kExitUsage);
  }
  if (!job->model.source.empty() && !job->model.tokenizer_given) {
    const auto directory = modeldir::OpenModelDirectory(job->model.source);
    if (!directory.ok()) return fail(directory.error().Wrap("model.source"), config::kExitFailed);
    if (directory->has_tokenizer) job->model.tokenizer = directory->path;
  }
  spec.job = *job;
  spec.work_dir = options.String("work-dir").empty() ? "tributary-train/" + job->name : options.String("work-dir");
  spec.progress = !options.Flag("no-progress");
  spec.from_round = static_cast<std::uint32_t>(options.Uint("from-round"));
  spec.resume = options.Flag("resume") || spec.from_round != 0;
  std::error_code ec;
  fs::create_directories(spec.work_dir, ec);
  if (ec) return fail(ErrnoError(ec.value(), "making " + spec.work_dir), config::kExitFailed);
  memory::TuneMalloc(kBudget);
  const Status trained = TrainAlone(spec, [] { return train::LoadTrainModule(); });
  if (!trained.ok()) return fail(trained.error(), config::kExitFailed);
  fmt::print("model:   {}/model\n", spec.work_dir);
  if (job::HasBaseOfSeed(*job)) fmt::print("base:    {}/{}\n", spec.work_dir, kBaseDirectory);
  fmt::print("summary: {}/summary.json\n", spec.work_dir);
  return config::kExitDone;
}

}  // namespace tributary::trainer
