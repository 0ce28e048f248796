// `tributary bench transfer`: an object into a blob-store and out of it again, over TCP on this machine, against bare sockets.
//
// The store is the real process, the client a process of its own with the library that trainers use. put ends when the store has acknowledged
// every chunk (hashed and staged), get when the client has checked every chunk; the durable seal between them is told apart.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "services/cli/bench/bench.h"
#include "services/cli/bench/forked.h"
#include "services/cli/bench/pair.h"
#include "services/cli/commands.h"
#include "services/cli/process.h"
#include "tributary/base/random.h"
#include "tributary/blob/store.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/transport/curve.h"

namespace tributary::cli {
namespace {

constexpr char kProgram[] = "tributary bench transfer";
constexpr std::uint64_t kSourceBytes = 8_MiB;

struct Plan {
  std::uint64_t bytes;
  std::uint64_t chunk_bytes;
  std::uint64_t memory_budget;
  std::uint64_t repeats;
  std::optional<transport::CurveKeys> curve;  // the store's
  std::uint64_t chunks() const { return bytes / chunk_bytes; }
};

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

Result<std::uint16_t> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool ok = fd >= 0 && bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!ok) return ErrnoError(error, "looking for a free port");
  return ntohs(address.sin_port);
}

// The blob-store's own binary, killed when this goes.
class StoreProcess {
 public:
  static Result<StoreProcess> Start(const Scratch& scratch, const Plan& plan) {
    TRIBUTARY_ASSIGN(const std::string binaries, BinaryDirectory());
    TRIBUTARY_ASSIGN(const std::uint16_t port, FreePort());
    const std::string endpoint = fmt::format("tcp://127.0.0.1:{}", port);
    ProcessSpec spec;
    spec.binary = binaries + "/tributary-blob-store";
    spec.arguments = {"--listen", endpoint, "--data-dir", scratch.File("store"), "--metrics-address", "off",
                      "--memory-budget", std::to_string(plan.memory_budget), "--log-level", "warning"};
    if (plan.curve) {
      TRIBUTARY_TRY(transport::WriteCurveKeys(scratch.File("store.key"), *plan.curve));
      spec.arguments.insert(spec.arguments.end(), {"--key", scratch.File("store.key")});
    }
    spec.log_path = scratch.File("store.log");
    TRIBUTARY_ASSIGN(const pid_t pid, Spawn(spec));
    return StoreProcess(pid, endpoint, spec.log_path);
  }
  StoreProcess(StoreProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), endpoint_(std::move(other.endpoint_)), log_(std::move(other.log_)) {}
  StoreProcess& operator=(StoreProcess&&) = delete;
  ~StoreProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  const std::string& endpoint() const { return endpoint_; }
  Result<std::uint64_t> Peak() const {
    const auto memory = memory::ReadProcessMemory(pid_);
    if (!memory.ok()) return MakeError(Code::kUnavailable, "the blob-store has ended: {}", TailOfFile(log_, 3));
    return memory->rss_peak;
  }
  Result<double> CpuSeconds() const { return memory::ReadCpuSeconds(pid_); }

 private:
  StoreProcess(pid_t pid, std::string endpoint, std::string log) : pid_(pid), endpoint_(std::move(endpoint)), log_(std::move(log)) {}
  pid_t pid_;
  std::string endpoint_;
  std::string log_;
};

wire::ObjectSpec SpecOf(const Plan& plan) {
  wire::ObjectSpec spec;
  spec.tensors = {{"tensor", tensor::DType::kF32, {plan.bytes / 4}}};
  spec.chunk_bytes = plan.chunk_bytes;
  return spec;
}

// Bytes of no pattern, as weights are; each chunk gets its number in front, so that no two are the same.
std::vector<std::byte> Source(std::uint64_t chunk_bytes) {
  std::vector<std::byte> source(std::max(kSourceBytes, chunk_bytes));
  SplitMix64 random(1);
  for (std::size_t at = 0; at + 8 <= source.size(); at += 8) {
    const std::uint64_t value = random.Next() & 0x3FFFFFFF3FFFFFFFull;  // finite numbers of fp32
    std::memcpy(source.data() + at, &value, 8);
  }
  return source;
}

