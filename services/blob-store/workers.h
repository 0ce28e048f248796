// Threads that do what must not block the reactor: hashing and file I/O.
//
// Jobs with the same key run in order on one thread, so that two puts of one slot keep their order; one more thread takes the slow ones
// (create, seal, list), and one removals: a disk that is busy takes minutes to unlink gigabytes. With a bucket there is one more for seals
// that upload, and several, in no order, for whatever else waits for the bucket: no chunk on the disk waits behind the network.
// How many jobs wait is bounded by those who post them: credit and a cap of puts a peer, read budget, and caps of small requests of a
// peer and of all. Post is thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "tributary/base/names.h"

namespace tributary::service {

class Workers {
 public:
  using Job = std::function<void()>;

  // `remote`: threads for PostRemote and, if not 0, one for PostUpload.
  explicit Workers(std::size_t threads, std::size_t remote = 0);
  ~Workers() { Stop(); }

  // The key of a slot: neighbours on different lanes, and no object's slots on the same ones as every other's.
  static std::uint64_t KeyOf(const ObjectName& object, std::uint64_t slot) {
    return std::hash<std::string_view>()(object.str()) + slot;
  }

  std::size_t own_lanes() const { return lanes_.size() - kOwnLanes; }
  std::size_t LaneOf(std::uint64_t key) const { return key % own_lanes(); }
  void Post(std::uint64_t key, Job job) { Enqueue(kOwnLanes + LaneOf(key), std::move(job)); }
  void PostSlow(Job job) { Enqueue(kSlow, std::move(job)); }
  void PostRemoval(Job job) { Enqueue(kRemoval, std::move(job)); }
  void PostUpload(Job job) { Enqueue(remote_ ? kUpload : kSlow, std::move(job)); }
  void PostRemote(Job job) { Enqueue(remote_ ? kRemote : kSlow, std::move(job)); }
  bool remote() const { return remote_; }
  // Finishes the jobs under way and drops those that wait. Idempotent.
  void Stop();

 private:
  struct Lane {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Job> jobs;  // protected by mutex
    bool stopping = false;  // protected by mutex
    std::vector<std::thread> threads;
  };
  enum : std::size_t { kSlow, kRemoval, kUpload, kRemote, kOwnLanes };
  void Enqueue(std::size_t lane, Job job);
  static void Run(Lane& lane);

  const bool remote_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace tributary::service
