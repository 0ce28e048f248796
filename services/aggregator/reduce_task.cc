#include "services/aggregator/reduce_task.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tributary/aggregate/reducer.h"
#include "tributary/encoding/encoding.h"

namespace tributary::aggregator {
namespace {

// For a slot of an update that is on its way: as good as for ever. The coordinator knows who makes no progress, and takes the task back.
constexpr Duration kUpdateWait{std::chrono::hours(24 * 365)};

// What is read of each slot, in order. Of deltas the base comes first, with weight 1 (docs/encodings.md).
struct Inputs {
  std::vector<ObjectName> names;
  std::vector<tensor::Encoding> encodings;
  std::vector<float> weights;
};

// The digest of the model that this round's updates must be made from.
Result<std::string> BaseDigest(blob::BlobStore& store, const ObjectName& base, const std::string& told) {
  TRIBUTARY_ASSIGN(const auto info, store.Stat(base));
  if (!info.sealed) return MakeError(Code::kUnavailable, "{} is not sealed: a round begins from sealed models only", base.str());
  if (!told.empty() && info.digest != told) {
    return MakeError(Code::kConflict, "{} has digest {}, the coordinator means {}: the blob-store is another one's", base.str(),
                     info.digest, told);
  }
  return info.digest;
}

// The digest of what trainers had: the base itself, or its broadcast.
const std::string& TrainedFrom(const wire::TaskSpec& task, const std::string& base_digest) {
  return task.trained_from.empty() ? base_digest : task.trained_from;
}

const char* Holds(bool delta) { return delta ? "differences" : "weights"; }

// An update that may not be averaged is named, so that the round can go on without it.
Status CheckUpdate(blob::BlobStore& store, const wire::ObjectSpec& spec, const wire::Input& input, const wire::TaskSpec& task,
                   const wire::ObjectSpec& base, const std::string& base_digest, const UpdateForm& form) {
  if (spec.tensors != base.tensors || spec.chunk_bytes != base.chunk_bytes || spec.cut != base.cut) {
    return MakeError(Code::kInvalidArgument, "update {} has another layout than the model {}: its trainer ran another job", input.object, task.base);
  }
  // Held against the job and not against each other: else one that lies could have the honest ones left out.
  if (spec.encoding != form.encoding || spec.delta != form.delta) {
    return MakeError(Code::kInvalidArgument, "update {} holds {} as {}, the job's updates hold {} as {}: its trainer ran another job", input.object,
                     Holds(spec.delta), tensor::EncodingName(spec.encoding), Holds(form.delta), tensor::EncodingName(form.encoding));
  }
  // Of one that is still on its way the trainer has not told a digest: its slots change no more once they are there, and the
  // seal looks at the whole.
  if (!input.digest.empty()) {
    TRIBUTARY_TRY(CheckSealed(store, input, form.max_norm));
  } else if (spec.kind != wire::ObjectKind::kUpdate) {
    return MakeError(Code::kInvalidArgument, "update {} was not made as one: its slots could change after they were averaged", input.object);
  }
  if (spec.base_digest != base_digest) {
    return MakeError(Code::kInvalidArgument, "update {} was made from a model of digest '{:.64}', this round's is {}", input.object,
                     spec.base_digest, base_digest);
  }
  return Ok();
}

Result<Inputs> CheckInputs(blob::BlobStore& store, const wire::TaskSpec& task, const wire::ObjectSpec& base, const std::string& base_digest,
                           const UpdateForm& form) {
  Inputs inputs;
  std::vector<double> shares;
  for (const auto& input : task.inputs) {
    TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(input.object));
    TRIBUTARY_ASSIGN(const auto spec, store.Spec(name));
    TRIBUTARY_TRY(CheckUpdate(store, spec, input, task, base, base_digest, form));
    inputs.names.push_back(name);
    inputs.encodings.push_back(spec.encoding);
    shares.push_back(input.weight);
  }
  TRIBUTARY_ASSIGN(inputs.weights, aggregate::RoundedWeights(shares));
  if (form.delta) {
    TRIBUTARY_ASSIGN(const auto base_name, ObjectName::Parse(task.base));
    inputs.names.insert(inputs.names.begin(), base_name);
    inputs.encodings.insert(inputs.encodings.begin(), tensor::Encoding::kNative);
    inputs.weights.insert(inputs.weights.begin(), 1.0f);
  }
  return inputs;
}

// Slot by slot, each over all inputs in their order.
blob::ChunkSequence SlotMajor(std::vector<tensor::SlotRange> ranges, std::vector<ObjectName> inputs) {
  return [ranges = std::move(ranges), inputs = std::move(inputs), range = std::size_t{0}, slot = std::uint64_t{0},
          input = std::size_t{0}, fresh = true]() mutable -> std::optional<blob::ChunkRef> {
    if (range == ranges.size()) return std::nullopt;
    if (std::exchange(fresh, false)) slot = ranges[range].begin;
    blob::ChunkRef ref{inputs[input], slot};
    if (++input == inputs.size()) {
      input = 0;
      if (++slot == ranges[range].end) {
        ++range;
        fresh = true;
      }
    }
    return ref;
  };
}

// Adds the chunks of one slot, a few at a time: each group is let go before the next is waited for.
Status AddInputs(blob::ChunkReader& reader, const Inputs& inputs, bool delta, const tensor::SlotPlace& place, std::uint64_t slot,
                 aggregate::Reducer& reducer, std::uint64_t& bytes_in) {
  const std::size_t group = aggregate::GroupSize(place.elements * tensor::ElementBytes(place.dtype));
  // Sections that travel native hold the weights themselves, and need no base.
  const bool base_of_native =
      delta && encoding::EffectiveEncoding(place.dtype, inputs.encodings.back()) == tensor::Encoding::kNative;
  std::vector<blob::Chunk> chunks;
  std::vector<aggregate::Summand> summands;
  for (std::size_t i = 0; i < inputs.names.size();) {
    summands.clear();
    chunks.clear();
    const std::size_t begin = i;
    for (; i < inputs.names.size() && chunks.size() < group; ++i) {
      TRIBUTARY_ASSIGN(auto chunk, reader.Next());
      if (!chunk || chunk->object != inputs.names[i] || chunk->slot != slot) {
        return MakeError(Code::kInternal, "the reader left its order at slot {} of {}", slot, inputs.names[i].str());
      }
      bytes_in += chunk->bytes.size();
      const bool unused = i == 0 && base_of_native;
      summands.push_back({unused ? std::span<const std::byte>() : chunk->bytes, inputs.encodings[i], inputs.weights[i]});
      chunks.push_back(*std::move(chunk));
    }
    const std::size_t skipped = begin == 0 && base_of_native ? 1 : 0;
    std::size_t culprit = 0;
    if (auto added = reducer.Add(std::span(summands).subspan(skipped), &culprit); !added.ok()) {
      return added.error().Wrap(fmt::format("slot {} of {}", slot, inputs.names[begin + skipped + culprit].str()));
    }
  }
  return Ok();
}

}  // namespace

