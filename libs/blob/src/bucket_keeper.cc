#include "bucket_keeper.h"

#include <fcntl.h>

#include <algorithm>

#include "directory.h"
#include "tributary/base/log.h"
#include "tributary/wire/object.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStub = "stub";
constexpr std::size_t kFetchStep = 256 * 1024;
constexpr std::uint64_t kMaxRootBytes = 256u << 20;
constexpr std::size_t kOldest = 64;
constexpr std::size_t kMaxLeftovers = 10'000;  // of one sweep

Error Permanent(const Error& error) {
  // Readers of chunks take "unavailable" for a slot that may still come.
  return error.code() == Code::kUnavailable ? Error(Code::kIo, error.message()) : error;
}

void Unlink(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace

fs::path BucketKeeper::DirectoryOf(const ObjectName& name) const { return objects_ / FileNameOf(name); }

Result<bool> BucketKeeper::IsStub(const fs::path& directory) { return Exists(directory / kStub); }

bool BucketKeeper::IsInBucket(const fs::path& directory) {
  const auto stub = IsStub(directory);
  const auto marked = Exists(directory / kBucketMark);
  return (stub.ok() && *stub) || (marked.ok() && *marked);
}

Status BucketKeeper::CheckFormat() {
  const std::string key(kFormatKey);
  std::string text(kBucketFormat.size(), '\0');
  const Status got = bucket_.Get(key, 0, std::as_writable_bytes(std::span(text)));
  if (!got.ok() && got.error().code() == Code::kNotFound) {
    return bucket_.Put(key, kBucketFormat.size(), [](std::uint64_t offset, std::span<std::byte> out) {
      std::ranges::copy(std::as_bytes(std::span(kBucketFormat)).subspan(offset, out.size()), out.begin());
      return Ok();
    });
  }
  if (!got.ok() && got.error().code() != Code::kDataLoss) return got;
  if (got.ok() && text == kBucketFormat) return Ok();
  return MakeError(Code::kInvalidArgument, "{}: its '{}' is not one of this version of the blob-store; give a prefix of its own with --s3-prefix",
                   bucket_.Place(), key);
}

Status BucketKeeper::Begin() {
  TRIBUTARY_TRY(CheckFormat());
  // Hashes: eight bytes for each object, while this runs.
  std::vector<std::size_t> seen;
  for (std::string after;;) {
    TRIBUTARY_ASSIGN(const auto keys, bucket_.List(std::string(kCommits), after));
    if (keys.empty()) break;
    after = keys.back();
    for (const std::string& key : keys) {
      const auto name = NameOfCommit(key);
      if (!name) {
        log::Warning("{}: key '{}' is no object's and stays as it is", bucket_.Place(), key);
        continue;
      }
      seen.push_back(std::hash<ObjectName>()(*name));
      TRIBUTARY_TRY(AddStub(*name));
    }
  }
  log::Info("{} holds {} sealed objects", bucket_.Place(), seen.size());
  return CompareWith(std::move(seen));
}

Status BucketKeeper::AddStub(const ObjectName& name) {
  const fs::path directory = DirectoryOf(name);
  TRIBUTARY_ASSIGN(const bool there, Exists(directory));
  if (there) {
    TRIBUTARY_ASSIGN(const bool stub, IsStub(directory));
    TRIBUTARY_ASSIGN(const bool marked, Exists(directory / kBucketMark));
    TRIBUTARY_ASSIGN(const bool sealed, Exists(directory / "root"));
    if (stub || (marked && sealed)) return Ok();
    // Killed between the commit and the end of the seal, or sealed by a store that had another directory.
    log::Warning("object '{}' lies sealed in the bucket: what {} holds under its name gives way", name.str(), directory.string());
    const fs::path away = tmp_ / fmt::format("bucket-{}", ++moved_);
    TRIBUTARY_TRY(RenamePath(directory, away));
    Unlink(away);
  }
  TRIBUTARY_TRY(MakeDirectory(directory));
  return WriteWholeFile(directory / kStub, {}, false);
}

Status BucketKeeper::CompareWith(std::vector<std::size_t> seen) {
  std::ranges::sort(seen);
  std::uint64_t lost = 0;
  std::uint64_t kept = 0;
  TRIBUTARY_TRY(ForEachObject(objects_, [&](const ObjectName& name, const fs::path& directory) -> Status {
    if (std::ranges::binary_search(seen, std::hash<ObjectName>()(name))) return Ok();
    TRIBUTARY_ASSIGN(const bool stub, IsStub(directory));
    TRIBUTARY_ASSIGN(const bool marked, Exists(directory / kBucketMark));
    if (stub) {
      Unlink(directory);
    } else if (marked) {
      TRIBUTARY_ASSIGN(const bool data, Exists(directory / "data"));
      // Without the mark it is never evicted, and put into the bucket again.
      if (data) Unlink(directory / kBucketMark);
      ++(data ? kept : lost);
    }
    return Ok();
  }));
  if (kept + lost > 0) {
    log::LogError("{} lacks the commits of objects that lay in it: is --s3-prefix another than before? {} are still on the disk and will be put "
                  "into the bucket again; {} are not", bucket_.Place(), kept, lost);
  }
  return Ok();
}

Result<BucketObject> BucketKeeper::ReadHeader(const ObjectName& name) {
  std::string text(kCommitHeaderBytes, '\0');
  TRIBUTARY_TRY(bucket_.Get(CommitKey(name), 0, std::as_writable_bytes(std::span(text))));
  return DecodeHeader(text);
}

Status BucketKeeper::Fetch(const ObjectName& name, const fs::path& directory) {
  const std::lock_guard one(FetchLockOf(name));
  TRIBUTARY_ASSIGN(const bool stub, IsStub(directory));
  if (!stub) return Ok();
  const Status fetched = FetchFiles(name, directory);
  if (fetched.ok()) return Ok();
  if (fetched.error().code() == Code::kNotFound) {
    const auto still = Exists(directory / kStub);
    if (still.ok() && *still) Unlink(directory);
    return NoSuchObject(name);
  }
  const bool damaged = fetched.error().code() == Code::kDataLoss;
  return Permanent(fetched.error())
      .Wrap(fmt::format("object '{}' could not be fetched from the bucket{}", name.str(), damaged ? "; remove it and put it again" : ""));
}

Status BucketKeeper::FetchFiles(const ObjectName& name, const fs::path& directory) {
  TRIBUTARY_ASSIGN(const BucketObject place, ReadHeader(name));
  if (place.root > kMaxRootBytes || place.spec > DiskObject::kMaxSpecBytes) return MakeError(Code::kDataLoss, "its commit tells sizes that no object has");
  std::string root(place.root, '\0');
  TRIBUTARY_TRY(bucket_.Get(CommitKey(name), kCommitHeaderBytes, std::as_writable_bytes(std::span(root))));
  if (digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(root)))) != place.digest) {
    return MakeError(Code::kDataLoss, "its commit does not match the digest in its header");
  }
  TRIBUTARY_ASSIGN(const wire::ManifestRoot manifest, wire::DecodeManifestRoot(std::as_bytes(std::span(root))));
  if (place.slots != manifest.slots * kSlotRecordBytes || place.pages != manifest.slots * wire::kSlotDigestBytes) {
    return MakeError(Code::kDataLoss, "its commit tells sizes that do not fit its manifest");
  }
  const std::string prefix = PartsPrefix(name, place.id);
  TRIBUTARY_TRY(FetchFile(prefix + "spec", place.spec, directory / "spec"));
  TRIBUTARY_TRY(FetchFile(prefix + "slots", place.slots, directory / "slots"));
  TRIBUTARY_TRY(FetchFile(prefix + "pages", place.pages, directory / "pages"));
  const std::string header = EncodeHeader(place);
  TRIBUTARY_TRY(WriteWholeFile(directory / kBucketMark, std::as_bytes(std::span(header)), true));
  TRIBUTARY_TRY(WriteWholeFile(directory / "root", std::as_bytes(std::span(root)), true));
  TRIBUTARY_TRY(SyncDirectory(directory));
  shared_.space.TakeAnyway(TakenBytesOf(directory));
  std::error_code error;
  fs::remove(directory / kStub, error);
  if (error) return ErrnoError(error.value(), "removing " + (directory / kStub).string());
  return Ok();
}

