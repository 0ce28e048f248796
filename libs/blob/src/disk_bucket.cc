// An object's life in a bucket: its upload, reads of what is not on the disk any more, and its eviction.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "disk_object.h"
#include "tributary/base/log.h"
#include "tributary/base/random.h"

namespace tributary::blob {
namespace {

constexpr std::uint64_t kUploadThreads = 4;

Bucket::Source FromFile(const Fd& fd, const std::filesystem::path& path, std::uint64_t begin) {
  return [&fd, path, begin](std::uint64_t offset, std::span<std::byte> out) -> Status {
    TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(fd, out, begin + offset, path));
    if (got == out.size()) return Ok();
    return MakeError(Code::kDataLoss, "{} ends at byte {}, before its object does", path.string(), begin + offset + got);
  };
}

Bucket::Source FromText(const std::string& text) {
  return [&text](std::uint64_t offset, std::span<std::byte> out) {
    const auto from = std::as_bytes(std::span(text)).subspan(offset, out.size());
    std::ranges::copy(from, out.begin());
    return Ok();
  };
}

// Another store that uses the same prefix, against all advice, may have taken parts without a commit for leftovers.
Status CheckUploaded(Bucket& bucket, const std::string& prefix, std::uint64_t wanted) {
  std::uint64_t found = 0;
  for (std::string after;;) {
    TRIBUTARY_ASSIGN(const auto keys, bucket.List(prefix, after));
    if (keys.empty()) break;
    found += keys.size();
    after = keys.back();
  }
  if (found == wanted) return Ok();
  return MakeError(Code::kDataLoss, "{} of {} keys below {}, which were all put, are in {}: does another store use its prefix?", found, wanted, prefix,
                   bucket.Place());
}

// Of seals that told nobody that they had succeeded: the object is still open.
Status DropCommits(Bucket& bucket, const ObjectName& name) {
  TRIBUTARY_ASSIGN(const auto keys, bucket.List(CommitsPrefix(name), ""));
  for (const std::string& key : keys) TRIBUTARY_TRY(bucket.Delete(key));
  return Ok();
}

std::int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Status DiskObject::LoadBucketMark() {
  const auto path = directory_ / kBucketMark;
  TRIBUTARY_ASSIGN(const bool there, Exists(path));
  if (!there || shared_.bucket == nullptr) return Ok();
  TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(path, kCommitHeaderBytes));
  auto place = DecodeHeader(text);
  if (!place.ok()) return place.error().Wrap(path.string());
  if (place->digest != digest_) return MakeError(Code::kDataLoss, "{} tells of another manifest than the one beside it", path.string());
  place_ = *std::move(place);
  in_bucket_ = true;
  return Ok();
}

Status DiskObject::Upload(const OpenFiles& files, const std::string& root, const std::string& digest) {
  Bucket& bucket = *shared_.bucket;
  BucketObject place;
  place.id = NewLife();
  place.digest = digest;
  place.part_bytes = shared_.part_bytes;
  place.root = root.size();
  TRIBUTARY_ASSIGN(place.data, FileBytes(directory_ / "data"));
  const UploadRef upload{name_, place.id};
  const Uploads::Entry under_way(shared_.uploads, place.id);
  // A mark of an upload whose seal did not end. Its object may have got other bytes since.
  std::error_code ignored;
  std::filesystem::remove(directory_ / kBucketMark, ignored);

  std::atomic<std::uint64_t> next{0};
  std::mutex mutex;
  Status failed;  // protected by mutex; the first one
  const auto send = [&] {
    for (std::uint64_t part; (part = next++) < place.parts();) {
      const std::uint64_t begin = part * place.part_bytes;
      const Status put = bucket.Put(PartKey(upload, part), std::min(place.part_bytes, place.data - begin),
                                    FromFile(files.data, directory_ / "data", begin));
      if (put.ok()) continue;
      next = place.parts();
      const std::lock_guard lock(mutex);
      if (failed.ok()) failed = put;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::uint64_t i = 1; i < std::min(kUploadThreads, place.parts()); ++i) others.emplace_back(send);
    send();
  }
  const std::string prefix = PartsPrefix(upload);
  const auto file = [&](const char* name, std::uint64_t& bytes) -> Status {
    const auto path = directory_ / name;
    TRIBUTARY_ASSIGN(bytes, FileBytes(path));
    TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY));
    return bucket.Put(prefix + name, bytes, FromFile(fd, path, 0));
  };
  if (failed.ok()) failed = file("slots", place.slots);
  if (failed.ok()) failed = file("pages", place.pages);
  if (failed.ok()) failed = file("spec", place.spec);
  if (failed.ok()) failed = CheckUploaded(bucket, prefix, place.parts() + 3);
  const std::string commit = EncodeHeader(place) + root;
  if (failed.ok()) failed = DropCommits(bucket, name_);
  if (failed.ok()) {
    failed = bucket.Put(CommitKey(upload), commit.size(), FromText(commit));
    // It may be there all the same, with its reply lost; nobody was told of it.
    if (!failed.ok()) static_cast<void>(bucket.Delete(CommitKey(upload)));
  }
  if (!failed.ok()) return failed.error().Wrap(fmt::format("object '{}' could not be put into the bucket and is not sealed", name_.str()));
  const std::string header = commit.substr(0, kCommitHeaderBytes);
  TRIBUTARY_TRY(WriteWholeFile(directory_ / "bucket.tmp", std::as_bytes(std::span(header)), true));
  TRIBUTARY_TRY(RenamePath(directory_ / "bucket.tmp", directory_ / kBucketMark));
  const std::lock_guard lock(state_);
  place_ = std::move(place);
  in_bucket_ = true;
  return Ok();
}

