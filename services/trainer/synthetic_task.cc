#include "services/trainer/synthetic_task.h"

#include <cstring>
#include <type_traits>
#include <utility>

#include "services/trainer/update_encoder.h"

namespace tributary::trainer {
namespace {

using tensor::DType;

template <class T, class F>
void Map(std::span<const std::byte> in, std::span<std::byte> out, F f) {
  const std::size_t count = in.size() / sizeof(T);
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, in.data() + i * sizeof(T), sizeof(T));
    value = f(value);
    std::memcpy(out.data() + i * sizeof(T), &value, sizeof(T));
  }
}

template <class T>
void AddInteger(float constant, std::span<const std::byte> in, std::span<std::byte> out) {
  const auto step = static_cast<std::make_unsigned_t<T>>(static_cast<std::int64_t>(constant));
  Map<std::make_unsigned_t<T>>(in, out, [step](auto x) { return static_cast<decltype(x)>(x + step); });
}

}  // namespace

void AddConstant(DType dtype, float constant, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (dtype) {
    case DType::kF32: return Map<float>(in, out, [=](float x) { return x + constant; });
    case DType::kF64: return Map<double>(in, out, [=](double x) { return x + static_cast<double>(constant); });
    case DType::kF16:
      return Map<std::uint16_t>(in, out, [=](std::uint16_t x) { return tensor::FloatToF16(tensor::F16ToFloat(x) + constant); });
    case DType::kBF16:
      return Map<std::uint16_t>(in, out, [=](std::uint16_t x) { return tensor::FloatToBF16(tensor::BF16ToFloat(x) + constant); });
    case DType::kI64: return AddInteger<std::int64_t>(constant, in, out);
    case DType::kI32: return AddInteger<std::int32_t>(constant, in, out);
    case DType::kU8: return AddInteger<std::uint8_t>(constant, in, out);
    case DType::kBool: std::memcpy(out.data(), in.data(), in.size()); return;
  }
}

Result<session::TaskResult> TrainSynthetic(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, const Identity& identity,
                                           ByteCount& bytes) {
  const wire::TaskSpec& task = context.spec;
  TRIBUTARY_ASSIGN(const auto base, ObjectName::Parse(task.base));
  TRIBUTARY_ASSIGN(const auto output, ObjectName::Parse(task.output));
  TRIBUTARY_TRY(CheckBase(store, base, task.base_digest));
  TRIBUTARY_ASSIGN(auto spec, store.Spec(base));
  TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));

  wire::ObjectSpec update;
  update.kind = wire::ObjectKind::kUpdate;
  update.tensors = std::move(spec.tensors);
  update.chunk_bytes = spec.chunk_bytes;
  update.cut = spec.cut;
  update.sample_count = task.ordinal + std::uint64_t{1};
  update.base_digest = task.base_digest;
  // Equal chunks stay equal when each gets the same number added.
  update.repetitive = spec.repetitive;
  TRIBUTARY_ASSIGN(const auto encoder, UpdateEncoder::Open(layout, context, job, identity));
  encoder->Describe(update);
  TRIBUTARY_ASSIGN(const auto created, store.Create(output, update, /*replace=*/true));
  context.progress.Metric("samples", static_cast<double>(update.sample_count));  // the update is open: it may be averaged as it comes
  context.progress.Phase("train", encoder->TotalBytes(), "bytes");
  if (!created.sealed) {
    // A run that was killed left slots of the same bytes: only the others are made.
    std::vector<tensor::SlotRange> missing{layout.all_slots()};
    if (encoder->MayResume()) {
      TRIBUTARY_ASSIGN(missing, store.Missing(output, layout.all_slots(), 0));
    }
    blob::ReadOptions reading;
    reading.stop = context.stop;
    blob::WriteOptions writing;
    writing.stop = context.stop;
    if (job.transfer.deduplicate) writing.same_as = base;
    auto sequence = [missing, base, range = std::size_t{0}, at = std::uint64_t{0}]() mutable -> std::optional<blob::ChunkRef> {
      while (range < missing.size() && missing[range].begin + at == missing[range].end) {
        ++range;
        at = 0;
      }
      if (range == missing.size()) return std::nullopt;
      return blob::ChunkRef{base, missing[range].begin + at++};
    };
    TRIBUTARY_ASSIGN(const auto reader, store.Read(std::move(sequence), reading));
    TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
    const float constant = job::SyntheticConstant(job.train, task.ordinal);
    std::vector<std::byte> scratch;
    for (;;) {
      if (context.stop.stop_requested()) return MakeError(Code::kCancelled, "training was stopped");
      TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
      if (!chunk) break;
      const auto place = layout.Place(chunk->slot);
      TRIBUTARY_ASSIGN(const auto native_base, NativeOf(*chunk, place, spec.encoding, scratch));
      bytes.Down(chunk->bytes.size());
      const std::uint64_t size = encoder->ChunkBytes(chunk->slot);
      TRIBUTARY_ASSIGN(auto out, writer->Allocate(size));
      const auto trained = [&](std::uint64_t first, std::span<std::byte> native) {
        AddConstant(place.dtype, constant, native_base.subspan(first * tensor::ElementBytes(place.dtype), native.size()), native);
      };
      TRIBUTARY_TRY(encoder->Encode(chunk->slot, trained, native_base, out->payload()));
      TRIBUTARY_TRY(writer->Put(output, chunk->slot, std::move(out)));
      bytes.Up(size);
      context.progress.Done(bytes.up());
    }
    TRIBUTARY_TRY(writer->Flush());
    bytes.Deduplicated(writer->deduplicated());
    TRIBUTARY_TRY(encoder->Complete());
  }
  context.progress.Phase("seal", 0, "");
  session::TaskResult result;
  TRIBUTARY_ASSIGN(result.digest, store.Seal(output, 0, /*durable=*/false));
  result.slots = layout.slot_count();
  encoder->Sealed();
  encoder->AddMetrics(result.metrics);
  result.metrics["samples"] = static_cast<double>(update.sample_count);
  return result;
}

}  // namespace tributary::trainer