Result<double> Put(blob::BlobStore& store, const ObjectName& name, const Plan& plan, const std::vector<std::byte>& source) {
  TRIBUTARY_TRY(store.Create(name, SpecOf(plan), true).status());
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const auto writer, store.Write({}));
  const std::uint64_t pieces = source.size() / plan.chunk_bytes;
  for (std::uint64_t slot = 0; slot < plan.chunks(); ++slot) {
    TRIBUTARY_ASSIGN(auto buffer, writer->Allocate(plan.chunk_bytes));
    std::memcpy(buffer->payload().data(), source.data() + slot % pieces * plan.chunk_bytes, plan.chunk_bytes);
    const auto number = static_cast<std::uint32_t>(slot);
    std::memcpy(buffer->payload().data(), &number, sizeof number);
    TRIBUTARY_TRY(writer->Put(name, slot, std::move(buffer)));
  }
  TRIBUTARY_TRY(writer->Flush());
  return time.Seconds();
}

Result<double> Get(blob::BlobStore& store, const ObjectName& name, const Plan& plan) {
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(name, {0, plan.chunks()}), {}));
  for (std::uint64_t slot = 0; slot < plan.chunks(); ++slot) {
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    std::uint32_t number = 0;
    if (chunk && chunk->bytes.size() == plan.chunk_bytes) std::memcpy(&number, chunk->bytes.data(), sizeof number);
    if (!chunk || number != static_cast<std::uint32_t>(slot)) {
      return MakeError(Code::kDataLoss, "slot {} of {} came back with other bytes", slot, name.str());
    }
  }
  return time.Seconds();
}

// In the client's process; tells when the object is sealed.
Result<Json> RunClient(const std::string& endpoint, const Plan& plan, const Forked::Tell& tell) {
  memory::TuneMalloc(plan.memory_budget);
  const std::vector<std::byte> source = Source(plan.chunk_bytes);
  memory::Pool pool(plan.memory_budget);
  blob_client::RemoteOptions options;
  options.endpoint = endpoint;
  options.instance = "bench";
  if (plan.curve) {
    TRIBUTARY_ASSIGN(const transport::CurveKeys own, transport::GenerateCurveKeys());
    options.curve = transport::CurveClient{own, plan.curve->public_key};
  }
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, options));
  const auto name = ObjectName::Trusted("bench/object");
  // The object of the repeat before: gone now and not earlier, so that the pages which held it are used again, as in a job of many rounds.
  TRIBUTARY_TRY(store->Remove(name));
  TRIBUTARY_ASSIGN(const double begun, memory::ReadCpuSeconds());
  TRIBUTARY_ASSIGN(const double put, Put(*store, name, plan, source));
  const Stopwatch sealing;
  TRIBUTARY_TRY(store->Seal(name, 0, true).status());
  const double seal = sealing.Seconds();
  TRIBUTARY_ASSIGN(const double sealed, memory::ReadCpuSeconds());
  tell("sealed");
  TRIBUTARY_ASSIGN(const double get, Get(*store, name, plan));
  TRIBUTARY_ASSIGN(const double ended, memory::ReadCpuSeconds());
  return Json{{"put", put}, {"seal", seal}, {"get", get}, {"put_cpu", sealed - begun}, {"get_cpu", ended - sealed}};
}

