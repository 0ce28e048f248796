// `tributary bench round`: a whole job, as `tributary run` runs it, from the start of the first process to the end of the last.
//
// A synthetic model of random numbers, no deduplication: every byte is made, sent, hashed, stored, averaged and sent again. The job runs in a
// process of its own, this program's `run`. Beside its time stands a floor, made of what was measured before and after.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <vector>

#include "services/cli/bench/bench.h"
#include "services/cli/bench/rates.h"
#include "services/cli/commands.h"
#include "services/cli/process.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"

namespace tributary::cli {
namespace {

constexpr char kProgram[] = "tributary bench round";
constexpr std::uint64_t kRateBytes = 256_MiB;

struct Plan {
  std::uint64_t bytes;
  std::uint64_t trainers;
  std::uint64_t rounds;
  std::uint64_t memory_budget;
  std::uint64_t repeats;
};

struct JobTime {
  double seconds = 0;
  Json summary;
};

std::string JobText(const Plan& plan) {
  return fmt::format(
      "name: bench-round\n"
      "rounds: {}\n"
      "tasks: [train]\n"
      "participants: {{min: {}, quorum: {}, round_deadline: 5m, seed: 1}}\n"
      "model: {{family: synthetic, bytes: {}, tensors: {}, dtype: f32, fill: random, seed: 1}}\n"
      "data: {{name: synthetic, format: synthetic, partition: {{count: {}}}}}\n"
      "strategy: {{name: fedavg, weights: equal}}\n"
      "transfer: {{mode: stream, chunk_bytes: 1MiB, deduplicate: false}}\n",
      plan.rounds, plan.trainers, plan.trainers, plan.bytes, std::clamp<std::uint64_t>(plan.bytes / 8_MiB, 1, 64), plan.trainers);
}

Result<JobTime> RunJobOnce(const Scratch& scratch, const Plan& plan) {
  const std::string job = scratch.File("job.yaml");
  std::ofstream(job) << JobText(plan);
  const std::string work = scratch.File("run");
  TRIBUTARY_ASSIGN(const std::string binaries, BinaryDirectory());
  ProcessSpec spec;
  spec.binary = binaries + "/tributary";
  spec.arguments = {"run", job, "--work-dir", work, "--no-progress", "--memory-budget", std::to_string(plan.memory_budget)};
  spec.log_path = scratch.File("run.log");
  // The job of the repeat before: gone now and not earlier, so that the memory which cached its files is used again.
  std::error_code ec;
  std::filesystem::remove_all(work, ec);
  if (ec) return ErrnoError(ec.value(), "removing " + work);
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const pid_t pid, Spawn(spec));
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return ErrnoError(errno, "waiting for the job");
  JobTime done;
  done.seconds = time.Seconds();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return MakeError(Code::kInternal, "the job failed: {}", TailOfFile(spec.log_path, 3));
  TRIBUTARY_ASSIGN(done.summary, ReadJsonFile(work + "/summary.json"));
  return done;
}

// The largest of a service's processes, and what all of them used.
void AddServices(const Json& summary, std::map<std::string, std::uint64_t>* peaks, std::map<std::string, double>* cpu) {
  cpu->clear();
  for (const Json& service : summary.value("services", Json::array())) {
    const std::string name = service.value("service", "");
    (*peaks)[name] = std::max((*peaks)[name], service.value("peak_rss_bytes", std::uint64_t{0}));
    (*cpu)[name] += service.value("cpu_seconds", 0.0);
  }
}

Rates Faster(const Rates& a, const Rates& b) {
  return {std::min(a.sha256_cpu, b.sha256_cpu), std::min(a.socket_cpu, b.socket_cpu), std::min(a.write_cpu, b.write_cpu),
          std::min(a.read_cpu, b.read_cpu),     std::min(a.sync_wall, b.sync_wall),   a.cores};
}

Result<OrderedJson> Measure(const Plan& plan, const std::string& scratch_parent) {
  TRIBUTARY_ASSIGN(const Scratch scratch, Scratch::Make(scratch_parent));
  const std::uint64_t rate_bytes = std::min(kRateBytes, plan.bytes);
  TRIBUTARY_ASSIGN(Rates rates, MeasureRates(scratch, rate_bytes));
  std::vector<double> seconds;
  std::map<std::string, std::uint64_t> peaks;
  std::map<std::string, double> cpu;
  Json best;
  for (std::uint64_t i = 0; i < plan.repeats; ++i) {
    TRIBUTARY_ASSIGN(const JobTime job, RunJobOnce(scratch, plan));
    if (seconds.empty() || job.seconds < *std::ranges::min_element(seconds)) best = job.summary;
    seconds.push_back(job.seconds);
    AddServices(job.summary, &peaks, &cpu);
  }
  TRIBUTARY_ASSIGN(const Rates again, MeasureRates(scratch, rate_bytes));
  rates = Faster(rates, again);
  AddServices(best, &peaks, &cpu);
  const JobBytes bytes = BytesOfJob(plan.bytes, plan.trainers, plan.rounds);
  const Floor floor = FloorOf(bytes, rates);
  const double fastest = *std::ranges::min_element(seconds);
  const auto rate = [](double cost) { return cost > 0 ? 1 / cost : 0.0; };
  OrderedJson json;
  json["bytes"] = plan.bytes;
  json["trainers"] = plan.trainers;
  json["rounds"] = plan.rounds;
  json["seconds"] = fastest;
  json["floor_seconds"] = floor.seconds();
  json["ratio"] = fastest / floor.seconds();
  json["peak_rss_bytes"] = peaks;
  json["cpu_seconds"] = cpu;
  json["floor"] = {{"cpu_seconds", floor.cpu_seconds}, {"disk_seconds", floor.disk_seconds}, {"cores", rates.cores},
                   {"moved_bytes", bytes.moved}, {"hashed_bytes", bytes.hashed}, {"written_bytes", bytes.written},
                   {"read_bytes", bytes.read}, {"synced_bytes", bytes.synced},
                   {"sha256_bytes_per_cpu_second", rate(rates.sha256_cpu)}, {"socket_bytes_per_cpu_second", rate(rates.socket_cpu)},
                   {"write_bytes_per_cpu_second", rate(rates.write_cpu)}, {"read_bytes_per_cpu_second", rate(rates.read_cpu)},
                   {"disk_bytes_per_second", rate(rates.sync_wall)}};
  json["repeats"] = {{"seconds", seconds}};
  return json;
}

std::string TextOf(const OrderedJson& json) {
  const OrderedJson& floor = json["floor"];
  std::string text = fmt::format("{} x {} trainers, {} rounds: {:.2f} s; floor {:.2f} s (CPU {:.2f} s on {} cores, disk {:.2f} s): {:.2f} times\n",
                                 FormatBytes(json["bytes"]), json["trainers"].get<std::uint64_t>(), json["rounds"].get<std::uint64_t>(),
                                 json["seconds"].get<double>(), json["floor_seconds"].get<double>(), floor["cpu_seconds"].get<double>(),
                                 floor["cores"].get<unsigned>(), floor["disk_seconds"].get<double>(), json["ratio"].get<double>());
  text += fmt::format("a core: SHA-256 {}, sockets {} (both ends), page cache {} in, {} out; disk {}\n",
                      FormatRate(floor["sha256_bytes_per_cpu_second"]), FormatRate(floor["socket_bytes_per_cpu_second"]),
                      FormatRate(floor["write_bytes_per_cpu_second"]), FormatRate(floor["read_bytes_per_cpu_second"]),
                      FormatRate(floor["disk_bytes_per_second"]));
  for (const auto& [service, bytes] : json["peak_rss_bytes"].items()) {
    text += fmt::format("  {}: peak memory {}, {:.2f} CPU seconds\n", service, FormatBytes(bytes), json["cpu_seconds"][service].get<double>());
  }
  return text;
}

}  // namespace

int BenchRoundCommand(int argc, char** argv) {
  config::Options options(kProgram, "runs a whole synthetic job and holds its time against what its bytes cost at least");
  options.Group("The job");
  options.AddBytes("bytes", 512_MiB, "of the model", 64_KiB, 1ull << 40);
  options.AddUint("trainers", 2, "trainers", 1, 64);
  options.AddUint("rounds", 2, "rounds", 1, 1000);
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "of each service", config::kMinMemoryBudget, config::kMaxMemoryBudget);
  AddBenchOptions(options, 3);
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const Plan plan{options.Bytes("bytes") / 4096 * 4096, options.Uint("trainers"), options.Uint("rounds"), options.Bytes("memory-budget"),
                  options.Uint("repeats")};
  const auto json = Measure(plan, options.String("scratch"));
  if (!json.ok()) return FailBench(kProgram, json.error());
  return Tell(kProgram, options, *json, TextOf(*json));
}

}  // namespace tributary::cli
