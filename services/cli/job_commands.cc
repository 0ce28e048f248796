// Commands that talk to a coordinator: submit, status, list, stop; and ping.
#include <filesystem>

#include "services/cli/ask.h"
#include "services/cli/commands.h"
#include "services/cli/connect.h"
#include "services/cli/import_directory.h"
#include "services/cli/overrides.h"
#include "services/cli/preflight.h"
#include "services/cli/source_check.h"
#include "services/cli/watch.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/adapter_config.h"
#include "tributary/transport/control_client.h"

namespace tributary::cli {
namespace {

constexpr const char* kDefaultBlobStore = "tcp://127.0.0.1:7710";

void PrintStatus(const wire::JobStatus& status) {
  fmt::print("job:    {}\nstate:  {}\nround:  {} of {} ({})\n", status.job, status.state, status.round, status.rounds, status.phase);
  if (!status.message.empty()) fmt::print("why:    {}\n", status.message);
  if (!status.model.empty()) fmt::print("model:  {} {}\n", status.model, status.model_digest);
  for (const auto& seat : status.seats) {
    fmt::print("seat:   {:<12} {:<10} {}", seat.seat, seat.state, seat.instance);
    if (seat.total > 0) fmt::print("  {} of {} {}", seat.done, seat.total, seat.unit);
    fmt::print("\n");
  }
  for (const auto& round : status.finished) {
    fmt::print("round {}: {:.1f} s, {} participants", round.round, round.seconds, round.participants.size());
    for (const auto& [name, value] : round.metrics) fmt::print(", {} {:.4g}", name, value);
    fmt::print("\n");
  }
}

}  // namespace

int SubmitCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary submit", "gives a job to a coordinator");
  options.AddPositional("job", "the job file");
  options.AddStrings("set", "path.to.key=value: replaces a value of the job file");
  options.AddBool("wait", false, "go on telling, as 'status --watch' does, until the job ends: exit code 0 completed, 1 failed, 3 stopped; Ctrl-C leaves the job alone");
  config::AddStoreOptions(options, kDefaultBlobStore);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const std::string& file = options.String("job");
  const auto text = job::ReadJobText(file);
  if (!text.ok()) return FailCommand("submit", text.error());
  auto overrides = ParseOverrides(options.Strings("set"));
  if (!overrides.ok()) return FailCommand("submit", overrides.error());
  const auto job = job::ParseJob(*text, file, *overrides);
  if (!job.ok()) return FailCommand("submit", job.error());
  if (!job->model.script.empty() && !std::filesystem::path(job->model.script).is_absolute()) {
    // Code is not sent: each operator places the file, and trainers look there.
    return FailCommand("submit", MakeError(Code::kInvalidArgument, "model.script: '{}' is relative, and every trainer would look for it elsewhere; give the "
                                           "absolute path at which the file lies on their machines", job->model.script));
  }
  if (!job->model.source.empty() && job->model.object.empty()) {
    // Trainers have not this machine's disk.
    const auto source = OpenSource(*job);
    if (!source.ok()) return FailCommand("submit", source.error());
    if (const Status suits = CheckSource(*job, *source); !suits.ok()) return FailCommand("submit", suits.error());
    const auto imported = ImportDirectory(options, *source, "", job->transfer.chunk_bytes);
    if (!imported.ok()) return FailCommand("submit", imported.error());
    overrides->push_back({"model.object", imported->model});
    if (!imported->tokenizer.empty() && !job->model.tokenizer_given) overrides->push_back({"model.tokenizer", imported->tokenizer});
  } else if (!job->model.object.empty() && !job->model.tokenizer_given && ReadsText(*job)) {
    // What the import of that object put beside it, or a pretrained model would read bytes.
    const auto tokenizer = FindTokenizer(options, job->model.object);
    if (!tokenizer.ok()) {
      return FailCommand("submit", tokenizer.error().Wrap(fmt::format("looking for the tokenizer beside {} (a model.tokenizer in the job, be it bytes, needs no "
                                                                 "look)", job->model.object)));
    }
    if (!tokenizer->empty()) overrides->push_back({"model.tokenizer", *tokenizer});
    else fmt::print(stderr, "no tokenizer lies beside {}: text is read as bytes; model.tokenizer names another\n", job->model.object);
  }
  if (!job->adapter.source.empty() && job->adapter.object.empty()) {
    const auto source = modeldir::OpenStartingAdapters(job->adapter.source, job->adapter.rank, job->adapter.alpha);
    if (!source.ok()) return FailCommand("submit", source.error());
    const auto imported = ImportAdapterDirectory(options, *source, "", job->transfer.chunk_bytes);
    if (!imported.ok()) return FailCommand("submit", imported.error().Wrap("adapter.source"));
    overrides->push_back({"adapter.object", *imported});
  }
  const auto merged = job::MergeOverrides(*text, file, *overrides);
  if (!merged.ok()) return FailCommand("submit", merged.error());
  wire::Submit request;
  request.name = job->name;
  request.text = *merged;
  const auto reply = Ask<wire::Submitted>(options, request);
  if (!reply.ok() && reply.error().code() == Code::kAlreadyExists) {
    return FailCommand("submit", Error(reply.error().code(), reply.error().message() + ": --set name=OTHER"));
  }
  if (!reply.ok()) return FailCommand("submit", reply.error());
  fmt::print("{}\n", reply->job);
  if (!options.Flag("wait")) return config::kExitDone;
  std::fflush(stdout);
  const auto client = ConnectCoordinator(options);
  if (!client.ok()) return FailCommand("submit", client.error());
  return WatchJob(**client, "submit", reply->job, options.String("coordinator"));
}

int StatusCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary status", "tells how a job stands");
  options.AddPositional("job", "the job's id; none: the newest that runs, or the newest", true);
  options.AddBool("watch", false, "go on telling until the job ends: exit code 0 completed, 1 failed, 3 stopped; Ctrl-C leaves the job alone");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto client = ConnectCoordinator(options);
  if (!client.ok()) return FailCommand("status", client.error());
  const auto job = ChooseJob(**client, options.String("job"));
  if (!job.ok()) return FailCommand("status", job.error());
  if (options.Flag("watch")) return WatchJob(**client, "status", *job, options.String("coordinator"));
  const auto reply = FetchStatus(**client, *job, 0);
  if (!reply.ok()) return FailCommand("status", reply.error());
  PrintStatus(*reply);
  return config::kExitDone;
}

int ListCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary list", "lists a coordinator's jobs, newest first");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto reply = Ask<wire::JobList>(options, wire::ListJobs{});
  if (!reply.ok()) return FailCommand("list", reply.error());
  for (const auto& job : reply->jobs) fmt::print("{:<32} {:<10} round {} of {}\n", job.job, job.state, job.round, job.rounds);
  return config::kExitDone;
}

int StopCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary stop", "stops a job; what it has finished stays");
  options.AddPositional("job", "the job's id");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  wire::StopJob request;
  request.job = options.String("job");
  const auto reply = Ask<wire::Stopped>(options, request);
  if (!reply.ok()) return FailCommand("stop", reply.error());
  fmt::print("{} is {}\n", reply->job, reply->state);
  return config::kExitDone;
}

int PingCommand(int argc, char** argv) {
  config::Options options("tributary ping", "asks an endpoint who it is");
  options.AddPositional("endpoint", "tcp://HOST:PORT or ipc://PATH", false, config::CheckEndpoint);
  options.AddDuration("timeout", Duration(5000), "give up after this long", Duration(1));
  options.AddChoice("service", "coordinator", {"coordinator", "blob-store", "cache"}, "with --key: whose key it must have");
  config::AddKeyOptions(options, false);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto context = OpenContext(options, {options.String("endpoint")});
  if (!context.ok()) return FailCommand("ping", context.error());
  // The choices are roles.
  auto client = transport::ControlClient::Connect(*context, options.String("endpoint"), transport::ParseRole(options.String("service")).value());
  if (!client.ok()) return FailCommand("ping", client.error());
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = (*client)->Call<wire::Pong>(wire::Ping{}, options.Time("timeout"));
  if (!reply.ok()) return FailCommand("ping", reply.error());
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun).count();
  fmt::print("{} {} at {} answered in {:.1f} ms\n", reply->service, reply->version, options.String("endpoint"),
             static_cast<double>(micros) / 1000);
  return config::kExitDone;
}

}  // namespace tributary::cli
