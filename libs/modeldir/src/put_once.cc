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
                   "--name models/NAME, and name in the job what that prints: {}", object.str(), origin.what, origin.directory, why, origin.directory, origin.keys);
}

class Put {
 public:
  Put(blob::BlobStore& store, const ObjectName& object, const wire::ObjectSpec& spec, tensor::Layout layout,
      const std::vector<const StoredWeight*>& entries, const Origin& origin, const ImportOptions& options)
      : store_(store), object_(object), spec_(spec), layout_(std::move(layout)), entries_(entries), origin_(origin), options_(options) {}

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
      written.Update(digest::ComputeSha256(chunk->payload()));
      TRIBUTARY_TRY(writer->Put(object_, slot, std::move(chunk)));
      Told(slot);
    }
    TRIBUTARY_TRY(writer->Flush());
    TRIBUTARY_ASSIGN(std::string digest, store_.Seal(object_, 0, /*durable=*/true));
    TRIBUTARY_ASSIGN(auto manifest, objects::Manifest::Read(store_, object_, digest));
    digest::Sha256Stream sealed;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      TRIBUTARY_ASSIGN(const wire::SlotDigest slot_digest, manifest.Digest(slot));
      sealed.Update(slot_digest.sha256);
    }
    if (written.Finish() == sealed.Finish()) return digest;
    // Left there it would be neither's, and keep the name from both.
    TRIBUTARY_TRY(store_.Remove(object_));
    return MakeError(Code::kConflict, "another import wrote into {} at the same time as that of {}, and the mixture is removed; import again, one after "
                     "the other, or under names of their own: tributary model import {} --name models/NAME", object_.str(), origin_.directory,
                     origin_.directory);
  }

  // Reads the files and the manifest, and no slot of the store. The object may be cut into chunks of another size: whoever reads it goes by
  // its own spec.
  Result<std::string> Compare() {
    TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(object_));
    if (!info.sealed) return Taken(object_, origin_, "it is an object that is being written");
    TRIBUTARY_ASSIGN(std::string digest, store_.Seal(object_, 0, /*durable=*/true));
    TRIBUTARY_ASSIGN(auto manifest, objects::Manifest::Read(store_, object_, digest));
    wire::ObjectSpec same = spec_;
    same.chunk_bytes = manifest.spec().chunk_bytes;
    same.repetitive = manifest.spec().repetitive;
    if (same != manifest.spec()) return Taken(object_, origin_, "other tensors or another config.json");
    TRIBUTARY_ASSIGN(layout_, wire::MakeLayout(same));
    done_ = 0;
    std::vector<std::byte> bytes;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      bytes.resize(layout_.SlotBytes(slot));
      TRIBUTARY_TRY(ReadSlot(slot, bytes));
      TRIBUTARY_ASSIGN(const wire::SlotDigest sealed, manifest.Digest(slot));
      if (sealed.sha256 != digest::ComputeSha256(bytes)) {
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
  const wire::ObjectSpec& spec_;
  tensor::Layout layout_;
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
  Put put(store, object, spec, *std::move(layout), entries, origin, options);
  // What an import of other tensors left open makes room.
  const auto created = store.Create(object, spec, /*replace=*/true);
  if (!created.ok() && created.error().code() == Code::kAlreadyExists) return put.Compare();
  if (!created.ok()) return created.error();
  if (created->sealed) return put.Compare();
  auto written = put.Write();
  if (written.ok() || written.error().code() != Code::kConflict) return written;
  // Another import was first to seal it, which of the same directory is as good.
  const auto info = store.Stat(object);
  return info.ok() && info->sealed ? put.Compare() : written;
}

}  // namespace tributary::modeldir
