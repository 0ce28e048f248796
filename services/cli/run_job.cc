#include "services/cli/run_job.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <stop_token>

#include "services/cli/base_writer.h"
#include "services/cli/invocation.h"
#include "services/cli/memory_log.h"
#include "services/cli/preflight.h"
#include "services/cli/progress.h"
#include "services/cli/run_events.h"
#include "services/cli/run_models.h"
#include "services/cli/store.h"
#include "services/cli/summary.h"
#include "services/cli/supervisor.h"
#include "tributary/base/clock.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/job/needs.h"
#include "tributary/modeldir/directory.h"
#include "tributary/tfevents/event_log.h"
#include "tributary/transport/control_client.h"

namespace tributary::cli {
namespace {

constexpr Duration kPoll{200};
// While the last model is being sealed, which takes a moment and is what people wait for.
constexpr Duration kPollAtTheEnd{20};
// A coordinator that restarts answers again within this; longer is a stall that the supervisor has not seen.
constexpr Duration kSubmitTimeout{60'000};
constexpr Duration kRemovalLimit{30'000};
constexpr const char* kPeaksAreOurs = "--own-peaks=false";  // memory_log.h reads and resets them

std::atomic<int> g_signal{0};
void OnSignal(int signal) { g_signal = signal; }

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

class JobRun {
 public:
  JobRun(const RunSpec& spec, const WorkDir& dir)
      : spec_(spec), dir_(dir), view_(spec.progress), supervisor_(memory_, [this](const std::string& line) { view_.Say("! " + line); }) {}

  int Main() {
    begun_ = std::chrono::steady_clock::now();
    const Status status = Run();
    view_.Clear();
    if (!status.ok()) {
      if (outcome_.status.empty()) outcome_.status = status.error().code() == Code::kCancelled ? "stopped" : "failed";
      outcome_.message = status.error().message();
      // Whoever ran into it first: its own words may not even have fitted its log.
      if (DiskIsFull(dir_.path())) {
        outcome_.message = fmt::format("the disk of {} is full; free some room: {}", dir_.path(), outcome_.message);
      }
    } else {
      outcome_.status = "completed";
    }
    // Peaks are read while the processes live.
    memory_.Sample();
    outcome_.seconds = Seconds(begun_);
    supervisor_.StopAll();
    const OrderedJson summary = MakeSummary(outcome_, supervisor_.children(), memory_);
    const Status written = WriteJsonFile(dir_.File("summary.json"), summary);
    if (!written.ok()) fmt::print(stderr, "tributary run: {}\n", written.error().message());
    if (!written.ok() && outcome_.status == "completed") return 1;
    fmt::print("{}", SummaryText(Json::parse(summary.dump()), dir_.path()));
    if (written.ok()) fmt::print("report:  {}\n", ReportWords(InvokedAs(), dir_.path()));
    if (outcome_.status == "completed") {
      if (!outcome_.model.empty() && spec_.job.writes_text()) fmt::print("try:     {}\n", TryCommand(InvokedAs(), dir_.path()));
      return 0;
    }
    std::fflush(stdout);
    const bool told = outcome_.message.rfind(outcome_.status, 0) == 0;  // "stopped by signal 15"
    fmt::print(stderr, "tributary run: {}{}\n", told ? "" : outcome_.status + ": ", outcome_.message);
    return 1;
  }

 private:
  Status Run() {
    outcome_.job = spec_.job.name;
    outcome_.memory_budget = spec_.memory_budget;
    TRIBUTARY_TRY(memory_.Open(dir_.path()));
    TRIBUTARY_ASSIGN(events_, tfevents::EventLog::Open(dir_.File("events")));
    TRIBUTARY_TRY(StartServices());
    TRIBUTARY_ASSIGN(client_, transport::ControlClient::Connect(context_, dir_.Endpoint("coordinator.sock")));
    TRIBUTARY_TRY(ImportSources());
    TRIBUTARY_TRY(spec_.resume ? ResumeJob() : SubmitJob());
    TRIBUTARY_TRY(Watch());
    TRIBUTARY_TRY(Export());
    return AwaitRemovals();
  }

  Result<ServiceProcess> Describe(const std::string& service, const std::string& instance, std::vector<std::string> arguments) {
    std::string metrics = "off";
    if (spec_.metrics) {
      TRIBUTARY_ASSIGN(const std::uint16_t port, FreePort());
      metrics = fmt::format("127.0.0.1:{}", port);
      metrics_[instance] = metrics;
    }
    arguments.insert(arguments.end(), {"--metrics-address", metrics, "--log-level", spec_.log_level, "--memory-budget",
                                       std::to_string(spec_.memory_budget)});
    ServiceProcess process{service, instance, {}};
    process.spec.binary = binaries_ + "/tributary-" + service;
    process.spec.arguments = std::move(arguments);
    process.spec.log_path = dir_.File("logs/" + instance + ".log");
    return process;
  }

  std::string ShardDirectory(std::uint32_t shard) const {
    return dir_.File(spec_.shards == 1 ? "blob-store" : fmt::format("blob-store/shard-{}", shard));
  }
  std::vector<std::string> StoreEndpoints() const {
    std::vector<std::string> endpoints;
    for (std::uint32_t i = 0; i < spec_.shards; ++i) {
      endpoints.push_back(dir_.Endpoint(spec_.shards == 1 ? "blob-store.sock" : fmt::format("blob-store-{}.sock", i)));
    }
    return endpoints;
  }
  // What an earlier run staged lies on as many shards as it had.
  Status CheckShards() const {
    std::uint32_t before = std::filesystem::exists(dir_.File("blob-store/format")) ? 1 : 0;
    // Its second line says of how many shards this is the first.
    std::ifstream format(dir_.File("blob-store/shard-0/format"));
    std::string version, shard;
    if (std::getline(format, version) && std::getline(format, shard)) std::sscanf(shard.c_str(), "shard 0 of %" SCNu32, &before);
    if (before == 0 || before == spec_.shards) return Ok();
    return MakeError(Code::kConflict, "{} was begun with --shards {}; go on with as many, or --restart to throw that run away", dir_.path(), before);
  }

  Status StartServices() {
    TRIBUTARY_ASSIGN(binaries_, BinaryDirectory());
    TRIBUTARY_TRY(CheckShards());
    const std::string coordinator = dir_.Endpoint("coordinator.sock");
    view_.Say(fmt::format("starting coordinator, {}, {} aggregator{} and {} trainer{} in {}",
                          spec_.shards == 1 ? "blob-store" : fmt::format("{} blob-store shards", spec_.shards), spec_.aggregators,
                          spec_.aggregators == 1 ? "" : "s", spec_.trainers, spec_.trainers == 1 ? "" : "s", dir_.path()));
    TRIBUTARY_ASSIGN(const job::Needs needs, job::NeedsOf(spec_.job));
    std::vector<std::string> coordinating = {"--listen", coordinator, "--state-dir", dir_.File("coordinator")};
    const std::vector<std::string> stores = StoreEndpoints();
    for (std::uint32_t i = 0; i < spec_.shards; ++i) {
      TRIBUTARY_TRY(StartService("blob-store", spec_.shards == 1 ? "blob-store" : fmt::format("blob-store-{}", i),
                                 {"--listen", stores[i], "--data-dir", ShardDirectory(i), "--max-message", std::to_string(needs.max_message), "--shard",
                                  std::to_string(i), "--shards", std::to_string(spec_.shards)}));
      coordinating.insert(coordinating.end(), {"--blob-store", stores[i]});
    }
    TRIBUTARY_TRY(StartService("coordinator", "coordinator", std::move(coordinating)));
    for (std::uint32_t i = 0; i < spec_.aggregators; ++i) {
      const std::string instance = fmt::format("aggregator-{}", i);
      TRIBUTARY_TRY(StartService("aggregator", instance, {"--coordinator", coordinator, "--instance", instance, kPeaksAreOurs}));
    }
    for (std::uint32_t i = 0; i < spec_.trainers; ++i) TRIBUTARY_TRY(StartTrainer(i, coordinator));
    return spec_.metrics ? WriteJsonFile(dir_.File("metrics.json"), OrderedJson(metrics_)) : Ok();
  }

  Status StartService(const std::string& service, const std::string& instance, std::vector<std::string> arguments) {
    TRIBUTARY_ASSIGN(ServiceProcess process, Describe(service, instance, std::move(arguments)));
    return supervisor_.Start(std::move(process));
  }

  Status StartTrainer(std::uint32_t ordinal, const std::string& coordinator) {
    const std::string instance = fmt::format("trainer-{}", ordinal);
    const std::string site_dir = dir_.File(fmt::format("sites/local/{}", ordinal));
    std::error_code ec;
    std::filesystem::create_directories(site_dir, ec);
    if (ec) return ErrnoError(ec.value(), "making " + site_dir);
    std::vector<std::string> arguments{"--coordinator", coordinator, "--site", "local", "--instance", instance,
                                       "--ordinal", std::to_string(ordinal), "--work-dir", site_dir,
                                       "--train-threads", std::to_string(spec_.job.train.threads), kPeaksAreOurs};
    for (const auto& [name, path] : spec_.data) {
      arguments.push_back("--data");
      arguments.push_back(name + "=" + path);
    }
    TRIBUTARY_ASSIGN(ServiceProcess process, Describe("trainer", instance, std::move(arguments)));
    process.spec.log_path = site_dir + "/log";
    // Without it each trainer's BLAS starts a thread for every core, and sums change with their number.
    const std::string threads = std::to_string(spec_.job.train.threads);
    process.spec.environment = {{"OPENBLAS_NUM_THREADS", threads}, {"OMP_NUM_THREADS", threads}};
    return supervisor_.Start(std::move(process));
  }

  // What must happen all the time, whatever is waited for.
  Status Tend() {
    if (const int signal = g_signal; signal != 0) {
      return MakeError(Code::kCancelled, "stopped by signal {}; the same command{} goes on from here", signal, spec_.from_round == 0 ? "" : " without --from-round");
    }
    TRIBUTARY_TRY(supervisor_.Poll());
    memory_.Sample();
    return Ok();
  }

  // Calls until something answers, tending the services meanwhile: the request is sent again every kPoll, `sent` times in all.
  template <class Reply, class Request>
  Result<Reply> CallTending(const Request& request, Duration timeout, int* sent = nullptr) {
    const Deadline deadline(Clock::Steady(), timeout);
    for (;;) {
      TRIBUTARY_TRY(Tend());
      if (sent != nullptr) ++*sent;
      auto reply = client_->Call<Reply>(request, kPoll);
      if (reply.ok() || reply.error().code() != Code::kDeadline) return reply;
      if (deadline.Expired()) return reply.error().Wrap("the coordinator of this run does not answer");
    }
  }

  // A job that had ended, or is to go back, goes on; one that nobody knows yet begins.
  Status ResumeJob() {
    TRIBUTARY_ASSIGN(const job::Job before, job::ParseJob(dir_.job_text(), "job.yaml"));
    const std::vector<job::Override> rounds{{"rounds", std::to_string(spec_.job.rounds)}};
    std::string text = dir_.job_text();
    if (before.rounds != spec_.job.rounds) {
      TRIBUTARY_ASSIGN(text, job::MergeOverrides(text, "job", rounds));
      TRIBUTARY_ASSIGN(job_text_, job::MergeOverrides(job_text_, "job", rounds));
    }
    wire::GetStatus ask;
    ask.job = spec_.job.name;
    ask.since_round = spec_.job.rounds;
    const auto status = CallTending<wire::JobStatus>(ask, kSubmitTimeout);
    if (!status.ok() && (status.error().code() != Code::kNotFound || spec_.from_round != 0)) return status.error();
    if (!status.ok()) {
      TRIBUTARY_TRY(dir_.GoOn(text, false));
      return SubmitJob();
    }
    if (spec_.from_round != 0) {
      // Before anything is thrown away.
      TRIBUTARY_TRY(Aside([&](std::stop_token stop) -> Status {
        TRIBUTARY_ASSIGN(const auto store, OpenStore(stop));
        return CheckKept(*store, spec_.job.name, spec_.from_round);
      }));
    }
    const bool ended = status->state != "queued" && status->state != "running";
    if (!ended && spec_.from_round == 0 && status->rounds == spec_.job.rounds) return SubmitJob();
    if (!ended) {
      wire::StopJob stop;
      stop.job = spec_.job.name;
      TRIBUTARY_TRY(CallTending<wire::Stopped>(stop, kSubmitTimeout).status());
    }
    wire::ResumeJob resume;
    resume.job = spec_.job.name;
    resume.rounds = spec_.job.rounds;
    resume.from_round = spec_.from_round;
    int sent = 0;
    const auto resumed = CallTending<wire::Resumed>(resume, kSubmitTimeout, &sent);
    // Nobody else asks this coordinator: a job that goes on already does so for a request whose answer was late, or lost with a coordinator that died.
    const bool twice = !resumed.ok() && sent > 1 && resumed.error().code() == Code::kConflict;
    if (!resumed.ok() && !twice) return resumed.error();
    TRIBUTARY_TRY(dir_.GoOn(text, spec_.from_round != 0));
    if (spec_.from_round != 0) {
      TRIBUTARY_ASSIGN(events_, tfevents::EventLog::Open(dir_.File("events")));
    }
    job_ = spec_.job.name;
    const std::string behind = twice ? "" : fmt::format(" behind round {}", resumed->round);
    view_.Say(fmt::format("{} goes on{}: {} rounds in all", job_, behind, spec_.job.rounds));
    return Ok();
  }

  Status SubmitJob() {
    wire::Submit submit;
    submit.name = spec_.job.name;
    submit.text = job_text_;
    submit.resume = true;
    TRIBUTARY_ASSIGN(const wire::Submitted submitted, CallTending<wire::Submitted>(submit, kSubmitTimeout));
    job_ = submitted.job;
    // On a busy machine a first submit may go unanswered, and the second one is taken for going on.
    if (submitted.resumed && dir_.resumed()) view_.Say(fmt::format("{} goes on where it was", job_));
    return Ok();
  }

  Status Watch() {
    auto next_poll = std::chrono::steady_clock::now();
    for (;;) {
      wire::GetStatus request;
      request.job = job_;
      request.since_round = outcome_.rounds.empty() ? 0 : outcome_.rounds.back().round;
      TRIBUTARY_ASSIGN(wire::JobStatus status, CallTending<wire::JobStatus>(request, kSubmitTimeout));
      memory_.SetPhase(status.phase);
      for (auto& round : status.finished) {
        view_.Say(teller_.Tell(round, status.rounds));
        LogRound(round);
        outcome_.rounds.push_back(std::move(round));
      }
      if (status.state == "completed") {
        // The last rounds may not all have fit one frame.
        if (outcome_.rounds.size() < status.rounds) continue;
        model_object_ = status.model;
        outcome_.model_digest = status.model_digest;
        return Ok();
      }
      if (status.state == "failed" || status.state == "stopped") {
        outcome_.status = status.state;
        return Error(Code::kUnavailable, EndText(status.state, status.message, !outcome_.rounds.empty()));
      }
      view_.Update(status, {{}, view_.terminal() ? std::vector<std::string>{PeakLine(memory_)} : std::vector<std::string>{}});
      const bool ending = status.round == status.rounds && status.phase == "seal";
      next_poll += ending ? kPollAtTheEnd : kPoll;
      // Sleep in small steps: a child's end or a signal should not wait for the next poll.
      while (std::chrono::steady_clock::now() < next_poll) {
        TRIBUTARY_TRY(Tend());
        const timespec nap{0, 20'000'000};
        nanosleep(&nap, nullptr);
      }
      next_poll = std::max(next_poll, std::chrono::steady_clock::now() - kPoll);
    }
  }

  // A job is no worse for what TensorBoard is not told.
  void LogRound(const wire::RoundStatus& round) {
    if (!events_ || round.round <= events_->LastStep()) return;
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const Status logged = events_->Append(round.round, now, EventValues(round, memory_.instances()));
    if (logged.ok()) return;
    view_.Say(fmt::format("! no more events for TensorBoard: {}", logged.error().message()));
    events_.reset();
  }

  // On a thread of its own: this one must go on restarting what dies, or the work would wait for a blob-store that nobody starts again.
  Status Aside(const std::function<Status(std::stop_token)>& work) {
    std::stop_source stop;
    auto done = std::async(std::launch::async, [&] { return work(stop.get_token()); });
    Status tended;
    while (done.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
      if (!tended.ok()) continue;
      tended = Tend();
      if (!tended.ok()) stop.request_stop();
    }
    const Status worked = done.get();
    return tended.ok() ? worked : tended;
  }

  // The directories that the job starts from become objects, which trainers can read.
  Status ImportSources() {
    job_text_ = dir_.job_text();
    if (!spec_.source && !spec_.adapters) return Ok();
    memory_.SetPhase("import");
    for (const std::string& path : {spec_.source ? spec_.source->path : "", spec_.adapters ? spec_.adapters->path : ""}) {
      if (!path.empty()) view_.Say(fmt::format("importing the model of {}", path));
    }
    RunImports imports;
    TRIBUTARY_TRY(Aside([&](std::stop_token stop) -> Status {
      TRIBUTARY_ASSIGN(const auto store, OpenStore(stop));
      if (spec_.source) TRIBUTARY_TRY(ImportRunModel(*store, spec_, stop, imports));
      return spec_.adapters ? ImportRunAdapters(*store, spec_, stop, imports) : Ok();
    }));
    tokenizer_object_ = imports.tokenizer_object;
    TRIBUTARY_ASSIGN(job_text_, job::MergeOverrides(job_text_, "job", imports.overrides));
    return Ok();
  }

  Status Export() {
    if (!spec_.job.checkpoint.export_model) {
      view_.Say(fmt::format("the model stays in the blob-store as {} (checkpoint.export is false)", model_object_));
      return Ok();
    }
    memory_.SetPhase("export");
    view_.Say("writing the model");
    TRIBUTARY_TRY(Aside([&](std::stop_token stop) { return ExportFromStore(model_object_, "model", stop); }));
    TRIBUTARY_TRY(ExportBest());
    outcome_.model = "model/" + modeldir::WeightsFileOf(dir_.File("model"));
    if (!job::HasBaseOfSeed(spec_.job)) return Ok();
    TRIBUTARY_TRY(WriteRunBase(dir_, memory_, [this] { return Tend(); }));
    outcome_.model_base = kBaseDirectory;
    return Ok();
  }

  // What the last round leaves to be removed goes before the services do: afterwards nobody would remove it. A job is no worse for what stays.
  Status AwaitRemovals() {
    const Deadline deadline(Clock::Steady(), kRemovalLimit);
    wire::GetStatus request;
    request.job = job_;
    request.since_round = spec_.job.rounds;
    while (!deadline.Expired()) {
      TRIBUTARY_ASSIGN(const wire::JobStatus status, CallTending<wire::JobStatus>(request, kSubmitTimeout));
      if (status.phase != "remove") break;
      const timespec nap{0, 20'000'000};
      nanosleep(&nap, nullptr);
    }
    return Ok();
  }

  Result<std::unique_ptr<blob_client::RemoteStore>> OpenStore(std::stop_token stop) {
    blob_client::RemoteOptions options;
    options.endpoints = StoreEndpoints();
    options.instance = "cli";
    options.stop = stop;
    if (spec_.job.transfer.cut() != tensor::Cut::kChunks) options.max_message = blob_client::MessagesWithin(spec_.memory_budget);
    return blob_client::ConnectStore(context_, export_pool_, options);
  }

  Status ExportBest() {
    const wire::RoundStatus* const best = BestRound(outcome_.rounds);
    if (!spec_.job.checkpoint.best || best == nullptr) return Ok();
    // Models of a job are named alike but for the round.
    const std::string object = fmt::format("{}/{}", model_object_.substr(0, model_object_.rfind('/')), best->round);
    view_.Say(fmt::format("writing the best model, of round {}", best->round));
    return Aside([&](std::stop_token stop) { return ExportFromStore(object, "model-best", stop); });
  }

  Status ExportFromStore(const std::string& object, const char* directory, std::stop_token stop) {
    TRIBUTARY_ASSIGN(const auto store, OpenStore(stop));
    return ExportRunModel(*store, spec_, tokenizer_object_, dir_.File(kBaseDirectory), object, dir_.File(directory), stop);
  }

  const RunSpec& spec_;
  const WorkDir& dir_;
  std::chrono::steady_clock::time_point begun_;
  std::string binaries_;
  std::map<std::string, std::string> metrics_;  // by instance
  memory::Pool export_pool_{spec_.memory_budget};  // outlives the context, whose threads may hold the last of its buffers
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  MemoryLog memory_;
  std::optional<tfevents::EventLog> events_;
  ProgressView view_;
  Supervisor supervisor_;
  std::unique_ptr<transport::ControlClient> client_;
  std::string job_text_;  // with the imported object in it
  std::string tokenizer_object_;  // that came with it
  std::string job_;
  std::string model_object_;
  RunOutcome outcome_;
  RoundTeller teller_;
};

}  // namespace

int RunJob(const RunSpec& spec, const WorkDir& dir) {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  JobRun run(spec, dir);
  return run.Main();
}

}  // namespace tributary::cli
