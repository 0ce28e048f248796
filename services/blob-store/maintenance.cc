#include "services/blob-store/maintenance.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tributary/base/log.h"

namespace tributary::service {
namespace {

using Clock = std::chrono::steady_clock;

// How much later than `abandoned_after` an object may go.
constexpr Duration kLongestSweep = std::chrono::hours(1);
constexpr Duration kTendBucket = std::chrono::hours(1);
constexpr Duration kTendBucketAgain = std::chrono::minutes(1);  // after a failure

}  // namespace

Maintenance::Maintenance(blob::DiskStore& store, const MaintenanceOptions& options) : store_(store), options_(options) {
  if (options_.scrub_interval.count() == 0 && options_.abandoned_after.count() == 0 && !options_.bucket) return;
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

Maintenance::~Maintenance() = default;

void Maintenance::Run(std::stop_token stop) {
  // On Linux this is of the calling thread. Whoever serves peers goes first.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
  const Duration sweep = std::min(options_.abandoned_after / 10 + Duration(1), kLongestSweep);
  const auto never = Clock::time_point::max();
  auto next_scrub = options_.scrub_interval.count() > 0 ? Clock::now() + options_.scrub_interval : never;
  auto next_sweep = options_.abandoned_after.count() > 0 ? Clock::now() + sweep : never;
  auto next_bucket = options_.bucket ? Clock::now() : never;
  std::mutex mutex;
  std::condition_variable_any woken;
  for (;;) {
    {
      std::unique_lock lock(mutex);
      woken.wait_until(lock, stop, std::min({next_scrub, next_sweep, next_bucket}), [] { return false; });
    }
    if (stop.stop_requested()) return;
    if (Clock::now() >= next_sweep) {
      Sweep();
      next_sweep = Clock::now() + sweep;
    }
    if (Clock::now() >= next_bucket) next_bucket = Clock::now() + TendBucket(stop);
    if (Clock::now() >= next_scrub) {
      Scrub(stop);
      next_scrub = Clock::now() + options_.scrub_interval;
    }
  }
}

void Maintenance::Scrub(std::stop_token stop) {
  blob::ScrubOptions options;
  options.bytes_per_second = options_.scrub_bytes_per_second;
  options.stop = stop;
  options.found = [this](const blob::Damage& damage) {
    ++damaged_;
    log::LogError("scrub: {}", damage.Text());
  };
  const auto report = store_.Scrub(options);
  if (!report.ok()) {
    if (report.error().code() != Code::kCancelled) log::LogError("scrub: {}", report.error().message());
    return;
  }
  ++passes_;
  log::Info("scrub: {} sealed objects, {} slots, {} read, {} damaged", report->objects, report->slots, FormatBytes(report->bytes),
            report->damaged);
}

Duration Maintenance::TendBucket(std::stop_token stop) {
  const Status tended = store_.TendBucket(stop);
  if (tended.ok() || tended.error().code() == Code::kCancelled) return kTendBucket;
  log::LogError("looking after the bucket, again in {}: {}", FormatDuration(kTendBucketAgain), tended.error().message());
  return kTendBucketAgain;
}

void Maintenance::Sweep() {
  const auto removed = store_.RemoveAbandoned(options_.abandoned_after);
  if (removed.ok()) {
    abandoned_ += *removed;
  } else {
    log::LogError("removing abandoned objects: {}", removed.error().message());
  }
}

}  // namespace tributary::service
