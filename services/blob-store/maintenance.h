// What a blob-store does while nobody asks: scrub, the removal of open objects that nobody goes on with, and order in its bucket.
//
// One thread of low priority, which paces its reads. Ends when destroyed, in the middle of a pass too. Counters are thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "tributary/base/units.h"
#include "tributary/blob/local_store.h"

namespace tributary::service {

struct MaintenanceOptions {
  Duration scrub_interval{0};  // between the passes, and before the first; 0: none
  std::uint64_t scrub_bytes_per_second = 0;
  Duration abandoned_after{0};  // 0: open objects stay
  bool bucket = false;          // look after it at once, and from time to time
};

class Maintenance {
 public:
  // `store` must outlive it.
  Maintenance(blob::DiskStore& store, const MaintenanceOptions& options);
  ~Maintenance();

  std::uint64_t damaged() const { return damaged_; }  // found by all passes; a slot that stays damaged counts in each
  std::uint64_t passes() const { return passes_; }
  std::uint64_t abandoned() const { return abandoned_; }

 private:
  void Run(std::stop_token stop);
  void Scrub(std::stop_token stop);
  void Sweep();
  Duration TendBucket(std::stop_token stop);  // until the next time

  blob::DiskStore& store_;
  const MaintenanceOptions options_;
  std::atomic<std::uint64_t> damaged_{0};
  std::atomic<std::uint64_t> passes_{0};
  std::atomic<std::uint64_t> abandoned_{0};
  std::jthread thread_;
};

}  // namespace tributary::service
