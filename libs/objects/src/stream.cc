#include "tributary/objects/stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tributary/digest/digest.h"
#include "tributary/objects/manifest.h"
#include "tributary/wire/object.h"

namespace tributary::objects {
namespace {

constexpr Duration kChunkWait{60'000};

Error Stopped(const ObjectName& name) { return MakeError(Code::kCancelled, "the transfer of {} was stopped", name.str()); }

// Opens the object, or says why its name cannot be used.
Result<blob::CreateOutcome> Open(blob::BlobStore& store, const ObjectName& name, const wire::ObjectSpec& spec, bool replace, bool resume) {
  auto created = store.Create(name, spec, /*replace=*/false);
  const bool other = !created.ok() && created.error().code() == Code::kAlreadyExists;
  // To resume what is open is not to begin it anew.
  if (replace && (other || (created.ok() && created->existed && (created->sealed || !resume)))) {
    TRIBUTARY_TRY(store.Remove(name));
    created = store.Create(name, spec, /*replace=*/false);
  } else if (other) {
    return MakeError(Code::kAlreadyExists, "{} exists already and is another object; choose another name or replace it", name.str());
  }
  return created;
}

// Whether a slot of the sealed object is these bytes.
Result<bool> Same(Manifest& manifest, std::uint64_t slot, std::span<const std::byte> bytes) {
  TRIBUTARY_ASSIGN(const wire::SlotDigest sealed, manifest.Digest(slot));
  return sealed.sha256 == digest::ComputeSha256(bytes);
}

// The slots that are in none of `ranges`, which are in order.
std::vector<tensor::SlotRange> Between(const std::vector<tensor::SlotRange>& ranges, std::uint64_t slots) {
  std::vector<tensor::SlotRange> between;
  std::uint64_t at = 0;
  for (const tensor::SlotRange& range : ranges) {
    if (range.begin > at) between.push_back({at, range.begin});
    at = range.end;
  }
  if (at < slots) between.push_back({at, slots});
  return between;
}

Status Fill(Source& source, const tensor::Layout& layout, std::uint64_t slot, std::span<std::byte> out) {
  for (const tensor::SlotPiece& piece : layout.Pieces(slot)) {
    TRIBUTARY_TRY(source.Read(piece.tensor, piece.tensor_offset, out.subspan(piece.chunk_offset, piece.bytes)));
  }
  return Ok();
}

}  // namespace

tensor::TensorSpec ByteEntry(std::string name, std::uint64_t bytes) { return {std::move(name), tensor::DType::kU8, {bytes}}; }

Result<Outcome> Put(blob::BlobStore& store, const ObjectName& name, Source& source, const PutOptions& options) {
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kOther;
  spec.tensors = source.Entries();
  spec.chunk_bytes = options.chunk_bytes;
  spec.info = source.Info();
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  TRIBUTARY_ASSIGN(const blob::CreateOutcome created, Open(store, name, spec, options.replace, options.resume));

  std::vector<tensor::SlotRange> ranges{layout.all_slots()};
  std::vector<tensor::SlotRange> believed;
  if (options.resume && !created.sealed) {
    TRIBUTARY_ASSIGN(ranges, store.Missing(name, layout.all_slots(), 0));
    believed = Between(ranges, layout.slot_count());
  }
  Outcome outcome;
  outcome.bytes = layout.total_bytes();
  std::optional<Manifest> manifest;
  if (created.sealed) {
    TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store.Stat(name));
    TRIBUTARY_ASSIGN(manifest, Manifest::Read(store, name, info.digest));
  }
  blob::WriteOptions writing;
  writing.stop = options.stop;
  TRIBUTARY_ASSIGN(const auto writer, store.Write(writing));
  std::uint64_t left = 0;
  for (const tensor::SlotRange& range : ranges) {
    for (std::uint64_t slot = range.begin; slot < range.end; ++slot) left += layout.SlotBytes(slot);
  }
  for (const tensor::SlotRange& range : ranges) {
    for (std::uint64_t slot = range.begin; slot < range.end; ++slot) {
      if (options.stop.stop_requested()) return Stopped(name);
      const std::uint64_t bytes = layout.SlotBytes(slot);
      TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(bytes));
      TRIBUTARY_TRY(Fill(source, layout, slot, chunk->payload()));
      if (created.sealed) {
        TRIBUTARY_ASSIGN(const bool same, Same(*manifest, slot, chunk->payload()));
        if (!same) {
          return MakeError(Code::kAlreadyExists, "{} is sealed with other bytes, in slot {}; choose another name or replace it",
                           name.str(), slot);
        }
      } else {
        TRIBUTARY_TRY(writer->Put(name, slot, std::move(chunk)));
        outcome.bytes_moved += bytes;
      }
      left -= bytes;
      if (options.progress) options.progress(outcome.bytes - left, outcome.bytes);
    }
  }
  TRIBUTARY_TRY(writer->Flush());
  TRIBUTARY_ASSIGN(outcome.digest, store.Seal(name, 0, /*durable=*/true));
  // What an earlier put sent is what the source holds now? Only the manifest can tell.
  std::vector<std::byte> bytes;
  if (!believed.empty()) {
    TRIBUTARY_ASSIGN(manifest, Manifest::Read(store, name, outcome.digest));
  }
  for (const tensor::SlotRange& range : believed) {
    for (std::uint64_t slot = range.begin; slot < range.end; ++slot) {
      bytes.resize(layout.SlotBytes(slot));
      TRIBUTARY_TRY(Fill(source, layout, slot, bytes));
      TRIBUTARY_ASSIGN(const bool same, Same(*manifest, slot, bytes));
      if (same) continue;
      return MakeError(Code::kDataLoss, "{} changed after the put that was resumed: slot {} differs, and {} holds a mixture now; put it "
                       "again with replace", name.str(), slot, name.str());
    }
  }
  return outcome;
}

