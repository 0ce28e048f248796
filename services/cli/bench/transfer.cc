// `tributary bench transfer`: a set of tensors into a blob-store and out of it again, over TCP on this machine, in each transfer mode and
// against bare sockets.
//
// The store is the real process, the client a process of its own with the library that trainers use. put ends when the store has acknowledged
// every message (hashed and staged), get when the client has checked every one; the durable seal between them is told apart.
#include <unistd.h>

#include <map>
#include <optional>
#include <vector>

#include "services/cli/bench/bench.h"
#include "services/cli/bench/forked.h"
#include "services/cli/bench/pair.h"
#include "services/cli/bench/store_process.h"
#include "services/cli/bench/transfer_client.h"
#include "services/cli/commands.h"
#include "tributary/chart/bar_chart.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"

namespace tributary::cli {
namespace {

constexpr char kProgram[] = "tributary bench transfer";
// What is compared with first, as in the tables of others.
constexpr const char* kModes[] = {"stream", "regular", "container", "file"};

// What one mode needed for one object, there and back.
struct ModeRun {
  double put_bytes_per_second = 0;
  double get_bytes_per_second = 0;
  double seal_seconds = 0;
  double seconds = 0;
  std::map<std::string, std::uint64_t> peak_rss_bytes;  // by process
  std::map<std::string, double> put_cpu_seconds;  // the seal's included
  std::map<std::string, double> get_cpu_seconds;
};

struct ModeTest {
  TransferMode mode;
  StoreProcess store;
  std::vector<ModeRun> runs;
};

Result<ModeRun> RunMode(const ModeTest& test, const TransferPlan& plan, const std::string& directory) {
  const StoreProcess& store = test.store;
  TRIBUTARY_ASSIGN(const double cpu_begun, store.CpuSeconds());
  TRIBUTARY_ASSIGN(auto client, Forked::Start("client", [&](const Forked::Tell& tell) {
                     return RunTransferClient(store.endpoint(), plan, test.mode, directory, tell);
                   }));
  TRIBUTARY_TRY(client.Told().status());
  TRIBUTARY_ASSIGN(const double cpu_sealed, store.CpuSeconds());
  TRIBUTARY_ASSIGN(const ForkedOutcome outcome, client.Finish());
  TRIBUTARY_ASSIGN(const double cpu_ended, store.CpuSeconds());
  const auto told = [&](const char* key) { return GetNumber(outcome.value, key, "the client's result"); };
  TRIBUTARY_ASSIGN(const double put, told("put"));
  TRIBUTARY_ASSIGN(const double seal, told("seal"));
  TRIBUTARY_ASSIGN(const double get, told("get"));
  ModeRun run;
  run.put_bytes_per_second = PerSecond(plan.bytes, put);
  run.get_bytes_per_second = PerSecond(plan.bytes, get);
  run.seal_seconds = seal;
  run.seconds = put + seal + get;
  TRIBUTARY_ASSIGN(run.peak_rss_bytes["blob-store"], store.Peak());
  run.peak_rss_bytes["client"] = outcome.peak_rss_bytes;
  run.put_cpu_seconds["blob-store"] = cpu_sealed - cpu_begun;
  run.get_cpu_seconds["blob-store"] = cpu_ended - cpu_sealed;
  TRIBUTARY_ASSIGN(run.put_cpu_seconds["client"], told("put_cpu"));
  TRIBUTARY_ASSIGN(run.get_cpu_seconds["client"], told("get_cpu"));
  return run;
}

OrderedJson ModeJson(const std::vector<ModeRun>& runs) {
  const auto all = [&](double ModeRun::*rate) {
    std::vector<double> values;
    for (const ModeRun& run : runs) values.push_back(run.*rate);
    return values;
  };
  const auto least = [&](double ModeRun::*time) {
    const auto values = all(time);
    return *std::min_element(values.begin(), values.end());
  };
  OrderedJson json;
  json["put_bytes_per_second"] = Best(all(&ModeRun::put_bytes_per_second));
  json["get_bytes_per_second"] = Best(all(&ModeRun::get_bytes_per_second));
  json["seal_seconds"] = least(&ModeRun::seal_seconds);
  json["seconds"] = least(&ModeRun::seconds);
  // The peak of each process over all repeats: the store is one process throughout.
  std::map<std::string, std::uint64_t> peaks;
  std::map<std::string, double> put_cpu = runs.front().put_cpu_seconds;
  std::map<std::string, double> get_cpu = runs.front().get_cpu_seconds;
  for (const ModeRun& run : runs) {
    for (const auto& [process, bytes] : run.peak_rss_bytes) peaks[process] = std::max(peaks[process], bytes);
    for (const auto& [process, seconds] : run.put_cpu_seconds) put_cpu[process] = std::min(put_cpu[process], seconds);
    for (const auto& [process, seconds] : run.get_cpu_seconds) get_cpu[process] = std::min(get_cpu[process], seconds);
  }
  json["peak_rss_bytes"] = peaks;
  json["put_cpu_seconds"] = put_cpu;
  json["get_cpu_seconds"] = get_cpu;
  json["repeats"] = {{"put_bytes_per_second", all(&ModeRun::put_bytes_per_second)},
                     {"get_bytes_per_second", all(&ModeRun::get_bytes_per_second)}};
  return json;
}

Result<OrderedJson> Measure(const TransferPlan& plan, const std::vector<std::string>& modes, const std::string& scratch_parent) {
  TRIBUTARY_ASSIGN(const Scratch scratch, Scratch::Make(scratch_parent));
  OrderedJson json;
  json["bytes"] = plan.bytes;
  json["tensors"] = plan.tensors;
  json["chunk_bytes"] = plan.chunk_bytes;
  json["curve"] = plan.keys.has_value();
  json["baseline"];  // the order that people read
  json["modes"] = OrderedJson::object();
  std::vector<ModeTest> tests;
  OrderedJson left_out = OrderedJson::object();
  for (const std::string& name : modes) {
    const auto mode = ModeOf(name, plan);
    if (!mode.ok()) {
      left_out[name] = mode.error().message();
      continue;
    }
    TRIBUTARY_ASSIGN(auto store, StoreProcess::Start(scratch, name, mode->memory_budget, mode->max_message,
                                                      plan.keys ? std::optional(plan.keys->store) : std::nullopt));
    tests.push_back({*mode, std::move(store), {}});
  }
  if (tests.empty()) return MakeError(Code::kInvalidArgument, "{}: {}", left_out.begin().key(), left_out.begin()->get<std::string>());
  const std::string anywhere = "tcp://127.0.0.1:*";
  transport::BarePair get_like;
  get_like.router_sends = true;
  get_like.messages = plan.chunks();
  get_like.message_bytes = plan.chunk_bytes;
  if (plan.keys) get_like.curve = plan.keys->store.own;
  transport::BarePair put_like = get_like;
  put_like.router_sends = false;
  std::vector<double> bare;
  std::vector<double> hashed;
  double bare_cpu = 1e9;
  double hashed_cpu = 1e9;
  for (std::uint64_t i = 0; i < plan.repeats; ++i) {
    TRIBUTARY_ASSIGN(const PairRun got, RunPair(anywhere, get_like, false));
    TRIBUTARY_ASSIGN(const PairRun put, RunPair(anywhere, put_like, true));
    bare_cpu = std::min(bare_cpu, got.cpu_seconds);
    hashed_cpu = std::min(hashed_cpu, put.cpu_seconds);
    bare.push_back(got.bytes_per_second);
    hashed.push_back(put.bytes_per_second);
    for (ModeTest& test : tests) {
      auto run = RunMode(test, plan, scratch.File(""));
      if (!run.ok()) return run.error().Wrap("mode " + test.mode.name);
      test.runs.push_back(*std::move(run));
    }
  }
  json["baseline"] = {{"bytes_per_second", Best(bare)},
                      {"hashed_bytes_per_second", Best(hashed)},
                      {"cpu_seconds", bare_cpu},
                      {"hashed_cpu_seconds", hashed_cpu},
                      {"repeats", {{"bytes_per_second", bare}, {"hashed_bytes_per_second", hashed}}}};
  for (const ModeTest& test : tests) {
    OrderedJson mode = ModeJson(test.runs);
    mode["largest_message_bytes"] = test.mode.largest_message;
    mode["memory_budget_bytes"] = test.mode.memory_budget;
    json["modes"][test.mode.name] = std::move(mode);
  }
  if (!left_out.empty()) json["left_out"] = left_out;
  return json;
}

double MebibytesOf(const OrderedJson& json) { return json.get<double>() / (1 << 20); }

// Mode, time of the job, and the peak of each process: what the object-streaming example of others prints.
std::string TableOf(const OrderedJson& json) {
  std::string text = fmt::format("{:<10} {:>9} {:>14} {:>12} {:>12} {:>13} {:>13} {:>11} {:>11}\n", "mode", "job time", "peaks together",
                                 "blob-store", "client", "budget each", "message", "put", "get");
  for (const auto& [mode, run] : json["modes"].items()) {
    const double store = MebibytesOf(run["peak_rss_bytes"]["blob-store"]);
    const double client = MebibytesOf(run["peak_rss_bytes"]["client"]);
    text += fmt::format("{:<10} {:>7.2f} s {:>10.1f} MiB {:>8.1f} MiB {:>8.1f} MiB {:>13} {:>13} {:>11} {:>11}\n", mode,
                        run["seconds"].get<double>(), store + client, store, client, FormatBytes(run["memory_budget_bytes"]),
                        FormatBytes(run["largest_message_bytes"]), FormatRate(run["put_bytes_per_second"]), FormatRate(run["get_bytes_per_second"]));
  }
  if (json.contains("left_out")) {
    for (const auto& [mode, why] : json["left_out"].items()) text += fmt::format("{}: left out: {}\n", mode, why.get<std::string>());
  }
  return text;
}

std::string TextOf(const OrderedJson& json) {
  const double bare = json["baseline"]["bytes_per_second"];
  const double hashed = json["baseline"]["hashed_bytes_per_second"];
  std::string text = fmt::format("{} in {} tensors, in chunks of {}, over TCP{} on this machine\n", FormatBytes(json["bytes"]), json["tensors"].get<std::uint64_t>(),
                                 FormatBytes(json["chunk_bytes"]), json["curve"].get<bool>() ? " and CURVE" : "");
  text += fmt::format("bare sockets: {} ({:.2f} CPU seconds); {} where the receiver computes SHA-256 ({:.2f})\n", FormatRate(bare),
                      json["baseline"]["cpu_seconds"].get<double>(), FormatRate(hashed), json["baseline"]["hashed_cpu_seconds"].get<double>());
  text += TableOf(json);
  for (const auto& [mode, run] : json["modes"].items()) {
    const double get = run["get_bytes_per_second"];
    const double put = run["put_bytes_per_second"];
    text += fmt::format("{}: get {} ({:.2f} of bare), put {} ({:.2f} of bare with SHA-256), durable seal {:.2f} s\n", mode, FormatRate(get),
                        get / bare, FormatRate(put), put / hashed, run["seal_seconds"].get<double>());
    for (const auto& [process, bytes] : run["peak_rss_bytes"].items()) {
      text += fmt::format("  {}: peak memory {}, CPU seconds {:.2f} put, {:.2f} get\n", process, FormatBytes(bytes),
                          run["put_cpu_seconds"][process].get<double>(), run["get_cpu_seconds"][process].get<double>());
    }
  }
  return text;
}

std::string ChartOf(const OrderedJson& json) {
  chart::BarPanel memory{"Peak memory of each process", "MiB", {}, {{"blob-store", {}}, {"client", {}}}};
  chart::BarPanel time{"Job time: put, durable seal, get", "seconds", {}, {{"job time", {}}}};
  for (const auto& [mode, run] : json["modes"].items()) {
    memory.categories.push_back(mode);
    time.categories.push_back(mode);
    for (chart::BarSeries& series : memory.series) series.values.push_back(MebibytesOf(run["peak_rss_bytes"][series.name]));
    time.series[0].values.push_back(run["seconds"].get<double>());
  }
  return chart::BarChart(fmt::format("{} in {} tensors, by transfer mode", FormatBytes(json["bytes"]), json["tensors"].get<std::uint64_t>()), {memory, time});
}

Result<std::vector<std::string>> ModesOf(const std::vector<std::string>& given) {
  if (given.empty()) return std::vector<std::string>(std::begin(kModes), std::end(kModes));
  for (const std::string& mode : given) {
    if (std::ranges::find(kModes, mode) == std::end(kModes)) {
      return MakeError(Code::kInvalidArgument, "--mode '{}': expected stream, regular, container or file", mode);
    }
  }
  return given;
}

Result<TransferPlan::Keys> MakeKeys() {
  TransferPlan::Keys keys;
  TRIBUTARY_ASSIGN(keys.store.own, transport::GenerateCurveKeys());
  TRIBUTARY_ASSIGN(keys.client.own, transport::GenerateCurveKeys());
  TRIBUTARY_TRY(keys.store.peers.Add({transport::PeerRole::kBlobStore, "bench"}, keys.store.own.public_key));
  TRIBUTARY_TRY(keys.store.peers.Add({transport::PeerRole::kOperator, "bench"}, keys.client.own.public_key));
  keys.client.peers = keys.store.peers;
  return keys;
}

}  // namespace

int BenchTransferCommand(int argc, char** argv) {
  config::Options options(kProgram, "moves tensors into a blob-store and out of it again in each transfer mode, and compares with bare sockets");
  options.Group("What is moved");
  options.AddBytes("bytes", 1_GiB, "of all tensors", 1_MiB, 1ull << 40);
  options.AddUint("tensors", 16, "of equal size", 1, tensor::kMaxEntries);
  options.AddBytes("chunk-bytes", tensor::kDefaultChunkBytes, "of a chunk", tensor::kMinChunkBytes, tensor::kMaxChunkBytes);
  options.AddBool("curve", false, "encrypt all connections with CURVE, those of the bare pair too");
  options.AddStrings("mode", "stream, regular, container or file; may be repeated (default: all)");
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget,
                   "of the blob-store and of the client; for regular and container twice the largest message if that is more", 16_MiB,
                   config::kMaxMemoryBudget);
  AddBenchOptions(options, 3);
  options.AddString("plot", "", "file for the table as a plot (SVG)");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto modes = ModesOf(options.Strings("mode"));
  if (!modes.ok()) return FailBench(kProgram, modes.error());
  TransferPlan plan{options.Bytes("bytes"), options.Uint("tensors"), options.Bytes("chunk-bytes") / 4096 * 4096, options.Bytes("memory-budget"),
                    options.Uint("repeats")};
  if (options.Flag("curve")) {
    auto keys = MakeKeys();
    if (!keys.ok()) return FailBench(kProgram, keys.error());
    plan.keys = *std::move(keys);
  }
  if (plan.chunk_bytes > plan.bytes) plan.chunk_bytes = plan.bytes / 4096 * 4096;
  plan.bytes = plan.chunks() * plan.chunk_bytes;
  const auto json = Measure(plan, *modes, options.String("scratch"));
  if (!json.ok()) return FailBench(kProgram, json.error());
  if (!options.String("plot").empty()) {
    if (const Status written = chart::WriteChart(options.String("plot"), ChartOf(*json)); !written.ok()) return FailBench(kProgram, written.error());
  }
  return Tell(kProgram, options, *json, TextOf(*json));
}

}  // namespace tributary::cli
