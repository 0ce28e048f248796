// Commands about what became of a job: logs and resume.
#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>

#include "services/cli/ask.h"
#include "services/cli/commands.h"
#include "services/cli/job_log.h"
#include "services/cli/overrides.h"
#include "services/cli/store.h"
#include "tributary/config/service.h"

namespace tributary::cli {
namespace {

constexpr std::chrono::milliseconds kPoll{500};
constexpr std::chrono::minutes kSilence{5};
constexpr std::uint32_t kMaxRounds = 1'000'000;
constexpr const char* kDefaultBlobStore = "tcp://127.0.0.1:7710";

bool Ended(const std::string& state) { return state != "queued" && state != "running"; }

std::atomic<bool> g_left{false};
void OnSignal(int) { g_left = true; }

Status LookForModel(const config::Options& options, const std::string& job, std::uint32_t round) {
  memory::Pool pool(config::kMinMemoryBudget);
  TRIBUTARY_ASSIGN(const auto store, OpenStore(options, pool));
  return CheckKept(*store, job, round);
}

// Lines after `since`, as they come; true: there were any. `state` becomes the job's.
Result<bool> PrintNewer(transport::ControlClient& client, const std::string& job, std::uint64_t& since, std::string& state) {
  wire::GetLog request;
  request.job = job;
  request.since = since;
  TRIBUTARY_ASSIGN(const auto log, client.Call<wire::Log>(request, kAnswerLimit));
  for (const auto& line : log.lines) {
    fmt::print("{}\n", LogText(line, job));
    // A coordinator's numbers ascend; one that repeats itself would be asked for ever.
    since = std::max(since + 1, line.number);
  }
  std::fflush(stdout);
  state = log.state;
  return !log.lines.empty();
}

}  // namespace

int LogsCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary logs", "tells what the coordinator decided about a job, with the time of each");
  options.AddPositional("job", "the job's id; none: the newest that runs, or the newest", true);
  options.AddBool("follow", false, "go on until the job ends; Ctrl-C leaves the job alone");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto client = ConnectCoordinator(options);
  if (!client.ok()) return FailCommand("logs", client.error());
  const auto job = ChooseJob(**client, options.String("job"));
  if (!job.ok()) return FailCommand("logs", job.error());
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  std::uint64_t since = 0;
  std::string state;
  auto heard = std::chrono::steady_clock::now();
  for (;;) {
    const auto more = PrintNewer(**client, *job, since, state);
    if (g_left) return 128 + SIGINT;
    const auto now = std::chrono::steady_clock::now();
    const bool passing = !more.ok() && (more.error().code() == Code::kDeadline || more.error().code() == Code::kUnavailable);
    if (!more.ok() && (!options.Flag("follow") || !passing || now - heard > kSilence)) return FailCommand("logs", more.error());
    if (more.ok()) heard = now;
    if (more.ok() && *more) continue;
    if (!options.Flag("follow") || (more.ok() && Ended(state))) return config::kExitDone;
    const timespec nap{0, std::chrono::nanoseconds(kPoll).count()};
    nanosleep(&nap, nullptr);
  }
}

int ResumeCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary resume", "lets a stopped or failed job go on behind its newest sealed round, a completed one to more rounds; or behind an earlier round");
  options.AddPositional("job", "the job's id");
  options.AddStrings("set", "rounds=N: how many in all; nothing else of a job can be changed");
  options.AddUint("from-round", 0, "go on behind this round, whose model is kept (checkpoint.every, checkpoint.keep), and throw away what came after it; 0: behind "
                  "the newest", 0, kMaxRounds);
  config::AddStoreOptions(options, kDefaultBlobStore);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto overrides = ParseOverrides(options.Strings("set"));
  if (!overrides.ok()) return FailCommand("resume", overrides.error());
  wire::ResumeJob request;
  request.job = options.String("job");
  for (const auto& change : *overrides) {
    const auto rounds = ParseRounds(change.path, change.value, kMaxRounds);
    if (!rounds.ok()) return FailCommand("resume", rounds.error());
    request.rounds = *rounds;
  }
  request.from_round = static_cast<std::uint32_t>(options.Uint("from-round"));
  if (request.from_round != 0) {
    // Before the newer models go: what the coordinator knows is which models should be there.
    const Status kept = LookForModel(options, request.job, request.from_round);
    if (!kept.ok()) return FailCommand("resume", kept.error());
  }
  const auto reply = Ask<wire::Resumed>(options, request);
  if (!reply.ok()) return FailCommand("resume", reply.error());
  fmt::print("{} is {}: {} of {} rounds are done\n", reply->job, reply->state, reply->round, reply->rounds);
  return config::kExitDone;
}

}  // namespace tributary::cli