Status CheckSealed(blob::BlobStore& store, const wire::Input& input, double max_norm) {
  TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(input.object));
  TRIBUTARY_ASSIGN(const auto info, store.Stat(name));
  if (!info.sealed) {
    return MakeError(Code::kInvalidArgument, "update {} is not sealed: it could change after it was averaged", input.object);
  }
  if (info.digest != input.digest) {
    return MakeError(Code::kInvalidArgument, "update {} has digest {}, its trainer reported {}: somebody else wrote it",
                     input.object, info.digest, input.digest);
  }
  if (max_norm > 0 && !(info.norm <= max_norm)) {
    return MakeError(Code::kInvalidArgument, "update {} has the norm {:.6g}, more than strategy.max_norm ({:.6g}); did its training diverge?",
                     input.object, info.norm, max_norm);
  }
  return Ok();
}

Status CheckUpdates(blob::BlobStore& store, const wire::TaskSpec& task, const UpdateForm& form) {
  TRIBUTARY_ASSIGN(const auto base, ObjectName::Parse(task.base));
  TRIBUTARY_ASSIGN(const std::string base_digest, BaseDigest(store, base, task.base_digest));
  TRIBUTARY_ASSIGN(const auto spec, store.Spec(base));
  return CheckInputs(store, task, spec, TrainedFrom(task, base_digest), form).status();
}

namespace {

// The model that comes out, and its broadcast if there is one.
struct Outputs {
  ObjectName model;
  std::optional<ObjectName> broadcast;
};

Result<Outputs> CreateOutputs(blob::BlobStore& store, const wire::TaskSpec& task, wire::ObjectSpec base, const UpdateForm& form, bool& sealed) {
  wire::ObjectSpec result;
  result.kind = wire::ObjectKind::kModel;
  result.tensors = std::move(base.tensors);
  result.chunk_bytes = base.chunk_bytes;
  result.cut = base.cut;
  result.info = std::move(base.info);
  result.repetitive = base.repetitive;
  Outputs outputs;
  TRIBUTARY_ASSIGN(outputs.model, ObjectName::Parse(task.output));
  TRIBUTARY_ASSIGN(const auto created, store.Create(outputs.model, result, false));
  sealed = created.sealed;
  if (task.broadcast.empty()) return outputs;
  TRIBUTARY_ASSIGN(outputs.broadcast, ObjectName::Parse(task.broadcast));
  TRIBUTARY_TRY(store.Create(*outputs.broadcast, broadcast::SpecOf(result, form.broadcast), false).status());
  return outputs;
}

// Averages the missing slots of a range, in order, and puts them and their encoded form.
class RangeReducer {
 public:
  RangeReducer(const tensor::Layout& layout, const Inputs& inputs, bool delta, const Outputs& outputs, broadcast::Encoder& encoder)
      : layout_(layout), inputs_(inputs), delta_(delta), outputs_(outputs), encoder_(encoder) {}

