#include "object_table.h"

#include "directory.h"
#include "tributary/base/log.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

// Two descriptors each.
constexpr std::size_t kMaxOpenObjects = 128;

}  // namespace

Result<std::shared_ptr<DiskObject>> ObjectTable::Find(const ObjectName& name) {
  for (bool again = true;; again = false) {
    auto found = FindHere(name);
    if (found.ok() || keeper_ == nullptr || !again) return found;
    const fs::path directory = objects_ / FileNameOf(name);
    if (found.error().code() == Code::kDataLoss) {
      // The bucket has it, too.
      const auto marked = Exists(directory / kBucketMark);
      if (!marked.ok() || !*marked) return found;
      log::LogError("fetched again from the bucket: {}", found.error().message());
      const std::lock_guard lock(cache_);
      if (!known_.contains(name)) TRIBUTARY_TRY(keeper_->Forget(name, directory));
    } else if (found.error().code() != Code::kUnavailable) {
      return found;
    }
    TRIBUTARY_TRY(keeper_->Fetch(name, directory));
  }
}

Result<std::shared_ptr<DiskObject>> ObjectTable::FindHere(const ObjectName& name) {
  const std::lock_guard lock(cache_);
  auto it = known_.find(name);
  if (it == known_.end()) {
    TRIBUTARY_TRY(CheckPath(name.str(), "object name"));
    const fs::path directory = objects_ / FileNameOf(name);
    TRIBUTARY_ASSIGN(const bool there, Exists(directory));
    if (!there) return NoSuchObject(name);
    if (keeper_ != nullptr) {
      TRIBUTARY_ASSIGN(const bool stub, BucketKeeper::IsStub(directory));
      if (stub) return MakeError(Code::kUnavailable, "object '{}' lies in the bucket alone", name.str());
    }
    TRIBUTARY_ASSIGN(auto object, DiskObject::Load(name, directory, shared_));
    it = known_.emplace(name, Entry{std::move(object), recent_.end()}).first;
  }
  Entry& entry = it->second;
  if (entry.recent == recent_.end()) {
    recent_.push_front(name);
  } else {
    recent_.splice(recent_.begin(), recent_, entry.recent);
  }
  entry.recent = recent_.begin();
  if (recent_.size() > kMaxOpenObjects) {
    Entry& oldest = known_.at(recent_.back());
    oldest.object->CloseFiles();
    oldest.recent = recent_.end();
    recent_.pop_back();
  }
  return entry.object;
}

bool ObjectTable::Waits(const ObjectName& name) {
  {
    const std::lock_guard lock(cache_);
    if (const auto it = known_.find(name); it != known_.end()) return !it->second.object->local();
  }
  const auto stub = BucketKeeper::IsStub(objects_ / FileNameOf(name));
  return stub.ok() && *stub;
}

bool ObjectTable::Rereads(const ObjectName& name) {
  const std::lock_guard lock(cache_);
  const auto it = known_.find(name);
  return it == known_.end() || !it->second.object->believed();
}

Result<bool> ObjectTable::TakeAway(const ObjectName& name, const fs::path& away) {
  std::shared_ptr<DiskObject> object;
  {
    const std::lock_guard lock(cache_);
    if (const auto it = known_.find(name); it != known_.end()) object = it->second.object;
  }
  // Waits for puts and a seal under way; new ones find it retired.
  if (object) object->Retire();
  const std::lock_guard lock(cache_);
  if (const auto it = known_.find(name); it != known_.end()) {
    if (it->second.object != object) it->second.object->Retire();
    if (it->second.recent != recent_.end()) recent_.erase(it->second.recent);
    known_.erase(it);
  }
  const fs::path directory = objects_ / FileNameOf(name);
  TRIBUTARY_ASSIGN(const bool there, Exists(directory));
  if (!there) return false;
  TRIBUTARY_TRY(RenamePath(directory, away));
  return true;
}

}  // namespace tributary::blob
