#include "scrub.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "checked_places.h"
#include "directory.h"
#include "disk_object.h"
#include "files.h"
#include "manifest.h"
#include "slot_table.h"
#include "space.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxRootBytes = 256u << 20;

// Chunks from the disk itself: what lies in the page cache would tell nothing of it.
class ChunkFile {
 public:
  static Result<ChunkFile> Open(const fs::path& path) {
    ChunkFile file;
    TRIBUTARY_ASSIGN(file.cached_, OpenFile(path, O_RDONLY));
    if (auto direct = OpenFile(path, O_RDONLY | O_DIRECT); direct.ok()) file.direct_ = *std::move(direct);
    return file;
  }

  // The bytes, valid until the next call; fewer at the end of the file.
  Result<std::span<const std::byte>> Read(std::uint64_t location, std::size_t bytes, const fs::path& path) {
    const std::uint64_t begin = location / kDiskBlock * kDiskBlock;
    const std::size_t whole = UpToBlock(location + bytes) - begin;
    if (whole > room_) {
      buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kDiskBlock, whole)));
      room_ = buffer_ ? whole : 0;
      if (!buffer_) return MakeError(Code::kResourceExhausted, "no memory for a chunk of {} bytes", whole);
    }
    const std::size_t skip = location - begin;
    if (direct_.get() >= 0) {
      const ssize_t got = pread(direct_.get(), buffer_.get(), whole, static_cast<off_t>(begin));
      if (got >= static_cast<ssize_t>(skip + bytes)) return std::span<const std::byte>(buffer_.get() + skip, bytes);
    }
    // At the end of a file, or where the file system does not do this; an error of the disk comes again.
    TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(cached_, {buffer_.get(), bytes}, location, path));
    return std::span<const std::byte>(buffer_.get(), got);
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  Fd cached_;
  Fd direct_;
  std::unique_ptr<std::byte[], Free> buffer_;
  std::size_t room_ = 0;
};

class Scrub {
 public:
  Scrub(const Shard& shard, const ScrubOptions& options, ScrubReport& report) : shard_(shard), options_(options), report_(report) {}

  Status Object(const ObjectName& name, const fs::path& directory) {
    TRIBUTARY_ASSIGN(const bool sealed, Exists(directory / "root"));
    if (!sealed) return Ok();
    // The bucket's service looks after what lies there alone.
    TRIBUTARY_ASSIGN(const bool in_bucket, Exists(directory / kBucketMark));
    TRIBUTARY_ASSIGN(const bool here, Exists(directory / "data"));
    if (in_bucket && !here) return Ok();
    name_ = name;
    directory_ = directory;
    const std::uint64_t damaged = report_.damaged;
    Status checked = Manifest();
    // Removed since: what was not found was no damage.
    const auto there = Exists(directory / "root");
    if (there.ok() && !*there) {
      report_.damaged = damaged;
      return Ok();
    }
    ++report_.objects;
    for (const Damage& damage : found_) {
      if (options_.found) options_.found(damage);
    }
    found_.clear();
    return checked;
  }

 private:
  void Found(std::optional<std::uint64_t> slot, const char* file, std::uint64_t offset, std::string what) {
    ++report_.damaged;
    Damage damage{name_, slot, directory_ / file, offset, std::move(what)};
    // A few are kept until it is known that the object is still there; of one that is all damaged, the others are told at once.
    if (found_.size() < kKept) {
      found_.push_back(std::move(damage));
    } else if (options_.found) {
      options_.found(damage);
    }
  }

  Status Damaged(std::optional<std::uint64_t> slot, const char* file, std::uint64_t offset, std::string what) {
    Found(slot, file, offset, std::move(what));
    return Ok();
  }

  Status Manifest() {
    const auto text = ReadWholeFile(directory_ / "root", kMaxRootBytes);
    if (!text.ok()) return Damaged(std::nullopt, "root", 0, text.error().message());
    const auto root = wire::DecodeManifestRoot(std::as_bytes(std::span(*text)));
    if (!root.ok()) return Damaged(std::nullopt, "root", 0, root.error().message());
    auto slots = OpenFile(directory_ / "slots", O_RDONLY);
    if (!slots.ok()) return Damaged(std::nullopt, "slots", 0, slots.error().message());
    auto pages = OpenFile(directory_ / "pages", O_RDONLY);
    if (!pages.ok()) return Damaged(std::nullopt, "pages", 0, pages.error().message());
    auto data = ChunkFile::Open(directory_ / "data");
    if (!data.ok()) return Damaged(std::nullopt, "data", 0, data.error().message());
    CheckedPlaces checked;
    for (std::uint64_t page = 0; page < root->pages.size(); ++page) {
      const std::uint64_t first = page * wire::kPageDigests;
      const std::uint64_t count = std::min(wire::kPageDigests, root->slots - first);
      TRIBUTARY_ASSIGN(const auto digests, Page(*pages, page, count, root->pages[page]));
      for (std::uint64_t i = 0; i < count; ++i) {
        if (!shard_.Has(first + i)) continue;
        TRIBUTARY_TRY(Slot(*slots, *data, first + i, digests.empty() ? nullptr : &digests[i], checked));
      }
    }
    return Ok();
  }