Result<Outcome> Get(blob::BlobStore& store, const ObjectName& name, Sink& sink, const GetOptions& options) {
  TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store.Stat(name));
  if (!info.sealed) {
    return MakeError(Code::kUnavailable, "{} is not sealed yet: {} of {} slots are there; wait for its put to end", name.str(),
                     info.slots_present, info.slots);
  }
  if (!options.digest.empty() && options.digest != info.digest) {
    return MakeError(Code::kDataLoss, "{} has the digest {}, not {}", name.str(), info.digest, options.digest);
  }
  TRIBUTARY_ASSIGN(Manifest manifest, Manifest::Read(store, name, info.digest));
  const wire::ObjectSpec& spec = manifest.spec();
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  if (spec.encoding != tensor::Encoding::kNative) {
    return MakeError(Code::kInvalidArgument, "{} holds encoded tensors: only whoever averages them can read them", name.str());
  }
  TRIBUTARY_TRY(sink.Begin(spec.tensors, spec.info));

  Outcome outcome;
  outcome.digest = info.digest;
  outcome.bytes = layout.total_bytes();
  blob::ReadOptions reading;
  reading.stop = options.stop;
  reading.wait = kChunkWait;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(name, layout.all_slots()), reading));
  for (std::uint64_t slot = 0;; ++slot) {
    if (options.stop.stop_requested()) return Stopped(name);
    TRIBUTARY_ASSIGN(const std::optional<blob::Chunk> chunk, reader->Next());
    if (!chunk) break;
    if (chunk->slot != slot || chunk->bytes.size() != layout.SlotBytes(slot)) {
      return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, name.str());
    }
    TRIBUTARY_TRY(manifest.Check(slot, chunk->bytes));
    for (const tensor::SlotPiece& piece : layout.Pieces(slot)) {
      TRIBUTARY_TRY(sink.Write(piece.tensor, piece.tensor_offset, chunk->bytes.subspan(piece.chunk_offset, piece.bytes)));
    }
    outcome.bytes_moved += chunk->bytes.size();
    if (options.progress) options.progress(outcome.bytes_moved, outcome.bytes);
  }
  TRIBUTARY_TRY(sink.Finish());
  return outcome;
}

}  // namespace tributary::objects