Result<ModeRun> RunStream(const StoreProcess& store, const Plan& plan) {
  TRIBUTARY_ASSIGN(const double cpu_begun, store.CpuSeconds());
  TRIBUTARY_ASSIGN(auto client, Forked::Start("client", [&](const Forked::Tell& tell) { return RunClient(store.endpoint(), plan, tell); }));
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

Result<OrderedJson> Measure(const Plan& plan, const std::string& scratch_parent) {
  TRIBUTARY_ASSIGN(const Scratch scratch, Scratch::Make(scratch_parent));
  TRIBUTARY_ASSIGN(const StoreProcess store, StoreProcess::Start(scratch, plan));
  const std::string anywhere = "tcp://127.0.0.1:*";
  transport::BarePair get_like;
  get_like.router_sends = true;
  get_like.messages = plan.chunks();
  get_like.message_bytes = plan.chunk_bytes;
  get_like.curve = plan.curve;
  transport::BarePair put_like = get_like;
  put_like.router_sends = false;
  std::vector<double> bare;
  std::vector<double> hashed;
  double bare_cpu = 1e9;
  double hashed_cpu = 1e9;
  std::vector<ModeRun> stream;
  for (std::uint64_t i = 0; i < plan.repeats; ++i) {
    TRIBUTARY_ASSIGN(const PairRun got, RunPair(anywhere, get_like, false));
    TRIBUTARY_ASSIGN(const PairRun put, RunPair(anywhere, put_like, true));
    TRIBUTARY_ASSIGN(ModeRun ours, RunStream(store, plan));
    bare_cpu = std::min(bare_cpu, got.cpu_seconds);
    hashed_cpu = std::min(hashed_cpu, put.cpu_seconds);
    bare.push_back(got.bytes_per_second);
    hashed.push_back(put.bytes_per_second);
    stream.push_back(std::move(ours));
  }
  OrderedJson json;
  json["bytes"] = plan.bytes;
  json["chunk_bytes"] = plan.chunk_bytes;
  json["curve"] = plan.curve.has_value();
  json["baseline"] = {{"bytes_per_second", Best(bare)},
                      {"hashed_bytes_per_second", Best(hashed)},
                      {"cpu_seconds", bare_cpu},
                      {"hashed_cpu_seconds", hashed_cpu},
                      {"repeats", {{"bytes_per_second", bare}, {"hashed_bytes_per_second", hashed}}}};
  json["modes"]["stream"] = ModeJson(stream);
  return json;
}

std::string TextOf(const OrderedJson& json) {
  const double bare = json["baseline"]["bytes_per_second"];
  const double hashed = json["baseline"]["hashed_bytes_per_second"];
  std::string text = fmt::format("{} in chunks of {}, over TCP{} on this machine\n", FormatBytes(json["bytes"]), FormatBytes(json["chunk_bytes"]),
                                 json["curve"].get<bool>() ? " and CURVE" : "");
  text += fmt::format("bare sockets: {} ({:.2f} CPU seconds); {} where the receiver computes SHA-256 ({:.2f})\n", FormatRate(bare),
                      json["baseline"]["cpu_seconds"].get<double>(), FormatRate(hashed), json["baseline"]["hashed_cpu_seconds"].get<double>());
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

}  // namespace

int BenchTransferCommand(int argc, char** argv) {
  config::Options options(kProgram, "moves an object into a blob-store and out of it again, and compares with bare sockets");
  options.Group("What is moved");
  options.AddBytes("bytes", 1_GiB, "of the object", 1_MiB, 1ull << 40);
  options.AddBytes("chunk-bytes", tensor::kDefaultChunkBytes, "of a chunk", tensor::kMinChunkBytes, tensor::kMaxChunkBytes);
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "of the blob-store and of the client", 16_MiB, config::kMaxMemoryBudget);
  options.AddBool("curve", false, "encrypt all connections with CURVE, those of the bare pair too");
  AddBenchOptions(options, 3);
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  Plan plan{options.Bytes("bytes"), options.Bytes("chunk-bytes") / 4096 * 4096, options.Bytes("memory-budget"), options.Uint("repeats"), {}};
  if (options.Flag("curve")) {
    auto keys = transport::GenerateCurveKeys();
    if (!keys.ok()) return FailBench(kProgram, keys.error());
    plan.curve = *std::move(keys);
  }
  if (plan.chunk_bytes > plan.bytes) plan.chunk_bytes = plan.bytes / 4096 * 4096;
  plan.bytes = plan.chunks() * plan.chunk_bytes;
  const auto json = Measure(plan, options.String("scratch"));
  if (!json.ok()) return FailBench(kProgram, json.error());
  return Tell(kProgram, options, *json, TextOf(*json));
}

}  // namespace tributary::cli
