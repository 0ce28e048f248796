// `tributary bench memory`: where the memory of each process went, with streaming and without, and whether it stayed below its ceiling.
//
// A synthetic job runs as `tributary run` runs it, once streamed and once with the whole model in one message; where libtorch is there a small
// real model is trained, too. --grid streams one round for each size of model and number of trainers: peaks must not follow either.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "services/cli/bench/bench.h"
#include "services/cli/bench/sampled_job.h"
#include "services/cli/commands.h"
#include "services/cli/process.h"
#include "tributary/chart/bar_chart.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/job/job.h"
#include "tributary/job/needs.h"

namespace tributary::cli {
namespace {

constexpr char kProgram[] = "tributary bench memory";
// What any process may hold beside base and budget.
constexpr std::uint64_t kBeside = 64_MiB;
// Peaks of a grid are flat within this.
constexpr double kFlatShare = 0.05;
constexpr std::uint64_t kFlatBytes = 4_MiB;
constexpr std::uint64_t kDistinct = 64_MiB;

struct Size {
  std::uint64_t bytes;
  std::uint64_t trainers;
};

double Mebibytes(double bytes) { return bytes / (1 << 20); }

std::string JobText(const Size& size, const std::string& mode, bool tiled) {
  const std::string fill = tiled ? fmt::format("fill: tiled, distinct: {}", std::min(kDistinct, size.bytes)) : "fill: random";
  return fmt::format(
      "name: bench-memory\n"
      "participants: {{min: {0}, quorum: {0}, round_deadline: 10m}}\n"
      "model: {{family: synthetic, bytes: {1}, tensors: {2}, dtype: f32, {3}}}\n"
      "data: {{partition: {{count: {0}}}}}\n"
      "strategy: {{weights: equal}}\n"
      "transfer: {{mode: {4}, chunk_bytes: 1MiB, deduplicate: false, tensor_send_timeout: 10m}}\n"
      "checkpoint: {{export: false}}\n",
      size.trainers, size.bytes, std::clamp<std::uint64_t>(size.bytes / 64_MiB, 1, 64), fill, mode);
}

// A model small enough to be trained in seconds, for what libtorch itself takes.
Result<std::string> RealJobText(const Scratch& scratch) {
  const std::string data = scratch.File("text");
  std::ofstream text(data);
  for (int i = 0; i < 2000; ++i) text << "The river takes what the brooks bring, number " << i << ", and carries it on.\n%\n";  // an item each
  text.close();
  if (!text) return MakeError(Code::kIo, "writing {}", data);
  return fmt::format(
      "name: bench-memory-real\n"
      "participants: {{min: 2, quorum: 2}}\n"
      "model: {{family: gpt2, layers: 2, heads: 2, hidden: 64, positions: 64}}\n"
      "data: {{name: text, format: text, path: '{}', partition: {{count: 2}}}}\n"
      "train: {{mode: step, steps: 4, batch_size: 4, gradient_accumulation: 1, max_length: 32}}\n"
      "checkpoint: {{export: false}}\n",
      data);
}

struct Plan {
  Size size;
  std::uint64_t memory_budget;
  std::uint64_t ceiling;  // of a process that streams with at most the default budget
  bool real;
  std::vector<Size> grid;
};

// 0: none is asked of it, as of one that trains.
std::uint64_t CeilingOf(const Plan& plan, const ProcessPeak& peak, const std::string& mode, std::uint64_t budget) {
  if (peak.torch > 0) return 0;
  if (mode == "stream" && budget <= config::kDefaultMemoryBudget) return plan.ceiling;
  return peak.base + budget + kBeside;
}

OrderedJson ProcessesJson(const Plan& plan, const SampledJob& job, const std::string& mode, std::uint64_t budget,
                          std::vector<std::string>* exceeded) {
  OrderedJson json;
  for (const auto& [instance, peak] : job.processes) {
    const std::uint64_t ceiling = CeilingOf(plan, peak, mode, budget);
    json[instance] = {{"service", peak.service}, {"peak_rss_bytes", peak.rss}, {"pool_bytes", peak.pool},     {"zeromq_bytes", peak.zeromq},
                      {"torch_bytes", peak.torch}, {"other_bytes", peak.Other()}, {"base_rss_bytes", peak.base}, {"ceiling_bytes", ceiling}};
    if (ceiling != 0 && peak.rss > ceiling) {
      exceeded->push_back(fmt::format("{} held {} in mode {}: its ceiling is {}", instance, FormatBytes(peak.rss), mode, FormatBytes(ceiling)));
    }
  }
  return json;
}

// The greatest of a service's processes.
std::map<std::string, std::uint64_t> ByService(const SampledJob& job) {
  std::map<std::string, std::uint64_t> peaks;
  for (const auto& [instance, peak] : job.processes) peaks[peak.service] = std::max(peaks[peak.service], peak.rss);
  return peaks;
}

Result<SampledJob> RunOne(const Scratch& scratch, const std::string& text, std::uint64_t budget, bool sample) {
  return RunSampledJob(scratch, text, {"--memory-budget", std::to_string(budget)}, sample);
}

bool HasModule() {
  const auto binaries = BinaryDirectory();
  return binaries.ok() && std::filesystem::exists(std::filesystem::path(*binaries).parent_path() / "lib" / "libtributary-train.so");
}

Status MeasureModes(const Scratch& scratch, const Plan& plan, OrderedJson& json, std::vector<std::string>* exceeded) {
  for (const std::string mode : {"stream", "regular"}) {
    const std::string text = JobText(plan.size, mode, false);
    TRIBUTARY_ASSIGN(const job::Job job, job::ParseJob(text, "the benchmark's job"));
    TRIBUTARY_ASSIGN(const job::Needs needs, job::NeedsOf(job));
    const std::uint64_t budget = std::max(plan.memory_budget, needs.memory_budget);
    TRIBUTARY_ASSIGN(const SampledJob done, RunOne(scratch, text, budget, true));
    json["modes"][mode] = {{"seconds", done.seconds}, {"memory_budget_bytes", budget}, {"processes", ProcessesJson(plan, done, mode, budget, exceeded)}};
  }
  if (!plan.real || !HasModule()) return Ok();
  TRIBUTARY_ASSIGN(const std::string text, RealJobText(scratch));
  TRIBUTARY_ASSIGN(const SampledJob done, RunOne(scratch, text, plan.memory_budget, true));
  json["modes"]["stream, trained"] = {{"seconds", done.seconds},
                                      {"memory_budget_bytes", plan.memory_budget},
                                      {"processes", ProcessesJson(plan, done, "stream", plan.memory_budget, exceeded)}};
  return Ok();
}

Status MeasureGrid(const Scratch& scratch, const Plan& plan, OrderedJson& json, std::vector<std::string>* exceeded) {
  std::map<std::string, std::vector<std::uint64_t>> all;
  for (const Size& size : plan.grid) {
    TRIBUTARY_ASSIGN(const SampledJob done, RunOne(scratch, JobText(size, "stream", true), plan.memory_budget, false));
    const auto peaks = ByService(done);
    json["grid"].push_back({{"bytes", size.bytes}, {"trainers", size.trainers}, {"seconds", done.seconds}, {"peak_rss_bytes", peaks}});
    for (const auto& [service, peak] : peaks) {
      all[service].push_back(peak);
      if (plan.memory_budget <= config::kDefaultMemoryBudget && peak > plan.ceiling) {
        exceeded->push_back(fmt::format("{} held {} with a model of {} and {} trainers: its ceiling is {}", service, FormatBytes(peak),
                                        FormatBytes(size.bytes), size.trainers, FormatBytes(plan.ceiling)));
      }
    }
  }
  for (const auto& [service, peaks] : all) {
    const auto [least, most] = std::ranges::minmax(peaks);
    const auto allowed = static_cast<std::uint64_t>(static_cast<double>(least) * kFlatShare) + kFlatBytes;
    json["spread"][service] = {{"bytes", most - least}, {"allowed_bytes", allowed}, {"flat", most - least <= allowed}};
    if (most - least > allowed) {
      exceeded->push_back(fmt::format("{} is not flat over the grid: {} between its least and its greatest peak, {} are allowed", service,
                                      FormatBytes(most - least), FormatBytes(allowed)));
    }
  }
  return Ok();
}

std::string TextOf(const OrderedJson& json) {
  std::string text;
  const auto mib = [](const OrderedJson& bytes) { return fmt::format("{:.1f}", Mebibytes(bytes.get<double>())); };
  if (json.contains("modes")) {
    text += fmt::format("{} and {} trainers; peaks in MiB, by owner\n", FormatBytes(json["bytes"]), json["trainers"].get<std::uint64_t>());
    for (const auto& [mode, run] : json["modes"].items()) {
      text += fmt::format("{} ({:.1f} s, memory budget {} each)\n  {:<14} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}\n", mode, run["seconds"].get<double>(),
                          FormatBytes(run["memory_budget_bytes"]), "process", "resident", "pool", "ZeroMQ", "torch", "other", "ceiling");
      for (const auto& [instance, p] : run["processes"].items()) {
        text += fmt::format("  {:<14} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}\n", instance, mib(p["peak_rss_bytes"]), mib(p["pool_bytes"]),
                            mib(p["zeromq_bytes"]), mib(p["torch_bytes"]), mib(p["other_bytes"]),
                            p["ceiling_bytes"] == 0 ? "none" : mib(p["ceiling_bytes"]));
      }
    }
  }
  if (!json.contains("grid")) return text;
  text += fmt::format("grid, streamed, one round; greatest peak of each service in MiB\n  {:>10} {:>9} {:>9} {:>12} {:>11} {:>11} {:>8}\n", "model",
                      "trainers", "seconds", "coordinator", "blob-store", "aggregator", "trainer");
  for (const OrderedJson& row : json["grid"]) {
    const OrderedJson& peaks = row["peak_rss_bytes"];
    text += fmt::format("  {:>10} {:>9} {:>9.1f} {:>12} {:>11} {:>11} {:>8}\n", FormatBytes(row["bytes"]), row["trainers"].get<std::uint64_t>(),
                        row["seconds"].get<double>(), mib(peaks["coordinator"]), mib(peaks["blob-store"]), mib(peaks["aggregator"]),
                        mib(peaks["trainer"]));
  }
  for (const auto& [service, spread] : json["spread"].items()) {
    text += fmt::format("  {}: spread {} MiB, {} (5 % + 4 MiB: {} MiB)\n", service, mib(spread["bytes"]), spread["flat"] ? "flat" : "not flat",
                        mib(spread["allowed_bytes"]));
  }
  return text;
}

std::string ChartOf(const OrderedJson& json) {
  std::vector<chart::BarPanel> panels;
  if (json.contains("modes")) {
    for (const auto& [mode, run] : json["modes"].items()) {
      chart::BarPanel panel{fmt::format("{}: peak memory by owner (budget {} each)", mode, FormatBytes(run["memory_budget_bytes"])),
                     "MiB", {}, {{"pool", {}}, {"ZeroMQ", {}}, {"torch", {}}, {"other", {}}}, true};
      for (const auto& [instance, p] : run["processes"].items()) {
        panel.categories.push_back(instance);
        const char* const keys[] = {"pool_bytes", "zeromq_bytes", "torch_bytes", "other_bytes"};
        for (std::size_t i = 0; i < std::size(keys); ++i) panel.series[i].values.push_back(Mebibytes(p[keys[i]].get<double>()));
      }
      panels.push_back(std::move(panel));
    }
  }
  if (json.contains("grid")) {
    chart::BarPanel panel{"Streamed, one round: greatest peak of each service", "MiB", {}, {}, false};
    for (const char* service : {"coordinator", "blob-store", "aggregator", "trainer"}) panel.series.push_back({service, {}});
    for (const OrderedJson& row : json["grid"]) {
      panel.categories.push_back(fmt::format("{} x {}", FormatBytes(row["bytes"]), row["trainers"].get<std::uint64_t>()));
      for (chart::BarSeries& series : panel.series) series.values.push_back(Mebibytes(row["peak_rss_bytes"][series.name].get<double>()));
    }
    panels.push_back(std::move(panel));
  }
  return chart::BarChart("Where the memory went", panels);
}

// "0.5x2,4x8": GiB x trainers.
Result<std::vector<Size>> ParseGrid(const std::vector<std::string>& words) {
  std::vector<Size> grid;
  for (const std::string& word : words) {
    for (std::size_t at = 0; at <= word.size();) {
      const std::size_t end = std::min(word.find(',', at), word.size());
      const std::string item = word.substr(at, end - at);
      at = end + 1;
      char* rest = nullptr;
      const double gib = std::strtod(item.c_str(), &rest);
      char* last = nullptr;
      const unsigned long trainers = *rest == 'x' ? std::strtoul(rest + 1, &last, 10) : 0;
      if (!(gib >= 0.0625) || gib > 1024 || trainers < 1 || trainers > 256 || *last != '\0') {
        return MakeError(Code::kInvalidArgument, "--grid '{}': expected GiB x trainers, as in 0.5x2,4x8 (at least 0.0625)", item);
      }
      grid.push_back({static_cast<std::uint64_t>(std::llround(gib * 16)) * 64_MiB, trainers});
    }
  }
  return grid;
}

Result<OrderedJson> Measure(const Plan& plan, const std::string& scratch_parent, std::vector<std::string>* exceeded) {
  TRIBUTARY_ASSIGN(const Scratch scratch, Scratch::Make(scratch_parent));
  OrderedJson json;
  json["bytes"] = plan.size.bytes;
  json["trainers"] = plan.size.trainers;
  json["memory_budget_bytes"] = plan.memory_budget;
  if (plan.grid.empty()) {
    TRIBUTARY_TRY(MeasureModes(scratch, plan, json, exceeded));
  } else {
    TRIBUTARY_TRY(MeasureGrid(scratch, plan, json, exceeded));
  }
  json["exceeded"] = *exceeded;
  return json;
}

}  // namespace

int BenchMemoryCommand(int argc, char** argv) {
  config::Options options(kProgram, "tells where the memory of each process went, with streaming and without, and asserts its ceilings");
  options.Group("The job");
  options.AddBytes("bytes", 256_MiB, "of the model", 1_MiB, tensor::kMaxMessageBytes);
  options.AddUint("trainers", 2, "trainers", 1, 64);
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "of each service where it streams", config::kMinMemoryBudget, config::kMaxMemoryBudget);
  options.AddBytes("ceiling", 128_MiB, "of each process that streams with a budget of at most 64MiB; others have base + budget + 64MiB", 1_MiB);
  options.AddBool("real-model", true, "train a small real model, too, where libtorch is there");
  options.AddStrings("grid", "GiBxTRAINERS, as in 0.5x2,0.5x32,4x8: instead, stream one round of each and tell whether peaks stay flat");
  options.Group("Result");
  options.AddString("json", "", "file for the result as JSON");
  options.AddString("plot", "", "file for the result as a plot (SVG)");
  options.AddString("scratch", "", "an existing directory for scratch files (default: the system's for temporary files)");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto grid = ParseGrid(options.Strings("grid"));
  if (!grid.ok()) return FailBench(kProgram, grid.error());
  const Plan plan{{options.Bytes("bytes") / 4096 * 4096, options.Uint("trainers")}, options.Bytes("memory-budget"),
                  options.Bytes("ceiling"), options.Flag("real-model"), *grid};
  std::vector<std::string> exceeded;
  const auto json = Measure(plan, options.String("scratch"), &exceeded);
  if (!json.ok()) return FailBench(kProgram, json.error());
  if (!options.String("plot").empty()) {
    if (const Status written = chart::WriteChart(options.String("plot"), ChartOf(*json)); !written.ok()) return FailBench(kProgram, written.error());
  }
  if (const int code = Tell(kProgram, options, *json, TextOf(*json)); code != config::kExitDone) return code;
  std::fflush(stdout);
  for (const std::string& line : exceeded) fmt::print(stderr, "{}: {}\n", kProgram, line);
  return exceeded.empty() ? config::kExitDone : config::kExitFailed;
}

}  // namespace tributary::cli