Status DiskObject::UploadSealed() {
  const std::lock_guard one(seal_);
  if (!sealed_ || in_bucket_ || !GoesToBucket() || retired()) return Ok();
  TRIBUTARY_ASSIGN(const auto files, Files());
  return UploadAgain(*files);
}

Status DiskObject::UploadAgain(const OpenFiles& files) {
  TRIBUTARY_TRY(SyncAll(files));
  TRIBUTARY_ASSIGN(const std::uint64_t bytes, FileBytes(directory_ / "root"));
  std::string root(bytes, '\0');
  TRIBUTARY_TRY(ReadExactly(directory_ / "root", std::as_writable_bytes(std::span(root))));
  TRIBUTARY_TRY(CheckRoot(std::as_bytes(std::span(root))));
  std::string digest;
  {
    const std::lock_guard lock(state_);
    digest = digest_;
  }
  TRIBUTARY_TRY(Upload(files, root, digest));
  return SyncDirectory(directory_);
}

Status DiskObject::ReadFromBucket(const SlotRecord& record, std::span<std::byte> out) {
  UploadRef upload{name_, {}};
  std::uint64_t part_bytes = 0;
  {
    const std::lock_guard lock(state_);
    upload.id = place_.id;
    part_bytes = place_.part_bytes;
    if (record.location > place_.data || out.size() > place_.data - record.location) {
      return MakeError(Code::kDataLoss, "a slot of object '{}' lies beyond the end of its data in the bucket", name_.str());
    }
  }
  std::uint64_t at = record.location;
  for (std::span<std::byte> rest = out; !rest.empty();) {
    const std::uint64_t part = at / part_bytes;
    const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), (part + 1) * part_bytes - at));
    const Status got = shared_.bucket->Get(PartKey(upload, part), at - part * part_bytes, rest.first(step));
    if (!got.ok()) {
      const Error error = got.error().Wrap(fmt::format("object '{}' lies in the bucket alone", name_.str()));
      if (error.code() == Code::kNotFound) return Error(Code::kDataLoss, error.message());
      // To readers, unavailable means that a slot may still come.
      return error.code() == Code::kUnavailable ? Error(Code::kIo, error.message()) : error;
    }
    at += step;
    rest = rest.subspan(step);
  }
  if (record.bytes == out.size() && digest::ComputeXxh128(out) == record.digest.xxh128) return Ok();
  return MakeError(Code::kDataLoss, "a chunk of object '{}' in the bucket does not match its XXH3-128 digest", name_.str());
}

void DiskObject::Touch() {
  const std::int64_t now = NowSeconds();
  std::int64_t last = touched_;
  if (last == now || !touched_.compare_exchange_strong(last, now)) return;
  // Only an order for evictions: nothing is lost if it fails.
  static_cast<void>(utimensat(AT_FDCWD, (directory_ / kBucketMark).c_str(), nullptr, 0));
}

Result<std::uint64_t> DiskObject::Evict() {
  const std::unique_lock one(seal_, std::try_to_lock);
  if (!one.owns_lock() || !in_bucket_ || !sealed_ || retired()) return std::uint64_t{0};
  const auto data = directory_ / "data";
  TRIBUTARY_ASSIGN(const bool there, Exists(data));
  if (!there) return std::uint64_t{0};
  TRIBUTARY_ASSIGN(const std::uint64_t bytes, FileBytes(data));
  std::error_code error;
  std::filesystem::remove(data, error);
  if (error) return ErrnoError(error.value(), "removing " + data.string());
  local_ = false;
  // Reads under way keep their descriptor.
  CloseFiles();
  shared_.space.Give(name_, UpToBlock(bytes));
  log::Info("evicted: object '{}' lies in the bucket alone now, {} are free again", name_.str(), FormatBytes(bytes));
  return UpToBlock(bytes);
}

}  // namespace tributary::blob
