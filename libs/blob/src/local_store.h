// Private: the streaming half of the local stores, on top of their slot-at-a-time half.
//
// Readers take the pool's read side for one chunk at a time, writers the write side. Waiting readers are woken by Changed().
// Thread-safe; readers and writers must not outlive their store.
#pragma once

#include <condition_variable>
#include <mutex>

#include "tributary/blob/local_store.h"

namespace tributary::blob {

class LocalStore : public virtual SlotStore {
 public:
  explicit LocalStore(memory::Pool& pool) : pool_(pool) {}

  Result<std::unique_ptr<ChunkReader>> Read(ChunkSequence sequence, const ReadOptions& options) override;
  Result<std::unique_ptr<ChunkWriter>> Write(const WriteOptions& options) override;

  memory::Pool& pool() { return pool_; }
  // Counts puts and removals.
  std::uint64_t Version() const;
  // Waits until Version() is another than `seen`; false after `limit` or when stopped.
  bool AwaitChange(std::uint64_t seen, Duration limit, std::stop_token stop);

 protected:
  void Changed();

 private:
  memory::Pool& pool_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t version_ = 0;  // protected by mutex_
};

}  // namespace tributary::blob
