#include "services/cli/bench/sampled_job.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "services/cli/bench/scrape.h"
#include "services/cli/process.h"

namespace tributary::cli {
namespace {

constexpr timespec kBetween{0, 50'000'000};

void Take(const Samples& samples, ProcessPeak& peak) {
  const auto value = [&](const std::string& name) {
    const auto it = samples.find(name);
    return it == samples.end() ? std::uint64_t{0} : static_cast<std::uint64_t>(it->second);
  };
  const auto owner = [&](const char* name) { return value(fmt::format("tributary_memory_owner_peak_bytes{{owner=\"{}\"}}", name)); };
  if (peak.base == 0) peak.base = value("process_resident_memory_bytes");
  peak.pool = std::max(peak.pool, owner("pool"));
  peak.zeromq = std::max(peak.zeromq, owner("zeromq"));
  peak.torch = std::max(peak.torch, owner("torch"));
}

// Processes that have not begun or have ended are looked at again, or have told what they had.
void SampleAll(const std::string& work, SampledJob& job) {
  const auto addresses = ReadJsonFile(work + "/metrics.json");
  if (!addresses.ok()) return;
  for (const auto& [instance, address] : addresses->items()) {
    if (!address.is_string()) continue;
    if (const auto samples = ScrapeMetrics(address.get<std::string>()); samples.ok()) Take(*samples, job.processes[instance]);
  }
}

}  // namespace

Result<SampledJob> RunSampledJob(const Scratch& scratch, const std::string& text, const std::vector<std::string>& more, bool sample) {
  const std::string file = scratch.File("job.yaml");
  std::ofstream(file) << text;
  const std::string work = scratch.File("run");
  std::error_code ec;
  std::filesystem::remove_all(work, ec);
  if (ec) return ErrnoError(ec.value(), "removing " + work);
  TRIBUTARY_ASSIGN(const std::string binaries, BinaryDirectory());
  ProcessSpec spec;
  spec.binary = binaries + "/tributary";
  spec.arguments = {"run", file, "--work-dir", work, "--no-progress"};
  if (sample) spec.arguments.push_back("--metrics");
  spec.arguments.insert(spec.arguments.end(), more.begin(), more.end());
  spec.log_path = scratch.File("run.log");
  SampledJob job;
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const pid_t pid, Spawn(spec));
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended < 0) return ErrnoError(errno, "waiting for the job");
    if (ended == pid) {
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return MakeError(Code::kInternal, "the job failed: {}", TailOfFile(spec.log_path, 3));
      break;
    }
    if (sample) SampleAll(work, job);
    nanosleep(&kBetween, nullptr);
  }
  job.seconds = time.Seconds();
  TRIBUTARY_ASSIGN(const Json summary, ReadJsonFile(work + "/summary.json"));
  for (const Json& service : summary.value("services", Json::array())) {
    ProcessPeak& peak = job.processes[service.value("instance", "")];
    peak.service = service.value("service", "");
    peak.rss = service.value("peak_rss_bytes", std::uint64_t{0});
  }
  return job;
}

}  // namespace tributary::cli
