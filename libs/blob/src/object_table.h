// Private: the objects of a store that were asked for, loaded from their directories when they first are.
//
// A few hundred bytes an object. Only so many of the most recently used have their files open. Thread-safe; what the bucket has to give is fetched
// without a lock, so that nobody waits for the network who does not ask for it.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "bucket_keeper.h"
#include "disk_object.h"

namespace tributary::blob {

class ObjectTable {
 public:
  // `shared` must outlive it.
  ObjectTable(std::filesystem::path objects, DiskShared& shared) : objects_(std::move(objects)), shared_(shared) {}
  // Before the first Find, of a store with a bucket; must outlive it.
  void FetchWith(BucketKeeper& keeper) { keeper_ = &keeper; }

  Result<std::shared_ptr<DiskObject>> Find(const ObjectName& name);
  // Without the bucket: kUnavailable for one that has to be fetched.
  Result<std::shared_ptr<DiskObject>> FindHere(const ObjectName& name);
  // Whether its chunks, or all of it, lie in the bucket alone.
  bool Waits(const ObjectName& name);
  // Whether its slots may have to be read again before they are believed: also of one that nobody asked for yet.
  bool Rereads(const ObjectName& name);
  // Moves its directory to `away` once puts and a seal under way have ended; later ones do not find it. False when there is none.
  Result<bool> TakeAway(const ObjectName& name, const std::filesystem::path& away);

 private:
  struct Entry {
    std::shared_ptr<DiskObject> object;
    std::list<ObjectName>::iterator recent;  // recent_.end() when its files are closed
  };

  const std::filesystem::path objects_;
  DiskShared& shared_;
  BucketKeeper* keeper_ = nullptr;

  std::mutex cache_;
  // Protected by cache_; most recently used first.
  std::unordered_map<ObjectName, Entry> known_;
  std::list<ObjectName> recent_;
};

}  // namespace tributary::blob