  Status Slot(std::uint64_t slot, blob::ChunkReader& reader, blob::ChunkWriter& writer) {
    const auto place = layout_.Place(slot);
    TRIBUTARY_ASSIGN(auto buffer, writer.Allocate(aggregate::AccumulatorBytes(place.dtype, place.elements)));
    aggregate::Reducer reducer(buffer->payload());
    TRIBUTARY_TRY(reducer.Begin(place.dtype, place.elements));
    TRIBUTARY_TRY(AddInputs(reader, inputs_, delta_, place, slot, reducer, bytes_in_));
    TRIBUTARY_ASSIGN(const auto mean, reducer.Finish());
    buffer->Truncate(mean.size());
    memory::BufferPtr encoded;
    if (outputs_.broadcast) {
      TRIBUTARY_ASSIGN(encoded, writer.Allocate(encoder_.ChunkBytes(place)));
      TRIBUTARY_TRY(encoder_.Encode(place, mean, encoded->payload()));
    }
    bytes_out_ += mean.size();
    TRIBUTARY_TRY(writer.Put(outputs_.model, slot, std::move(buffer)));
    if (!encoded) return Ok();
    bytes_out_ += encoded->payload().size();
    return writer.Put(*outputs_.broadcast, slot, std::move(encoded));
  }
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  const tensor::Layout& layout_;
  const Inputs& inputs_;
  const bool delta_;
  const Outputs& outputs_;
  broadcast::Encoder& encoder_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
};

}  // namespace

Result<broadcast::Loss> Reduce(blob::BlobStore& store, const wire::TaskSpec& task, const UpdateForm& form, session::TaskProgress& progress,
                               std::stop_token stop) {
  TRIBUTARY_ASSIGN(const auto base, ObjectName::Parse(task.base));
  TRIBUTARY_ASSIGN(const std::string base_digest, BaseDigest(store, base, task.base_digest));
  TRIBUTARY_ASSIGN(auto spec, store.Spec(base));
  TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));
  const tensor::SlotRange range{task.first_slot, task.end_slot == 0 ? layout.slot_count() : task.end_slot};
  if (range.begin >= range.end || range.end > layout.slot_count()) {
    return MakeError(Code::kInvalidArgument, "slots {} to {} are asked of {}, which has {}", range.begin, range.end,
                     task.base, layout.slot_count());
  }
  TRIBUTARY_ASSIGN(const Inputs inputs, CheckInputs(store, task, spec, TrainedFrom(task, base_digest), form));
  bool sealed = false;
  TRIBUTARY_ASSIGN(const Outputs outputs, CreateOutputs(store, task, std::move(spec), form, sealed));
  progress.Phase("aggregate", range.size(), "slots");
  std::vector<tensor::SlotRange> missing;
  if (!sealed) {
    TRIBUTARY_ASSIGN(missing, store.Missing(outputs.model, range, task.generation));
  }
  std::uint64_t left = 0;
  for (const auto& part : missing) left += part.size();

  broadcast::Encoder encoder(form.broadcast);
  RangeReducer reducer(layout, inputs, form.delta, outputs, encoder);
  if (left > 0) {
    blob::ReadOptions reading;
    reading.stop = stop;
    reading.wait = kUpdateWait;
    blob::WriteOptions writing;
    writing.generation = task.generation;
    writing.stop = stop;
    TRIBUTARY_ASSIGN(const auto reader, store.Read(SlotMajor(missing, inputs.names), reading));
    TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
    for (const auto& part : missing) {
      for (std::uint64_t slot = part.begin; slot < part.end; ++slot) {
        if (stop.stop_requested()) return MakeError(Code::kCancelled, "aggregation was stopped");
        TRIBUTARY_TRY(reducer.Slot(slot, *reader, *writer));
        progress.Bytes(reducer.bytes_out(), reducer.bytes_in());
        progress.Done(range.size() - --left);
      }
    }
    TRIBUTARY_TRY(writer->Flush());
  }
  if (outputs.broadcast) {
    // A worker that was killed between a slot and its encoded form left the one without the other.
    std::uint64_t up = reducer.bytes_out(), down = reducer.bytes_in();
    TRIBUTARY_TRY(broadcast::Complete(store, outputs.model, *outputs.broadcast, layout, range, task.generation, encoder,
                                      [&](std::uint64_t written, std::uint64_t read) { progress.Bytes(up += written, down += read); }, stop));
  }
  progress.Done(range.size());
  return encoder.loss();
}

}  // namespace tributary::aggregator