Status BucketKeeper::FetchFile(const std::string& key, std::uint64_t bytes, const fs::path& path) {
  TRIBUTARY_ASSIGN(const Fd file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kFetchStep)));
  for (std::uint64_t at = 0; at < bytes; at += buffer.size()) {
    const auto step = std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - at)));
    const Status got = bucket_.Get(key, at, step);
    // The commit is there, so a part that is not is a loss.
    if (!got.ok() && got.error().code() == Code::kNotFound) return Error(Code::kDataLoss, got.error().message());
    TRIBUTARY_TRY(got);
    TRIBUTARY_TRY(WriteAt(file, step, at, path));
  }
  return SyncData(path);
}

Status BucketKeeper::Forget(const fs::path& directory) {
  TRIBUTARY_TRY(WriteWholeFile(directory / kStub, {}, true));
  TRIBUTARY_TRY(SyncDirectory(directory));
  shared_.space.Give(TakenBytesOf(directory));
  for (const char* file : {"root", kBucketMark, "data", "slots", "pages", "spec"}) Unlink(directory / file);
  return Ok();
}

Result<std::string> BucketKeeper::Uncommit(const ObjectName& name, const fs::path& away) {
  TRIBUTARY_ASSIGN(const bool stub, IsStub(away));
  TRIBUTARY_ASSIGN(const bool marked, Exists(away / kBucketMark));
  if (!stub && !marked) return std::string();
  std::string id;
  Status deleted;
  if (marked) {
    const auto text = ReadWholeFile(away / kBucketMark, kCommitHeaderBytes);
    const auto place = text.ok() ? DecodeHeader(*text) : Result<BucketObject>(text.error());
    if (place.ok()) id = place->id;
  } else if (const auto place = ReadHeader(name); place.ok()) {
    id = place->id;
  }
  deleted = bucket_.Delete(CommitKey(name));
  if (deleted.ok()) return id;
  const fs::path directory = DirectoryOf(name);
  TRIBUTARY_TRY(MakeDirectory(directory));
  TRIBUTARY_TRY(WriteWholeFile(directory / kStub, {}, false));
  return Permanent(deleted.error()).Wrap(fmt::format("object '{}' could not be removed from the bucket and is still there", name.str()));
}

