#include "services/cli/ask.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "tributary/config/service.h"

namespace tributary::cli {
namespace {

constexpr const char* kDefaultCoordinator = "tcp://127.0.0.1:7700";

}  // namespace

config::Options CoordinatorOptions(const char* program, const char* help) {
  config::Options options(program, help);
  options.AddString("coordinator", kDefaultCoordinator, "control endpoint", config::CheckEndpoint);
  config::AddKeyOptions(options, false);
  return options;
}

Result<std::unique_ptr<transport::ControlClient>> ConnectCoordinator(const config::Options& options) {
  TRIBUTARY_ASSIGN(auto context, OpenContext(options, {options.String("coordinator")}));
  return transport::ControlClient::Connect(std::move(context), options.String("coordinator"));
}

Result<wire::JobStatus> FetchStatus(transport::ControlClient& client, const std::string& job, std::uint32_t since) {
  wire::GetStatus request;
  request.job = job;
  request.since_round = since;
  std::vector<wire::RoundStatus> rounds;
  for (;;) {
    TRIBUTARY_ASSIGN(wire::JobStatus status, client.Call<wire::JobStatus>(request, kAnswerLimit));
    // An answer without newer rounds is the last; one that repeats rounds is no coordinator's.
    if (status.finished.empty() || status.finished.front().round <= request.since_round) {
      status.finished = std::move(rounds);
      return status;
    }
    request.since_round = status.finished.back().round;
    std::move(status.finished.begin(), status.finished.end(), std::back_inserter(rounds));
  }
}

Result<std::string> ChooseJob(transport::ControlClient& client, const std::string& job) {
  if (!job.empty()) return job;
  TRIBUTARY_ASSIGN(const wire::JobList list, client.Call<wire::JobList>(wire::ListJobs{}, kAnswerLimit));
  if (list.jobs.empty()) return MakeError(Code::kNotFound, "this coordinator has no jobs; 'tributary submit JOB.yaml' gives it one");
  const auto runs = [](const auto& one) { return one.state == "running"; };
  const auto running = std::ranges::find_if(list.jobs, runs);
  if (running == list.jobs.end()) return list.jobs.front().job;
  if (const auto count = std::ranges::count_if(list.jobs, runs); count > 1) {
    fmt::print(stderr, "{} jobs run; this is {}, and 'tributary list' names the others\n", count, running->job);
  }
  return running->job;
}

int FailCommand(const char* command, const Error& error) {
  fmt::print(stderr, "tributary {}: {}\n", command, error.message());
  return error.code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed;
}

}  // namespace tributary::cli
