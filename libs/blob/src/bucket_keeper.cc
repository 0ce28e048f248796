#include "bucket_keeper.h"

#include <fcntl.h>

#include <algorithm>

#include "directory.h"
#include "format.h"
#include "tributary/base/log.h"
#include "tributary/wire/object.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStub = "stub";
constexpr std::size_t kFetchStep = 256 * 1024;
constexpr std::uint64_t kMaxRootBytes = 256u << 20;
constexpr std::uint64_t kMaxFormatBytes = 4096;
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
  const std::string wanted = FormatText(kBucketFormat, shared_.shard);
  std::string text(wanted.size(), '\0');
  const Status got = bucket_.Get(key, 0, std::as_writable_bytes(std::span(text)));
  if (!got.ok() && got.error().code() == Code::kNotFound) {
    return bucket_.Put(key, wanted.size(), [&wanted](std::uint64_t offset, std::span<std::byte> out) {
      std::ranges::copy(std::as_bytes(std::span(wanted)).subspan(offset, out.size()), out.begin());
      return Ok();
    });
  }
  if (!got.ok() && got.error().code() != Code::kDataLoss) return got;
  // It may be longer, or shorter: another shard's.
  TRIBUTARY_ASSIGN(const std::uint64_t size, bucket_.Size(key));
  if (got.ok() && size == wanted.size() && text == wanted) return Ok();
  text.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size, kMaxFormatBytes)));
  TRIBUTARY_TRY(bucket_.Get(key, 0, std::as_writable_bytes(std::span(text))));
  if (const auto shard = ParseFormat(kBucketFormat, text)) {
    return MakeError(Code::kInvalidArgument, "{} belongs to {}, and this blob-store is {}; give a prefix of its own with --s3-prefix",
                     bucket_.Place(), ShardText(*shard), ShardText(shared_.shard));
  }
  return MakeError(Code::kInvalidArgument, "{}: its '{}' is not one of this version of the blob-store; give a prefix of its own with --s3-prefix",
                   bucket_.Place(), key);
}

Status BucketKeeper::Begin() {
  TRIBUTARY_TRY(CheckFormat());
  // Hashes: eight bytes for each object, while this runs.
  std::vector<std::size_t> seen;
  std::vector<UploadRef> commits;  // of one name; its keys stand together
  const auto adopt = [&]() -> Status {
    if (commits.empty()) return Ok();
    seen.push_back(std::hash<ObjectName>()(commits.front().name));
    const Status adopted = Adopt(commits);
    commits.clear();
    return adopted;
  };
  for (std::string after;;) {
    TRIBUTARY_ASSIGN(const auto keys, bucket_.List(std::string(kCommits), after));
    if (keys.empty()) break;
    after = keys.back();
    for (const std::string& key : keys) {
      auto commit = UploadOfCommit(key);
      if (!commit) {
        log::Warning("{}: key '{}' is no object's and stays as it is", bucket_.Place(), key);
        continue;
      }
      if (!commits.empty() && commits.front().name != commit->name) TRIBUTARY_TRY(adopt());
      commits.push_back(*std::move(commit));
    }
  }
  TRIBUTARY_TRY(adopt());
  log::Info("{} holds {} sealed objects", bucket_.Place(), seen.size());
  return CompareWith(std::move(seen));
}

Result<std::string> BucketKeeper::UploadIn(const fs::path& directory) {
  TRIBUTARY_ASSIGN(const bool stub, IsStub(directory));
  if (stub) {
    TRIBUTARY_ASSIGN(const std::string id, ReadWholeFile(directory / kStub, kCommitHeaderBytes));
    if (IsUploadId(id)) return id;
    return MakeError(Code::kDataLoss, "{} is damaged: begin the service again", (directory / kStub).string());
  }
  TRIBUTARY_ASSIGN(const bool marked, Exists(directory / kBucketMark));
  if (!marked) return std::string();
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(directory / kBucketMark, kCommitHeaderBytes));
  TRIBUTARY_ASSIGN(const BucketObject place, DecodeHeader(text));
  return place.id;
}

Status BucketKeeper::WriteStub(const UploadRef& upload) {
  const fs::path directory = DirectoryOf(upload.name);
  TRIBUTARY_TRY(MakeDirectory(directory));
  return WriteWholeFile(directory / kStub, std::as_bytes(std::span(upload.id)), false);
}

