#include "services/blob-store/staging.h"

#include <memory>
#include <utility>

#include "tributary/digest/digest.h"

namespace tributary::service {

Staging::Staging(blob::SlotStore& store, Workers& workers, Done done)
    : store_(store), workers_(workers), done_(std::move(done)), queues_(workers.own_lanes()) {}

void Staging::Add(Put put, bool aside) {
  if (aside) {
    auto held = std::make_shared<Put>(std::move(put));
    workers_.PostRemote([this, held] {
      std::vector<Put> one;
      one.push_back(std::move(*held));
      Stage(std::move(one));
    });
    return;
  }
  const std::uint64_t key = Workers::KeyOf(put.object, put.message.slot);
  Queue& queue = queues_[workers_.LaneOf(key)];
  {
    const std::lock_guard lock(queue.mutex);
    queue.puts.push_back(std::move(put));
  }
  // One job a put: some find nothing to do any more.
  workers_.Post(key, [this, &queue] { Stage(queue); });
}

void Staging::Clear() {
  for (Queue& queue : queues_) {
    const std::lock_guard lock(queue.mutex);
    queue.puts.clear();
  }
}

void Staging::Stage(Queue& queue) {
  std::vector<Put> puts;
  {
    const std::lock_guard lock(queue.mutex);
    while (puts.size() < 2 && !queue.puts.empty()) {
      puts.push_back(std::move(queue.puts.front()));
      queue.puts.pop_front();
    }
  }
  Stage(std::move(puts));
}

void Staging::Stage(std::vector<Put> puts) {
  std::vector<digest::Sha256> digests;
  if (puts.size() == 2) {
    const auto pair = digest::ComputeSha256Pair(puts[0].frame.view().payload, puts[1].frame.view().payload);
    digests.assign(pair.begin(), pair.end());
  }
  for (std::size_t i = 0; i < puts.size(); ++i) {
    Put& put = puts[i];
    auto staged = store_.PutSlot(put.object, put.message.slot, put.message.generation, put.frame.view().payload, &put.message.xxh128,
                                 digests.empty() ? nullptr : &digests[i]);
    done_(std::move(put), std::move(staged));
  }
}

}  // namespace tributary::service
