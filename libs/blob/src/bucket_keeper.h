// Private: keeps a store's directory and its bucket in step (docs/blob-store.md): what the bucket holds is found at start, fetched when it is
// asked for and removed with its object; what belongs to nobody is swept; directories are put in order of their last read.
//
// Works on paths and keys alone. Thread-safe but for Begin, which runs before any object is loaded.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "bucket_object.h"
#include "disk_object.h"
#include "tributary/blob/bucket.h"

namespace tributary::blob {

class BucketKeeper {
 public:
  // `bucket` and `shared` must outlive it.
  BucketKeeper(Bucket& bucket, std::filesystem::path objects, std::filesystem::path tmp, DiskShared& shared)
      : bucket_(bucket), objects_(std::move(objects)), tmp_(std::move(tmp)), shared_(shared) {}

  // Checks that the bucket is one of a store and may be used; makes an entry for each object in it.
  Status Begin();

  // An entry of which nothing was fetched yet.
  static Result<bool> IsStub(const std::filesystem::path& directory);
  // Whether it is of an object in the bucket, fetched or not.
  static bool IsInBucket(const std::filesystem::path& directory);
  // Everything but the chunks. Done already is fine. kNotFound, with the entry removed, when the bucket has it no more.
  Status Fetch(const ObjectName& name, const std::filesystem::path& directory);
  // Whatever lies in `directory` of an object in the bucket, but for the fact that it does, is no good.
  Status Forget(const ObjectName& name, const std::filesystem::path& directory);

  // `away` is the object's directory, moved out of its place. If it lies in the bucket: its commit is deleted, or else the object is put
  // back as an entry. Gives the id of the parts that are to be removed, empty if there are none.
  Result<std::string> Uncommit(const ObjectName& name, const std::filesystem::path& away);
  void RemoveParts(const UploadRef& upload);

  // Removes parts that no commit names and no upload is making, once that was so for `grace`: the store before this one may still be
  // at its last upload.
  Status Sweep(Duration grace, std::stop_token stop);

  struct Cached {
    std::filesystem::file_time_type read;
    ObjectName name;
    std::uint64_t bytes = 0;
  };
  struct Cache {
    std::vector<Cached> oldest;  // some, in order
    std::uint64_t bytes = 0;     // of all
  };
  // Objects with chunks both here and in the bucket.
  Result<Cache> FindCached() const;

  // Held while a name is removed, or made anew: the one must not overtake the other.
  std::mutex& LockOf(const ObjectName& name) { return names_[IndexOf(name)]; }
  // Held while its files are fetched, or moved away. After LockOf, if both.
  std::mutex& FetchLockOf(const ObjectName& name) { return fetches_[IndexOf(name)]; }

 private:
  static std::size_t IndexOf(const ObjectName& name) { return std::hash<ObjectName>()(name) % kStripes; }
  Status CheckFormat();
  // Of all commits of a name, of which there is one but after a rare failure, one is kept.
  Status Adopt(const std::vector<UploadRef>& commits);
  Status WriteStub(const UploadRef& upload);
  // Which upload the directory tells of, by its mark or as a stub; empty if of none. kDataLoss when that cannot be read.
  static Result<std::string> UploadIn(const std::filesystem::path& directory);
  Status CompareWith(std::vector<std::size_t> seen);
  Result<BucketObject> ReadHeader(const UploadRef& upload);
  Status FetchFiles(const ObjectName& name, const std::filesystem::path& directory);
  Status FetchFile(const std::string& key, std::uint64_t bytes, const std::filesystem::path& path);
  // Whether the parts with this id belong to a sealed object, or will.
  Result<bool> IsLive(const UploadRef& upload);
  std::filesystem::path DirectoryOf(const ObjectName& name) const;

  static constexpr std::size_t kStripes = 64;

  Bucket& bucket_;
  const std::filesystem::path objects_;
  const std::filesystem::path tmp_;
  DiskShared& shared_;
  std::uint64_t moved_ = 0;  // in Begin
  std::map<std::string, std::chrono::steady_clock::time_point> leftovers_;  // prefixes of parts, and since when; in Sweep
  std::array<std::mutex, kStripes> fetches_;
  std::array<std::mutex, kStripes> names_;
};

}  // namespace tributary::blob
