// A store that counts the puts which leave a second owner of the buffer: a remote writer could never send it again.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tributary/blob/store.h"

namespace tributary::aggregator {

class SoleOwnerStore final : public blob::BlobStore {
 public:
  explicit SoleOwnerStore(std::shared_ptr<blob::BlobStore> inner) : inner_(std::move(inner)) {}
  class Writer final : public blob::ChunkWriter {
   public:
    Writer(SoleOwnerStore& store, std::unique_ptr<blob::ChunkWriter> inner) : store_(store), inner_(std::move(inner)) {}
    Result<memory::BufferPtr> Allocate(std::size_t bytes) override { return inner_->Allocate(bytes); }
    Status Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) override {
      ++store_.puts;
      store_.shared_puts += chunk.use_count() > 1;
      return inner_->Put(object, slot, std::move(chunk));
    }
    Status Flush() override { return inner_->Flush(); }

   private:
    SoleOwnerStore& store_;
    std::unique_ptr<blob::ChunkWriter> inner_;
  };
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions& options) override {
    TRIBUTARY_ASSIGN(auto inner, inner_->Write(options));
    return std::unique_ptr<blob::ChunkWriter>(new Writer(*this, std::move(inner)));
  }
  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    return inner_->Create(name, spec, replace);
  }
  Result<blob::ObjectInfo> Stat(const ObjectName& name) override { return inner_->Stat(name); }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override { return inner_->Spec(name); }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) override {
    return inner_->Missing(name, range, generation);
  }
  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence sequence, const blob::ReadOptions& options) override {
    return inner_->Read(std::move(sequence), options);
  }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    return inner_->Seal(name, generation, durable);
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override { return inner_->Root(name); }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override { return inner_->Page(name, page); }
  Status Remove(const ObjectName& name) override { return inner_->Remove(name); }
  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after, std::uint32_t limit) override {
    return inner_->List(prefix, after, limit);
  }
  int puts = 0, shared_puts = 0;

 private:
  std::shared_ptr<blob::BlobStore> inner_;
};

}  // namespace tributary::aggregator