void BucketKeeper::RemoveParts(const ObjectName& name, const std::string& id) {
  const std::string prefix = PartsPrefix(name, id);
  const auto remove = [&]() -> Status {
    for (std::string after;;) {
      TRIBUTARY_ASSIGN(const auto keys, bucket_.List(prefix, after));
      if (keys.empty()) return Ok();
      for (const std::string& key : keys) TRIBUTARY_TRY(bucket_.Delete(key));
      after = keys.back();
    }
  };
  const Status removed = remove();
  if (!removed.ok()) log::Warning("parts of object '{}', which is removed, stay in the bucket until the next sweep: {}", name.str(), removed.error().message());
}

Result<bool> BucketKeeper::IsLive(const PartOwner& owner) {
  // In this order: an upload that ends in between leaves the mark before it is forgotten.
  if (shared_.uploads.Has(owner.id)) return true;
  const fs::path directory = DirectoryOf(owner.name);
  TRIBUTARY_ASSIGN(const bool marked, Exists(directory / kBucketMark));
  if (marked) {
    const auto text = ReadWholeFile(directory / kBucketMark, kCommitHeaderBytes);
    const auto place = text.ok() ? DecodeHeader(*text) : Result<BucketObject>(text.error());
    // What cannot be read tells nothing against the parts.
    if (!place.ok() || place->id == owner.id) return true;
  }
  const auto committed = ReadHeader(owner.name);
  if (committed.ok()) return committed->id == owner.id;
  if (committed.error().code() == Code::kNotFound) return false;
  if (committed.error().code() == Code::kDataLoss) return true;
  return committed.error();
}

Status BucketKeeper::Sweep(Duration grace, std::stop_token stop) {
  const auto now = std::chrono::steady_clock::now();
  decltype(leftovers_) before;
  before.swap(leftovers_);
  std::string group;
  bool live = true;
  std::uint64_t removed = 0;
  for (std::string after;;) {
    TRIBUTARY_ASSIGN(const auto keys, bucket_.List(std::string(kParts), after));
    if (keys.empty()) break;
    after = keys.back();
    for (const std::string& key : keys) {
      if (stop.stop_requested()) return Error(Code::kCancelled, "the sweep of the bucket was stopped");
      const auto owner = OwnerOfPart(key);
      if (!owner) continue;
      if (std::string prefix = PartsPrefix(owner->name, owner->id); prefix != group) {
        TRIBUTARY_ASSIGN(live, IsLive(*owner));
        group = std::move(prefix);
        if (!live && leftovers_.size() >= kMaxLeftovers) live = true;
        if (!live) {
          const auto known = before.find(group);
          const auto since = leftovers_.emplace(group, known == before.end() ? now : known->second).first->second;
          live = now - since < grace;
        }
      }
      if (live) continue;
      TRIBUTARY_TRY(bucket_.Delete(key));
      ++removed;
    }
  }
  if (removed > 0) log::Info("{}: removed {} parts that no object needs", bucket_.Place(), removed);
  return Ok();
}

Result<BucketKeeper::Cache> BucketKeeper::FindCached() const {
  Cache cache;
  const auto older = [](const Cached& a, const Cached& b) { return a.read < b.read; };
  TRIBUTARY_TRY(ForEachObject(objects_, [&](const ObjectName& name, const fs::path& directory) -> Status {
    std::error_code error;
    const auto read = fs::last_write_time(directory / kBucketMark, error);
    if (error) return Ok();
    const std::uintmax_t bytes = fs::file_size(directory / "data", error);
    if (error) return Ok();
    cache.bytes += UpToBlock(bytes);
    cache.oldest.push_back({read, name, UpToBlock(bytes)});
    std::ranges::push_heap(cache.oldest, older);
    if (cache.oldest.size() > kOldest) {
      std::ranges::pop_heap(cache.oldest, older);
      cache.oldest.pop_back();
    }
    return Ok();
  }));
  std::ranges::sort_heap(cache.oldest, older);
  return cache;
}

}  // namespace tributary::blob