Status BucketKeeper::Adopt(const std::vector<UploadRef>& commits) {
  const fs::path directory = DirectoryOf(commits.front().name);
  const auto here = UploadIn(directory);
  const auto known = std::ranges::find_if(commits, [&](const UploadRef& commit) { return here.ok() && commit.id == *here; });
  const UploadRef& kept = known != commits.end() ? *known : commits.back();
  for (const UploadRef& commit : commits) {
    // Of a seal that did not end well and was repeated: both are whole, and nobody was told of one.
    if (commit != kept) TRIBUTARY_TRY(bucket_.Delete(CommitKey(commit)));
  }
  TRIBUTARY_ASSIGN(const bool there, Exists(directory));
  if (there) {
    TRIBUTARY_ASSIGN(const bool stub, IsStub(directory));
    TRIBUTARY_ASSIGN(const bool sealed, Exists(directory / "root"));
    if (known != commits.end() && (stub || sealed)) return Ok();
    // Killed between the commit and the end of the seal, or sealed by a store that had another directory.
    log::Warning("object '{}' lies sealed in the bucket: what {} holds under its name gives way", kept.name.str(), directory.string());
    const fs::path away = tmp_ / fmt::format("bucket-{}", ++moved_);
    TRIBUTARY_TRY(RenamePath(directory, away));
    Unlink(away);
  }
  return WriteStub(kept);
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

Result<BucketObject> BucketKeeper::ReadHeader(const UploadRef& upload) {
  std::string text(kCommitHeaderBytes, '\0');
  TRIBUTARY_TRY(bucket_.Get(CommitKey(upload), 0, std::as_writable_bytes(std::span(text))));
  TRIBUTARY_ASSIGN(BucketObject object, DecodeHeader(text));
  if (object.id == upload.id) return object;
  return MakeError(Code::kDataLoss, "its commit tells the id of another");
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
  UploadRef upload{name, {}};
  TRIBUTARY_ASSIGN(upload.id, UploadIn(directory));
  TRIBUTARY_ASSIGN(const BucketObject place, ReadHeader(upload));
  if (place.root > kMaxRootBytes || place.spec > DiskObject::kMaxSpecBytes) {
    return MakeError(Code::kDataLoss, "its commit tells sizes that no object has");
  }
  std::string root(place.root, '\0');
  TRIBUTARY_TRY(bucket_.Get(CommitKey(upload), kCommitHeaderBytes, std::as_writable_bytes(std::span(root))));
  if (digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(root)))) != place.digest) {
    return MakeError(Code::kDataLoss, "its commit does not match the digest in its header");
  }
  TRIBUTARY_ASSIGN(const wire::ManifestRoot manifest, wire::DecodeManifestRoot(std::as_bytes(std::span(root))));
  if (place.slots != manifest.slots * kSlotRecordBytes || place.pages != manifest.slots * wire::kSlotDigestBytes) {
    return MakeError(Code::kDataLoss, "its commit tells sizes that do not fit its manifest");
  }
  const std::string prefix = PartsPrefix(upload);
  TRIBUTARY_TRY(FetchFile(prefix + "spec", place.spec, directory / "spec"));
  TRIBUTARY_TRY(FetchFile(prefix + "slots", place.slots, directory / "slots"));
  TRIBUTARY_TRY(FetchFile(prefix + "pages", place.pages, directory / "pages"));
  const std::string header = EncodeHeader(place);
  TRIBUTARY_TRY(WriteWholeFile(directory / kBucketMark, std::as_bytes(std::span(header)), true));
  TRIBUTARY_TRY(WriteWholeFile(directory / "root", std::as_bytes(std::span(root)), true));
  TRIBUTARY_TRY(SyncDirectory(directory));
  shared_.space.TakeAnyway(name, TakenBytesOf(directory));
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

Status BucketKeeper::Forget(const ObjectName& name, const fs::path& directory) {
  TRIBUTARY_ASSIGN(const std::string id, UploadIn(directory));
  shared_.space.Give(name, TakenBytesOf(directory));
  TRIBUTARY_TRY(WriteStub({name, id}));
  for (const char* file : {"root", kBucketMark, "data", "slots", "pages", "spec"}) Unlink(directory / file);
  return Ok();
}

Result<std::string> BucketKeeper::Uncommit(const ObjectName& name, const fs::path& away) {
  if (!IsInBucket(away)) return std::string();
  const auto known = UploadIn(away);
  const std::string id = known.ok() ? *known : std::string();
  const auto remove = [&]() -> Status {
    if (!id.empty()) return bucket_.Delete(CommitKey({name, id}));
    TRIBUTARY_ASSIGN(const auto keys, bucket_.List(CommitsPrefix(name), ""));
    for (const std::string& key : keys) TRIBUTARY_TRY(bucket_.Delete(key));
    return Ok();
  };
  const Status removed = remove();
  if (removed.ok()) return id;
  TRIBUTARY_TRY(WriteStub({name, id}));
  return Permanent(removed.error()).Wrap(fmt::format("object '{}' could not be removed from the bucket and is still there", name.str()));
}

void BucketKeeper::RemoveParts(const UploadRef& upload) {
  const std::string prefix = PartsPrefix(upload);
  const auto remove = [&]() -> Status {
    for (std::string after;;) {
      TRIBUTARY_ASSIGN(const auto keys, bucket_.List(prefix, after));
      if (keys.empty()) return Ok();
      for (const std::string& key : keys) TRIBUTARY_TRY(bucket_.Delete(key));
      after = keys.back();
    }
  };
  const Status removed = remove();
  if (removed.ok()) return;
  log::Warning("parts of object '{}', which is removed, stay in the bucket until the next sweep: {}", upload.name.str(), removed.error().message());
}

Result<bool> BucketKeeper::IsLive(const UploadRef& upload) {
  // In this order: an upload that ends in between leaves the mark before it is forgotten.
  if (shared_.uploads.Has(upload.id)) return true;
  const auto here = UploadIn(DirectoryOf(upload.name));
  // What cannot be read tells nothing against the parts.
  if (!here.ok() || *here == upload.id) return true;
  // Another store, against all advice.
  const auto committed = bucket_.Size(CommitKey(upload));
  if (committed.ok()) return true;
  if (committed.error().code() == Code::kNotFound) return false;
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
      const auto upload = UploadOfPart(key);
      if (!upload) continue;
      if (std::string prefix = PartsPrefix(*upload); prefix != group) {
        TRIBUTARY_ASSIGN(live, IsLive(*upload));
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
