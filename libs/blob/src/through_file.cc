#include "tributary/blob/through_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "files.h"

namespace tributary::blob {
namespace {

// Records one after another: which chunk, then its bytes.
class Spool {
 public:
  static Result<Spool> Make(const std::string& directory) {
    std::string name = directory + "/transfer-XXXXXX";
    const int fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return ErrnoError(errno, "making a file in " + directory);
    unlink(name.c_str());
    return Spool(Fd(fd), directory);
  }

  Status Append(const ObjectName& object, std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes) {
    auto known = std::ranges::find(objects_, object);
    if (known == objects_.end()) known = objects_.insert(objects_.end(), object);
    const Header header{static_cast<std::uint64_t>(known - objects_.begin()), slot, generation, bytes.size()};
    TRIBUTARY_TRY(WriteAt(fd_, std::as_bytes(std::span(&header, 1)), end_, directory_));
    TRIBUTARY_TRY(WriteAt(fd_, bytes, end_ + sizeof header, directory_));
    end_ += sizeof header + bytes.size();
    return Ok();
  }

  struct Record {
    ObjectName object;
    std::uint64_t slot = 0;
    std::uint64_t generation = 0;
    std::uint64_t bytes = 0;
  };
  bool AtEnd() const { return next_ == end_; }
  // The next record; its bytes are taken by Take.
  Result<Record> Next() const {
    Header header;
    TRIBUTARY_TRY(Exactly(std::as_writable_bytes(std::span(&header, 1)), next_));
    return Record{objects_[header.object], header.slot, header.generation, header.bytes};
  }
  Status Take(std::span<std::byte> out) {
    TRIBUTARY_TRY(Exactly(out, next_ + sizeof(Header)));
    next_ += sizeof(Header) + out.size();
    return Ok();
  }

 private:
  struct Header {
    std::uint64_t object;
    std::uint64_t slot;
    std::uint64_t generation;
    std::uint64_t bytes;
  };
  Spool(Fd fd, std::string directory) : fd_(std::move(fd)), directory_(std::move(directory)) {}
  Status Exactly(std::span<std::byte> out, std::uint64_t offset) const {
    TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(fd_, out, offset, directory_));
    return got == out.size() ? Ok() : Status(MakeError(Code::kIo, "a file of this transfer in {} is shorter than it was", directory_));
  }

  Fd fd_;
  std::string directory_;
  std::vector<ObjectName> objects_;
  std::uint64_t end_ = 0;
  std::uint64_t next_ = 0;
};

class FileReader final : public ChunkReader {
 public:
  FileReader(BlobStore& store, memory::Pool& pool, const ThroughFileOptions& through, ChunkSequence sequence, const ReadOptions& options)
      : store_(store), pool_(pool), through_(through), sequence_(std::move(sequence)), options_(options) {}

  Result<std::optional<Chunk>> Next() override {
    if (!spool_) TRIBUTARY_TRY(Receive());
    if (spool_->AtEnd()) return std::optional<Chunk>();
    TRIBUTARY_ASSIGN(Spool::Record record, spool_->Next());
    TRIBUTARY_ASSIGN(memory::BufferPtr buffer, pool_.Allocate(memory::Side::kRead, record.bytes, Duration(0), options_.stop));
    TRIBUTARY_TRY(spool_->Take(buffer->payload()));
    const auto bytes = std::as_const(*buffer).payload();
    return std::optional<Chunk>(Chunk{std::move(record.object), record.slot, record.generation, bytes, std::move(buffer)});
  }

 private:
  Status Receive() {
    TRIBUTARY_ASSIGN(Spool spool, Spool::Make(through_.directory));
    TRIBUTARY_ASSIGN(const auto reader, store_.Read(std::move(sequence_), options_));
    for (std::uint64_t bytes = 0;;) {
      TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
      if (!chunk) break;
      TRIBUTARY_TRY(spool.Append(chunk->object, chunk->slot, chunk->generation, chunk->bytes));
      if (through_.moved) through_.moved("download", bytes += chunk->bytes.size());
    }
    spool_ = std::move(spool);
    return Ok();
  }

  BlobStore& store_;
  memory::Pool& pool_;
  const ThroughFileOptions& through_;
  ChunkSequence sequence_;
  const ReadOptions options_;
  std::optional<Spool> spool_;
};

class FileWriter final : public ChunkWriter {
 public:
  FileWriter(const ThroughFileOptions& through, std::unique_ptr<ChunkWriter> inner, Spool spool)
      : through_(through), inner_(std::move(inner)), spool_(std::move(spool)) {}

  Result<memory::BufferPtr> Allocate(std::size_t bytes) override { return inner_->Allocate(bytes); }
  Status Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) override {
    return spool_.Append(object, slot, 0, std::as_const(*chunk).payload());
  }
  Status Flush() override {
    std::uint64_t sent = 0;
    while (!spool_.AtEnd()) {
      TRIBUTARY_ASSIGN(const Spool::Record record, spool_.Next());
      TRIBUTARY_ASSIGN(memory::BufferPtr buffer, inner_->Allocate(record.bytes));
      TRIBUTARY_TRY(spool_.Take(buffer->payload()));
      TRIBUTARY_TRY(inner_->Put(record.object, record.slot, std::move(buffer)));
      if (through_.moved) through_.moved("upload", sent += record.bytes);
    }
    return inner_->Flush();
  }
  std::uint64_t deduplicated() const override { return inner_->deduplicated(); }

 private:
  const ThroughFileOptions& through_;
  std::unique_ptr<ChunkWriter> inner_;
  Spool spool_;
};

class FileStore final : public BlobStore {
 public:
  FileStore(std::shared_ptr<BlobStore> store, memory::Pool& pool, ThroughFileOptions options)
      : store_(std::move(store)), pool_(pool), options_(std::move(options)) {}

  Result<std::unique_ptr<ChunkReader>> Read(ChunkSequence sequence, const ReadOptions& options) override {
    return std::unique_ptr<ChunkReader>(std::make_unique<FileReader>(*store_, pool_, options_, std::move(sequence), options));
  }
  Result<std::unique_ptr<ChunkWriter>> Write(const WriteOptions& options) override {
    TRIBUTARY_ASSIGN(Spool spool, Spool::Make(options_.directory));
    TRIBUTARY_ASSIGN(auto writer, store_->Write(options));
    return std::unique_ptr<ChunkWriter>(std::make_unique<FileWriter>(options_, std::move(writer), std::move(spool)));
  }

  Result<CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    return store_->Create(name, spec, replace);
  }
  Result<ObjectInfo> Stat(const ObjectName& name) override { return store_->Stat(name); }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override { return store_->Spec(name); }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) override {
    return store_->Missing(name, range, generation);
  }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    return store_->Seal(name, generation, durable);
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override { return store_->Root(name); }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override { return store_->Page(name, page); }
  Status Remove(const ObjectName& name) override { return store_->Remove(name); }
  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after, std::uint32_t limit) override {
    return store_->List(prefix, after, limit);
  }

 private:
  const std::shared_ptr<BlobStore> store_;
  memory::Pool& pool_;
  const ThroughFileOptions options_;
};

}  // namespace

std::shared_ptr<BlobStore> ThroughFile(std::shared_ptr<BlobStore> store, memory::Pool& pool, ThroughFileOptions options) {
  return std::make_shared<FileStore>(std::move(store), pool, std::move(options));
}

}  // namespace tributary::blob
