// `tributary bench aggregate`: how fast the reducer of the service averages updates that are in memory.
//
// Held against the rate at which the same one thread reads the same memory and does nothing else with it, measured in turn with it.
// Every input byte is read from memory once by both; what the reducer writes (an accumulator of one chunk) stays in the
// processor's caches.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "services/cli/bench/bench.h"
#include "services/cli/commands.h"
#include "tributary/aggregate/reducer.h"
#include "tributary/base/random.h"
#include "tributary/config/options.h"
#include "tributary/encoding/encoding.h"
#include "tributary/tensor/dtype.h"
#include "tributary/tensor/layout.h"

namespace tributary::cli {
namespace {

constexpr char kProgram[] = "tributary bench aggregate";

struct Plan {
  std::uint64_t clients;
  std::uint64_t bytes;  // of each client
  std::uint64_t chunk_bytes;
  tensor::DType dtype;
  tensor::Encoding encoding;
  std::uint64_t repeats;
  std::string dtype_name;
  std::string encoding_name;

  std::uint64_t slot_elements() const { return chunk_bytes / tensor::ElementBytes(dtype); }
  std::uint64_t slot_bytes() const { return encoding::EncodedBytes(dtype, encoding, slot_elements()); }
  std::uint64_t slots() const { return bytes / slot_bytes(); }
};

// Pages of its own, present before time counts; huge ones where the system gives them, for both sides of the comparison.
class Memory {
 public:
  static Result<Memory> Map(std::uint64_t bytes) {
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return ErrnoError(errno, "memory for " + FormatBytes(bytes));
    madvise(base, bytes, MADV_HUGEPAGE);
    return Memory(static_cast<std::byte*>(base), bytes);
  }
  Memory(Memory&& other) noexcept : base_(std::exchange(other.base_, nullptr)), bytes_(other.bytes_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory() {
    if (base_ != nullptr) munmap(base_, bytes_);
  }
  std::span<std::byte> bytes() const { return {base_, bytes_}; }

 private:
  Memory(std::byte* base, std::uint64_t bytes) : base_(base), bytes_(bytes) {}
  std::byte* base_;
  std::uint64_t bytes_;
};

// Numbers between -1 and 1, the same in all slots: speed does not depend on the values, setting up does.
Status Fill(const Plan& plan, std::uint64_t seed, std::span<std::byte> out) {
  SplitMix64 random(seed);
  std::vector<float> values(plan.slot_elements());
  for (float& value : values) value = static_cast<float>(2 * random.NextUnit() - 1);
  const std::span<std::byte> first = out.first(plan.slot_bytes());
  if (plan.encoding != tensor::Encoding::kNative) {
    TRIBUTARY_TRY(encoding::EncodePart(plan.encoding, values, 0, values.size(), first));
  } else if (plan.dtype == tensor::DType::kF32) {
    std::memcpy(first.data(), values.data(), first.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint16_t half = plan.dtype == tensor::DType::kF16 ? tensor::FloatToF16(values[i]) : tensor::FloatToBF16(values[i]);
      std::memcpy(first.data() + 2 * i, &half, sizeof half);
    }
  }
  for (std::uint64_t slot = 1; slot < plan.slots(); ++slot) {
    std::memcpy(out.data() + slot * first.size(), first.data(), first.size());
  }
  return Ok();
}

// Reads every byte and does as little as can be with it.
[[gnu::always_inline]] inline std::uint64_t ReadBody(const std::byte* bytes, std::size_t size) {
  typedef std::uint64_t Vector __attribute__((vector_size(64), aligned(64)));
  const auto* from = reinterpret_cast<const Vector*>(bytes);
  const std::size_t count = size / sizeof(Vector);
  Vector a{}, b{}, c{}, d{};
  for (std::size_t i = 0; i + 4 <= count; i += 4) {
    a ^= from[i];
    b ^= from[i + 1];
    c ^= from[i + 2];
    d ^= from[i + 3];
  }
  a ^= b ^ c ^ d;
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < 8; ++i) all ^= a[i];
  return all;
}

// With the widest vectors that the processor has. Chosen here and not by the loader, which the thread sanitizer does not survive.
[[gnu::noinline]] std::uint64_t ReadPlain(const std::byte* bytes, std::size_t size) { return ReadBody(bytes, size); }
#if defined(__x86_64__)
[[gnu::noinline, gnu::target("avx2")]] std::uint64_t ReadAvx2(const std::byte* bytes, std::size_t size) { return ReadBody(bytes, size); }
[[gnu::noinline, gnu::target("avx512f")]] std::uint64_t ReadAvx512(const std::byte* bytes, std::size_t size) { return ReadBody(bytes, size); }
#endif
std::uint64_t ReadThrough(const std::byte* bytes, std::size_t size) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return ReadAvx512(bytes, size);
  if (__builtin_cpu_supports("avx2")) return ReadAvx2(bytes, size);
#endif
  return ReadPlain(bytes, size);
}

// Slot after slot, each over all clients, as the aggregator does.
Status Reduce(const Plan& plan, const std::vector<Memory>& clients, const std::vector<float>& weights, std::span<std::byte> accumulator,
              std::uint64_t* sink) {
  aggregate::Reducer reducer(accumulator);
  std::vector<aggregate::Summand> summands;
  const std::size_t group = aggregate::GroupSize(plan.chunk_bytes);
  for (std::uint64_t slot = 0; slot < plan.slots(); ++slot) {
    TRIBUTARY_TRY(reducer.Begin(plan.dtype, plan.slot_elements()));
    for (std::size_t i = 0; i < clients.size();) {
      summands.clear();
      for (; i < clients.size() && summands.size() < group; ++i) {
        summands.push_back({clients[i].bytes().subspan(slot * plan.slot_bytes(), plan.slot_bytes()), plan.encoding, weights[i]});
      }
      TRIBUTARY_TRY(reducer.Add(summands));
    }
    TRIBUTARY_ASSIGN(const auto mean, reducer.Finish());
    *sink ^= static_cast<std::uint64_t>(mean[0]);
  }
  return Ok();
}

Result<OrderedJson> Measure(const Plan& plan) {
  std::vector<Memory> clients;
  for (std::uint64_t i = 0; i < plan.clients; ++i) {
    TRIBUTARY_ASSIGN(auto memory, Memory::Map(plan.bytes));
    TRIBUTARY_TRY(Fill(plan, i + 1, memory.bytes()));
    clients.push_back(std::move(memory));
  }
  TRIBUTARY_ASSIGN(const auto accumulator, Memory::Map(aggregate::AccumulatorBytes(plan.dtype, plan.slot_elements())));
  std::memset(accumulator.bytes().data(), 0, accumulator.bytes().size());
  const std::vector<double> shares(plan.clients, 1.0 / static_cast<double>(plan.clients));
  TRIBUTARY_ASSIGN(const auto weights, aggregate::RoundedWeights(shares));

  const std::uint64_t all = plan.clients * plan.bytes;
  std::uint64_t sink = 0;
  std::vector<double> reading;
  std::vector<double> reducing;
  for (std::uint64_t i = 0; i < plan.repeats; ++i) {
    const Stopwatch read;
    for (const Memory& memory : clients) sink ^= ReadThrough(memory.bytes().data(), plan.bytes);
    reading.push_back(PerSecond(all, read.Seconds()));
    const Stopwatch reduce;
    TRIBUTARY_TRY(Reduce(plan, clients, weights, accumulator.bytes(), &sink));
    reducing.push_back(PerSecond(all, reduce.Seconds()));
  }
  // The sums are used, so no compiler may leave the work out.
  if (sink == 1) fmt::print(stderr, " ");

  OrderedJson json;
  json["clients"] = plan.clients;
  json["bytes"] = plan.bytes;
  json["dtype"] = plan.dtype_name;
  json["encoding"] = plan.encoding_name;
  json["chunk_bytes"] = plan.chunk_bytes;
  json["seconds"] = static_cast<double>(all) / Best(reducing);
  json["bytes_per_second"] = Best(reducing);
  json["read_bytes_per_second"] = Best(reading);
  json["ratio"] = Best(reducing) / Best(reading);
  json["repeats"] = {{"bytes_per_second", reducing}, {"read_bytes_per_second", reading}};
  return json;
}

}  // namespace

