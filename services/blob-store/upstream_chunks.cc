// Chunks of objects that are asked for and not here: the UpstreamCache's second thread.
#include <algorithm>
#include <utility>

#include "services/blob-store/upstream_cache.h"
#include "tributary/base/log.h"
#include "tributary/digest/digest.h"

namespace tributary::service {
namespace {

constexpr std::chrono::milliseconds kPause{500};  // after an error

}  // namespace

bool UpstreamCache::SomethingWanted() const {
  return std::any_of(objects_.begin(), objects_.end(), [](const auto& entry) {
    return !entry.second.complete && (!entry.second.urgent.empty() || entry.second.next < entry.second.coming.size());
  });
}

std::optional<blob::ChunkRef> UpstreamCache::NextWanted() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, object] : objects_) {
    while (!object.complete && !object.urgent.empty()) {
      const std::uint64_t slot = object.urgent.front();
      object.urgent.pop_front();
      if (object.coming[slot]) continue;
      object.coming[slot] = true;
      return blob::ChunkRef{name, slot};
    }
  }
  // What was read last is waited for.
  Object* latest = nullptr;
  const Name* of = nullptr;
  for (auto& [name, object] : objects_) {
    if (object.complete) continue;
    while (object.next < object.coming.size() && object.coming[object.next]) ++object.next;
    if (object.next == object.coming.size() || (latest != nullptr && object.used <= latest->used)) continue;
    latest = &object;
    of = &name;
  }
  if (latest == nullptr) return std::nullopt;
  latest->coming[latest->next] = true;
  return blob::ChunkRef{*of, latest->next};
}

void UpstreamCache::RunChunks(std::stop_token stop) {
  blob_client::RemoteOptions remote;
  remote.endpoints = options_.endpoints;
  remote.instance = "cache";
  remote.connect_timeout = remote.request_timeout = remote.read_timeout = options_.read_timeout;
  remote.stop = stop;
  const auto store = blob_client::ConnectStore(context_, pool_, remote);
  if (!store.ok()) return;
  blob::ReadOptions reading;
  reading.stop = stop;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return SomethingWanted(); })) return;
    }
    Status status;
    auto reader = (*store)->Read([this] { return NextWanted(); }, reading);
    if (!reader.ok()) status = reader.error();
    while (status.ok()) {
      auto chunk = (*reader)->Next();
      if (!chunk.ok()) {
        status = chunk.error();
      } else if (*chunk) {
        status = Stage(**chunk);
      } else {
        break;
      }
    }
    if (status.ok()) continue;
    if (stop.stop_requested()) return;
    Lost(status.error());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, kPause, [] { return false; });
    if (stop.stop_requested()) return;
  }
}

Status UpstreamCache::Stage(const blob::Chunk& chunk) {
  const std::uint64_t number = chunk.slot / wire::kPageDigests;
  if (page_of_ != chunk.object || page_number_ != number || page_.empty()) {
    TRIBUTARY_ASSIGN(page_, SidePage(chunk.object, number));
    page_of_ = chunk.object;
    page_number_ = number;
  }
  ++counters_.chunks;
  counters_.bytes += chunk.bytes.size();
  // Before it is staged: from then on it is served.
  const digest::Sha256 sha256 = digest::ComputeSha256(chunk.bytes);
  const std::uint64_t index = chunk.slot % wire::kPageDigests;
  if (index >= page_.size() || page_[index].sha256 != sha256) {
    return MakeError(Code::kDataLoss, "slot {} of object '{}' came from {} with other bytes than were sealed", chunk.slot, chunk.object.str(),
                     name_);
  }
  auto staged = local_.PutSlot(chunk.object, chunk.slot, chunk.generation, chunk.bytes, nullptr, &sha256);
  if (!staged.ok() && staged.error().code() == Code::kResourceExhausted) {
    TRIBUTARY_TRY(MakeRoom(chunk.object, staged.error()));
    staged = local_.PutSlot(chunk.object, chunk.slot, chunk.generation, chunk.bytes, nullptr, &sha256);
  }
  TRIBUTARY_TRY(staged.status());
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(chunk.object);
    if (found == objects_.end() || found->second.complete || found->second.have[chunk.slot]) return Ok();
    found->second.have[chunk.slot] = true;
    if (--found->second.missing == 0) {
      to_seal_.push_back(chunk.object);
      changed_.notify_all();
    }
  }
  events_.slot(chunk.object, chunk.slot);
  return Ok();
}

void UpstreamCache::Lost(const Error& error) {
  const bool away = error.code() == Code::kDeadline || error.code() == Code::kUnavailable;
  std::vector<Name> dropped;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = objects_.begin(); it != objects_.end();) {
      Object& object = it->second;
      if (object.complete || object.missing == 0) {
        ++it;
      } else if (away) {
        // Asked for again from where it was; nothing that is here comes again.
        object.coming = object.have;
        object.next = 0;
        ++it;
      } else {
        // It may have gone, or be another one: looked at anew. Its slots stay on the disk until then.
        dropped.push_back(it->first);
        it = objects_.erase(it);
      }
    }
  }
  page_.clear();
  log::Warning("{}{}", error.message(), away ? "; asking again" : "");
  for (const Name& name : dropped) {
    if (error.code() == Code::kDataLoss || error.code() == Code::kResourceExhausted) events_.failed(name, error, true);
    events_.changed(name);
  }
}

}  // namespace tributary::service
