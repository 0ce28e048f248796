#include "services/cli/bench/transfer_client.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "services/cli/bench/bench.h"
#include "tributary/base/random.h"
#include "tributary/blob/through_file.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary::cli {
namespace {

constexpr std::uint64_t kSourceBytes = 8_MiB;

wire::ObjectSpec SpecOf(const TransferPlan& plan, tensor::Cut cut) {
  wire::ObjectSpec spec;
  const std::uint64_t elements = plan.bytes / sizeof(float);
  const std::uint64_t each = elements / plan.tensors;
  for (std::uint64_t i = 0; i < plan.tensors; ++i) {
    spec.tensors.push_back({fmt::format("tensor.{:04}", i), tensor::DType::kF32, {i + 1 == plan.tensors ? elements - each * i : each}});
  }
  spec.chunk_bytes = plan.chunk_bytes;
  spec.cut = cut;
  return spec;
}

// Bytes of no pattern, as weights are.
std::vector<std::byte> Source() {
  std::vector<std::byte> source(kSourceBytes);
  SplitMix64 random(1);
  for (std::size_t at = 0; at + 8 <= source.size(); at += 8) {
    const std::uint64_t value = random.Next() & 0x3FFFFFFF3FFFFFFFull;  // finite numbers of fp32
    std::memcpy(source.data() + at, &value, 8);
  }
  return source;
}

// The chunk's part of an endless row of sources, with the slot's number in front, so that no two are the same.
void Fill(std::span<std::byte> chunk, std::uint64_t offset, std::uint64_t slot, const std::vector<std::byte>& source) {
  for (std::size_t done = 0; done < chunk.size();) {
    const std::size_t from = (offset + done) % source.size();
    const std::size_t bytes = std::min(chunk.size() - done, source.size() - from);
    std::memcpy(chunk.data() + done, source.data() + from, bytes);
    done += bytes;
  }
  const auto number = static_cast<std::uint32_t>(slot);
  std::memcpy(chunk.data(), &number, sizeof number);
}

Result<double> Put(blob::BlobStore& store, const ObjectName& name, const wire::ObjectSpec& spec, const std::vector<std::byte>& source) {
  TRIBUTARY_TRY(store.Create(name, spec, true).status());
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const auto writer, store.Write({}));
  std::uint64_t offset = 0;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    const std::uint64_t bytes = layout.SlotBytes(slot);
    TRIBUTARY_ASSIGN(auto buffer, writer->Allocate(bytes));
    Fill(buffer->payload(), offset, slot, source);
    offset += bytes;
    TRIBUTARY_TRY(writer->Put(name, slot, std::move(buffer)));
  }
  TRIBUTARY_TRY(writer->Flush());
  return time.Seconds();
}

Result<double> Get(blob::BlobStore& store, const ObjectName& name, const wire::ObjectSpec& spec) {
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  const Stopwatch time;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(name, layout.all_slots()), {}));
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    std::uint32_t number = 0;
    if (chunk && chunk->bytes.size() == layout.SlotBytes(slot)) std::memcpy(&number, chunk->bytes.data(), sizeof number);
    if (!chunk || number != static_cast<std::uint32_t>(slot)) {
      return MakeError(Code::kDataLoss, "slot {} of {} came back with other bytes", slot, name.str());
    }
  }
  return time.Seconds();
}

}  // namespace

Result<TransferMode> ModeOf(const std::string& name, const TransferPlan& plan) {
  TransferMode mode;
  mode.name = name;
  mode.cut = name == "container" ? tensor::Cut::kTensors : name == "regular" ? tensor::Cut::kSections : tensor::Cut::kChunks;
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(SpecOf(plan, mode.cut)));
  mode.largest_message = tensor::LargestSlotBytes(layout);
  mode.memory_budget = plan.memory_budget;
  mode.max_message = wire::kMaxPayload;
  if (mode.cut != tensor::Cut::kChunks) {
    mode.memory_budget = std::max(plan.memory_budget, 2 * mode.largest_message + 1_MiB);
    mode.max_message = std::max<std::uint64_t>(mode.largest_message, wire::kMaxPayload + 1_MiB);
  }
  return mode;
}

Result<Json> RunTransferClient(const std::string& endpoint, const TransferPlan& plan, const TransferMode& mode, const std::string& directory,
                               const Forked::Tell& tell) {
  memory::TuneMalloc(mode.memory_budget);
  const std::vector<std::byte> source = Source();
  const wire::ObjectSpec spec = SpecOf(plan, mode.cut);
  memory::Pool pool(mode.memory_budget);
  blob_client::RemoteOptions options;
  options.endpoints = {endpoint};
  options.instance = "bench";
  options.max_message = mode.max_message;
  auto context = std::make_shared<transport::Context>(1, plan.keys ? std::optional(plan.keys->client) : std::nullopt);
  TRIBUTARY_ASSIGN(auto remote, blob_client::ConnectStore(std::move(context), pool, options));
  std::shared_ptr<blob::BlobStore> store = std::move(remote);
  if (mode.name == "file") store = blob::ThroughFile(std::move(store), pool, {directory, nullptr});
  const auto name = ObjectName::Trusted("bench/object");
  // The object of the repeat before: gone now and not earlier, so that the pages which held it are used again, as in a job of many rounds.
  TRIBUTARY_TRY(store->Remove(name));
  TRIBUTARY_ASSIGN(const double begun, memory::ReadCpuSeconds());
  TRIBUTARY_ASSIGN(const double put, Put(*store, name, spec, source));
  const Stopwatch sealing;
  TRIBUTARY_TRY(store->Seal(name, 0, true).status());
  const double seal = sealing.Seconds();
  TRIBUTARY_ASSIGN(const double sealed, memory::ReadCpuSeconds());
  tell("sealed");
  TRIBUTARY_ASSIGN(const double get, Get(*store, name, spec));
  TRIBUTARY_ASSIGN(const double ended, memory::ReadCpuSeconds());
  return Json{{"put", put}, {"seal", seal}, {"get", get}, {"put_cpu", sealed - begun}, {"get_cpu", ended - sealed}};
}

}  // namespace tributary::cli
