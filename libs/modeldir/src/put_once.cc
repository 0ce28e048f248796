#include "put_once.h"

#include <cstddef>
#include <span>
#include <utility>

#include "tributary/digest/digest.h"
#include "tributary/objects/manifest.h"

namespace tributary::modeldir {
namespace {

Error Taken(const ObjectName& object, const Origin& origin, const std::string& why) {
  return MakeError(Code::kAlreadyExists, "{} holds another {} than {} ({}); import the directory under a name of its own, tributary model import {} "
                   "--name NAME, and name that in the job: model.object", object.str(), origin.what, origin.directory, why, origin.directory);
}

class Put {
 public:
  Put(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, const std::vector<const StoredWeight*>& entries,
      const Origin& origin, const ImportOptions& options)
      : store_(store), object_(object), layout_(layout), entries_(entries), origin_(origin), options_(options) {}

  // From the first slot on: what an interrupted import left may be of a directory that has changed since. What is sealed is held
  // against what was put, so that two imports at once into one name do not make a mixture unseen.
  Result<std::string> Write() {
    blob::WriteOptions writing;
    writing.stop = options_.stop;
    TRIBUTARY_ASSIGN(const auto writer, store_.Write(writing));
    digest::Sha256Stream written;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      TRIBUTARY_ASSIGN(auto chunk, writer->Allocate(layout_.SlotBytes(slot)));
      TRIBUTARY_TRY(ReadSlot(slot, chunk->payload()));
      written.Update(digest::ComputeXxh128(chunk->payload()));
      TRIBUTARY_TRY(writer->Put(object_, slot, std::move(chunk)));
      Told(slot);
    }
    TRIBUTARY_TRY(writer->Flush());
    TRIBUTARY_ASSIGN(std::string digest, store_.Seal(object_, 0, /*durable=*/true));
    TRIBUTARY_ASSIGN(auto manifest, objects::Manifest::Read(store_, object_, digest));
    digest::Sha256Stream sealed;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      TRIBUTARY_ASSIGN(const wire::SlotDigest slot_digest, manifest.Digest(slot));
      sealed.Update(slot_digest.xxh128);
    }
    if (written.Finish() == sealed.Finish()) return digest;
    return Taken(object_, origin_, "another import wrote into it at the same time");
  }

  // Reads the files and the manifest, and no slot of the store.
  Result<std::string> Compare() {
    TRIBUTARY_ASSIGN(std::string digest, store_.Seal(object_, 0, /*durable=*/true));
    TRIBUTARY_ASSIGN(auto manifest, objects::Manifest::Read(store_, object_, digest));
    std::vector<std::byte> bytes;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      bytes.resize(layout_.SlotBytes(slot));
      TRIBUTARY_TRY(ReadSlot(slot, bytes));
      TRIBUTARY_ASSIGN(const wire::SlotDigest sealed, manifest.Digest(slot));
      if (sealed.xxh128 != digest::ComputeXxh128(bytes)) {
        return Taken(object_, origin_, fmt::format("the bytes of {} differ", entries_[layout_.Pieces(slot).front().tensor]->spec.name));
      }
      Told(slot);
    }
    return digest;
  }

 private:
  Status ReadSlot(std::uint64_t slot, std::span<std::byte> out) {
    if (options_.stop.stop_requested()) return MakeError(Code::kCancelled, "the import was stopped");
    for (const tensor::SlotPiece& piece : layout_.Pieces(slot)) {
      TRIBUTARY_TRY(ReadWeight(*entries_[piece.tensor], piece.tensor_offset, out.subspan(piece.chunk_offset, piece.bytes)));
    }
    return Ok();
  }
  void Told(std::uint64_t slot) {
    done_ += layout_.SlotBytes(slot);
    if (options_.progress) options_.progress(done_, layout_.total_bytes());
  }

  blob::BlobStore& store_;
  const ObjectName& object_;
  const tensor::Layout& layout_;
  const std::vector<const StoredWeight*>& entries_;
  const Origin& origin_;
  const ImportOptions& options_;
  std::uint64_t done_ = 0;
};

}  // namespace

Result<std::string> PutOnce(blob::BlobStore& store, const ObjectName& object, const wire::ObjectSpec& spec,
                            const std::vector<const StoredWeight*>& entries, const Origin& origin, const ImportOptions& options) {
  auto layout = wire::MakeLayout(spec);
  if (!layout.ok()) return layout.error().Wrap(origin.directory);
  // What an import of other tensors left open makes room.
  const auto created = store.Create(object, spec, /*replace=*/true);
  if (!created.ok() && created.error().code() == Code::kAlreadyExists) return Taken(object, origin, "other tensors, chunks or config.json");
  if (!created.ok()) return created.error();
  Put put(store, object, *layout, entries, origin, options);
  return created->sealed ? put.Compare() : put.Write();
}

}  // namespace tributary::modeldir
