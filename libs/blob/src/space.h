// Private: how many bytes the objects of a store take on disk, and how many they may.
//
// Counted are `data`, the slot table and the pages of the manifest; a spec and a root are small beside them. Each owner has a share of its own, where there are shares. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "tributary/base/names.h"
#include "tributary/base/result.h"

namespace tributary::blob {

constexpr std::uint64_t kDiskBlock = 4096;
constexpr std::uint64_t UpToBlock(std::uint64_t bytes) { return (bytes + kDiskBlock - 1) / kDiskBlock * kDiskBlock; }

class Space {
 public:
  // Zero: no limit. `owner` tells whose share an object counts to; nobody's where it is empty.
  Space(std::uint64_t quota, std::uint64_t share, std::function<std::string(const ObjectName&)> owner) : quota_(quota), share_(share), owner_(std::move(owner)) {}

  // kResourceExhausted, with nothing taken, when the quota or its owner's share has no room; the text names object, need, use and limit. `soon`: what the caller
  // gives back at once.
  Status Take(const ObjectName& object, std::uint64_t bytes, std::uint64_t soon = 0);
  // Called, without locks of this class, when there is no room for so many bytes: it may Give. Set before other threads use the object.
  void OnFull(std::function<void(std::uint64_t bytes)> reclaim) { reclaim_ = std::move(reclaim); }
  // Whatever the quota says: what lies on the disk already.
  void TakeAnyway(const ObjectName& object, std::uint64_t bytes);
  void Give(const ObjectName& object, std::uint64_t bytes);

  std::uint64_t used() const { return used_; }
  std::uint64_t quota() const { return quota_; }  // 0: none

 private:
  std::optional<Error> TryTake(const ObjectName& object, std::uint64_t bytes, std::uint64_t soon);

  std::string OwnerOf(const ObjectName& object) const { return share_ == 0 ? std::string() : owner_(object); }
  void GiveShare(const ObjectName& object, std::uint64_t bytes);

  const std::uint64_t quota_;
  const std::uint64_t share_;
  const std::function<std::string(const ObjectName&)> owner_;
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> shares_;  // protected by mutex_; those that have something
  std::function<void(std::uint64_t)> reclaim_;
  std::atomic<std::uint64_t> used_{0};
};

// Of an object with a data file of `data` bytes and a table of `slots` bytes.
std::uint64_t TakenBytes(std::uint64_t data, std::uint64_t slots);
// Of the object that lies in `directory`; a file that is not there counts nothing.
std::uint64_t TakenBytesOf(const std::filesystem::path& directory);

}  // namespace tributary::blob
