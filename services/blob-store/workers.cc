#include "services/blob-store/workers.h"

#include <algorithm>

namespace tributary::service {

Workers::Workers(std::size_t threads, std::size_t remote) : remote_(remote > 0) {
  const auto threads_of = [&](std::size_t lane) -> std::size_t {
    if (lane == kRemote) return remote;
    return lane != kUpload || remote > 0 ? 1 : 0;
  };
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1) + kOwnLanes; ++i) {
    lanes_.push_back(std::make_unique<Lane>());
    Lane& lane = *lanes_.back();
    for (std::size_t n = 0; n < threads_of(i); ++n) lane.threads.emplace_back([&lane] { Run(lane); });
  }
}

void Workers::Enqueue(std::size_t index, Job job) {
  Lane& lane = *lanes_[index];
  {
    const std::lock_guard lock(lane.mutex);
    if (lane.stopping) return;
    lane.jobs.push_back(std::move(job));
  }
  lane.wake.notify_one();
}

void Workers::Run(Lane& lane) {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(lane.mutex);
      lane.wake.wait(lock, [&] { return lane.stopping || !lane.jobs.empty(); });
      if (lane.stopping) return;
      job = std::move(lane.jobs.front());
      lane.jobs.pop_front();
    }
    job();
  }
}

void Workers::Stop() {
  for (const auto& lane : lanes_) {
    std::deque<Job> dropped;
    {
      const std::lock_guard lock(lane->mutex);
      lane->stopping = true;
      dropped.swap(lane->jobs);
    }
    lane->wake.notify_all();
  }
  for (const auto& lane : lanes_) {
    for (std::thread& thread : lane->threads) {
      if (thread.joinable()) thread.join();
    }
  }
}

}  // namespace tributary::service