int BenchAggregateCommand(int argc, char** argv) {
  config::Options options(kProgram, "averages updates that are in memory, through the reducer of the aggregator, on one thread");
  options.Group("What is averaged");
  options.AddUint("clients", 4, "updates", 1, 64);
  options.AddBytes("bytes", 500'000'000, "of each update; all of them are held in memory", 4096, 1u << 30);
  options.AddChoice("dtype", "f32", {"f32", "f16", "bf16"}, "of the model");
  options.AddChoice("encoding", "native", {"native", "fp16", "bf16", "int8", "nf4"}, "of the updates of an f32 model");
  options.AddBytes("chunk-bytes", tensor::kDefaultChunkBytes, "of a slot", tensor::kMinChunkBytes, tensor::kMaxChunkBytes);
  AddBenchOptions(options, 5);
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const std::string& dtype = options.String("dtype");
  const std::string& name = options.String("encoding");
  const auto encoding = tensor::ParseEncoding(name);
  if (!encoding.ok()) return FailBench(kProgram, encoding.error());
  Plan plan{options.Uint("clients"), options.Bytes("bytes"), options.Bytes("chunk-bytes") / 4096 * 4096,
            dtype == "f16" ? tensor::DType::kF16 : dtype == "bf16" ? tensor::DType::kBF16 : tensor::DType::kF32,
            *encoding, options.Uint("repeats"), dtype, name};
  if (name != "native" && dtype != "f32") {
    return FailBench(kProgram, MakeError(Code::kInvalidArgument, "--encoding {} is measured of f32 models: leave --dtype {} out", name, dtype));
  }
  if (plan.slots() == 0) plan.chunk_bytes = 4096;
  plan.bytes = plan.slots() * plan.slot_bytes();
  const auto json = Measure(plan);
  if (!json.ok()) return FailBench(kProgram, json.error());
  const std::string form = name == "native" ? dtype : name + " of " + dtype;
  const std::string text = fmt::format("{} updates of {} {}, slots of {}: {} ({:.3f} s); this thread reads memory at {}: {:.2f} of it\n",
                                       plan.clients, FormatBytes(plan.bytes), form, FormatBytes(plan.chunk_bytes),
                                       FormatRate((*json)["bytes_per_second"]), (*json)["seconds"].get<double>(),
                                       FormatRate((*json)["read_bytes_per_second"]), (*json)["ratio"].get<double>());
  return Tell(kProgram, options, *json, text);
}

}  // namespace tributary::cli