  // Empty when the page is damaged: its chunks are then compared with their records.
  Result<std::vector<wire::SlotDigest>> Page(const Fd& pages, std::uint64_t page, std::uint64_t count, const digest::Sha256& sha256) {
    std::vector<std::byte> bytes(count * wire::kSlotDigestBytes);
    const std::uint64_t offset = page * wire::kPageDigests * wire::kSlotDigestBytes;
    const auto got = ReadAt(pages, bytes, offset, directory_ / "pages");
    if (got.ok() && *got == bytes.size() && digest::ComputeSha256(bytes) == sha256) return wire::DecodePage(bytes);
    Found(std::nullopt, "pages", offset, !got.ok() ? got.error().message() : "a page of digests does not match its SHA-256");
    return std::vector<wire::SlotDigest>();
  }

  Status Slot(const Fd& slots, ChunkFile& data, std::uint64_t slot, const wire::SlotDigest* digest, CheckedPlaces& checked) {
    ++report_.slots;
    auto found = ReadRecord(slots, slot, directory_ / "slots");
    if (!found.ok()) return Damaged(slot, "slots", slot * kSlotRecordBytes, found.error().message());
    const auto& record = *found;
    if (!record || record->bytes > tensor::kMaxMessageBytes || (digest != nullptr && record->digest != *digest)) {
      return Damaged(slot, "slots", slot * kSlotRecordBytes,
                     record ? "its record has another digest than the manifest" : "its record cannot be read");
    }
    if (checked.Has(record->location, record->digest.sha256)) return Ok();
    // In pieces of the largest chunk: a slot that is a whole tensor is no reason to hold one.
    digest::Sha256Stream sha256;
    std::uint64_t got = 0;
    while (got < record->bytes) {
      const std::uint64_t piece = std::min(tensor::kMaxChunkBytes, record->bytes - got);
      const auto read = data.Read(record->location + got, piece, directory_ / "data");
      if (!read.ok()) return Damaged(slot, "data", record->location, read.error().message());
      sha256.Update(*read);
      got += read->size();
      report_.bytes += read->size();
      if (read->size() < piece) break;
    }
    if (got == record->bytes && sha256.Finish() == record->digest.sha256) {
      checked.Add(record->location, record->digest.sha256);
    } else {
      Found(slot, "data", record->location, "its bytes do not match their SHA-256");
    }
    return Pace();
  }

  // Waits until the pass is no faster than it may be.
  Status Pace() {
    using std::chrono::steady_clock;
    if (options_.bytes_per_second != 0) {
      const std::chrono::duration<double> least(static_cast<double>(report_.bytes) / static_cast<double>(options_.bytes_per_second));
      const auto due = begun_ + std::chrono::duration_cast<steady_clock::duration>(least);
      std::mutex mutex;
      std::condition_variable_any never;
      std::unique_lock lock(mutex);
      never.wait_until(lock, options_.stop, due, [] { return false; });
    }
    if (options_.stop.stop_requested()) return MakeError(Code::kCancelled, "the scrub was stopped");
    return Ok();
  }

  static constexpr std::size_t kKept = 256;

  const Shard shard_;
  const ScrubOptions& options_;
  ScrubReport& report_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  ObjectName name_;
  fs::path directory_;
  std::vector<Damage> found_;
};

}  // namespace

std::string Damage::Text() const {
  const std::string place = slot ? fmt::format("slot {}", *slot) : "its manifest";
  return fmt::format("object '{}', {}: damaged at byte {} of {}: {}", object.str(), place, offset, file.string(), what);
}

Result<ScrubReport> ScrubObjects(const fs::path& objects, const Shard& shard, const ScrubOptions& options) {
  ScrubReport report;
  Scrub scrub(shard, options, report);
  TRIBUTARY_TRY(ForEachObject(objects, [&](const ObjectName& name, const fs::path& directory) { return scrub.Object(name, directory); }));
  return report;
}

Result<ScrubReport> ScrubDirectory(const fs::path& directory, const ScrubOptions& options) {
  TRIBUTARY_ASSIGN(const bool there, Exists(directory));
  if (!there) return MakeError(Code::kNotFound, "there is no directory {}; give a blob-store's with --data-dir", directory.string());
  TRIBUTARY_ASSIGN(const Shard shard, ReadFormat(directory));
  TRIBUTARY_ASSIGN(const Fd lock, LockStore(directory));
  return ScrubObjects(ObjectsIn(directory), shard, options);
}

}  // namespace tributary::blob
