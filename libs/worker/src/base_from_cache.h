// Private: a task's blob-store whose base comes from a cache near the trainer, while everything else goes to the store itself.
//
// A task reads chunks of its base alone, and writes none of it. Used by the task's thread, as the two stores are.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tributary/blob/store.h"

namespace tributary::worker {

class BaseFromCache final : public blob::BlobStore {
 public:
  BaseFromCache(std::string base, std::shared_ptr<blob::BlobStore> cache, std::shared_ptr<blob::BlobStore> store)
      : base_(std::move(base)), cache_(std::move(cache)), store_(std::move(store)) {}

  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    return store_->Create(name, spec, replace);
  }
  Result<blob::ObjectInfo> Stat(const ObjectName& name) override { return Of(name).Stat(name); }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override { return Of(name).Spec(name); }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) override {
    return Of(name).Missing(name, range, generation);
  }
  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence sequence, const blob::ReadOptions& options) override {
    return cache_->Read(std::move(sequence), options);
  }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions& options) override { return store_->Write(options); }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    return store_->Seal(name, generation, durable);
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override { return Of(name).Root(name); }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override { return Of(name).Page(name, page); }
  Status Remove(const ObjectName& name) override { return store_->Remove(name); }
  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after, std::uint32_t limit) override {
    return store_->List(prefix, after, limit);
  }

 private:
  blob::BlobStore& Of(const ObjectName& name) { return name.str() == base_ ? *cache_ : *store_; }

  const std::string base_;
  const std::shared_ptr<blob::BlobStore> cache_;
  const std::shared_ptr<blob::BlobStore> store_;
};

}  // namespace tributary::worker
