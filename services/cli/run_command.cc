#include <unistd.h>

#include <filesystem>

#include "services/cli/commands.h"
#include "services/cli/invocation.h"
#include "services/cli/overrides.h"
#include "services/cli/preflight.h"
#include "services/cli/run_job.h"
#include "services/cli/source_check.h"
#include "services/cli/summary.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/job/job.h"
#include "tributary/job/needs.h"
#include "tributary/modeldir/adapter_config.h"

namespace tributary::cli {
namespace {

constexpr std::uint32_t kMaxRounds = 1'000'000;

int Usage(const Error& error) {
  fmt::print(stderr, "tributary run: {}\n", error.message());
  return config::kExitUsage;
}

int Failed(const Error& error) {
  fmt::print(stderr, "tributary run: {}\n", error.message());
  return config::kExitFailed;
}

}  // namespace

int RunCommand(int argc, char** argv) {
  config::Options options("tributary run", "runs a job on this machine: every service as a process of its own");
  options.AddPositional("job", "the job file");
  options.AddString("work-dir", "", "where everything of the run lies (default: ./tributary-run/<job name>)");
  options.AddStrings("set", "path.to.key=value: replaces a value of the job file");
  options.AddStrings("data", "NAME=PATH: where the job's data lies (default: the job file's data.path)");
  options.AddUint("trainers", 0, "trainer processes; 0: as many as the job has seats", 0, 1000);
  options.AddUint("aggregators", 1, "aggregator processes", 1, 64);
  options.AddUint("shards", 1, "blob-store processes, each with its part of every object", 1, 64);
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "of each service", config::kMinMemoryBudget,
                   config::kMaxMemoryBudget);
  options.AddChoice("log-level", "info", {"trace", "debug", "info", "warning", "error"}, "of the services' logs");
  options.AddBool("metrics", false, "let each service serve its metrics on a free port of this machine; metrics.json in the work directory says where");
  options.AddBool("no-progress", false, "show no progress");
  options.AddBool("resume", false, "let a run that failed, was stopped or is completed go on behind its newest round; --set rounds=N may change with it");
  options.AddUint("from-round", 0, "the same behind this round, whose model is kept (checkpoint.every, checkpoint.keep); what came after it is thrown away", 0,
                  kMaxRounds);
  options.AddBool("restart", false, "throw away what an earlier run left in the work directory");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;

  const std::string& file = options.String("job");
  auto text = job::ReadJobText(file);
  if (!text.ok()) return Usage(text.error());
  auto overrides = ParseOverrides(options.Strings("set"));
  if (!overrides.ok()) return Usage(overrides.error());
  auto job = job::ParseJob(*text, file, *overrides);
  if (!job.ok()) return Usage(job.error());
  RunSpec spec;
  std::uint64_t model_bytes = job::ModelBytes(*job);
  std::uint64_t source_bytes = 0;
  if (!job->model.source.empty()) {
    auto source = OpenSource(*job);
    if (!source.ok()) return Failed(source.error());
    if (const Status suits = CheckSource(*job, *source); !suits.ok()) return Failed(suits.error());
    for (const auto& weight : source->weights) source_bytes += weight.bytes;
    model_bytes = TrainedBytes(*job, source->weights);
    spec.source = *std::move(source);
  }
  if (!job->adapter.source.empty()) {
    auto adapters = modeldir::OpenStartingAdapters(job->adapter.source, job->adapter.rank, job->adapter.alpha);
    if (!adapters.ok()) return Failed(adapters.error());
    spec.adapters = *std::move(adapters);
  } else if (!job->adapter.object.empty()) {
    return Usage(MakeError(Code::kInvalidArgument, "adapter.object: {} lies in a blob-store, and a run has one of its own; name a directory with adapter.source",
                           job->adapter.object));
  }
  if (!job->model.tokenizer_object.empty()) {
    return Usage(MakeError(Code::kInvalidArgument, "model.tokenizer: object:{} lies in a blob-store, and a run has one of its own; name the directory",
                           job->model.tokenizer_object));
  }
  if (!job->model.script.empty()) {
    const auto script = FindScript(*job);
    if (!script.ok()) return Failed(script.error());
    model_bytes += script->bytes;
    overrides->push_back({"model.script", script->path});
    job->model.script = script->path;
  }
  auto merged = job::MergeOverrides(*text, file, *overrides);
  if (!merged.ok()) return Usage(merged.error());

  spec.job = *job;
  spec.trainers = options.Uint("trainers") != 0 ? static_cast<std::uint32_t>(options.Uint("trainers")) : job->data.count;
  spec.aggregators = static_cast<std::uint32_t>(options.Uint("aggregators"));
  spec.shards = static_cast<std::uint32_t>(options.Uint("shards"));
  spec.memory_budget = options.Bytes("memory-budget");
  spec.log_level = options.String("log-level");
  spec.metrics = options.Flag("metrics");
  spec.progress = !options.Flag("no-progress");
  if (spec.trainers < job->participants.min) {
    return Usage(MakeError(Code::kInvalidArgument, "--trainers {}: the job waits for {} (participants.min)", spec.trainers,
                           job->participants.min));
  }
  if (const Status enough = job::CheckBudget(*job, spec.memory_budget); !enough.ok()) return Usage(enough.error());
  auto data = FindData(*job, options.Strings("data"));
  if (!data.ok()) return data.error().code() == Code::kInvalidArgument ? Usage(data.error()) : Failed(data.error());
  spec.data = *data;

  const std::string path = options.Given("work-dir") && !options.String("work-dir").empty()
                               ? options.String("work-dir")
                               : "tributary-run/" + job->name;
  const std::uint64_t staged = StagedBytes(*job, model_bytes, source_bytes);
  spec.from_round = static_cast<std::uint32_t>(options.Uint("from-round"));
  spec.resume = options.Flag("resume") || spec.from_round != 0;
  if (spec.resume && options.Flag("restart")) {
    return Usage(MakeError(Code::kInvalidArgument, "--restart throws away what --resume and --from-round go on from; give one of them"));
  }
  auto dir = WorkDir::Open(path, *merged, options.Flag("restart"),
                           [staged](const std::string& directory) { return CheckRoom(directory, staged); }, spec.resume);
  if (!dir.ok()) return Failed(dir.error());
  if (spec.resume && !dir->resumed()) {
    return Failed(MakeError(Code::kNotFound, "no run lies in {} to go on with; leave --resume and --from-round away", dir->path()));
  }
  if (dir->Completed() && !spec.resume) {
    const auto summary = ReadJsonFile(dir->File("summary.json"));
    fmt::print("{}", summary.ok() ? SummaryText(*summary, dir->path()) : "");
    if (job->writes_text() && job->checkpoint.export_model) fmt::print("try:     {}\n", TryCommand(InvokedAs(), dir->path()));
    fmt::print("This run was completed before; --restart runs it anew, --work-dir elsewhere.\n");
    return config::kExitDone;
  }
  return RunJob(spec, *dir);
}

}  // namespace tributary::cli
