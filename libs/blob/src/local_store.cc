#include "local_store.h"

#include "tributary/base/clock.h"

namespace tributary::blob {
namespace {

// How long a reader or writer without a deadline of its own waits for memory: what holds it is in this process, so a long
// wait means that the consumer keeps more chunks than the budget has room for.
constexpr Duration kMemoryWait{60'000};

Error ExplainMemory(const Error& error, const memory::Pool& pool, std::uint64_t bytes) {
  if (error.code() != Code::kDeadline) return error;
  return MakeError(Code::kResourceExhausted,
                   "no room for a chunk of {}: whoever reads or writes keeps chunks that fill its half of the memory budget of {}; "
                   "raise --memory-budget or lower chunk_bytes",
                   FormatBytes(bytes), FormatBytes(pool.budget()));
}

class LocalReader final : public ChunkReader {
 public:
  LocalReader(LocalStore& store, ChunkSequence sequence, const ReadOptions& options)
      : store_(store), sequence_(std::move(sequence)), options_(options) {}

  Result<std::optional<Chunk>> Next() override {
    const auto ref = sequence_();
    if (!ref) return std::optional<Chunk>();
    const Deadline deadline(Clock::Steady(), options_.wait);
    for (;;) {
      if (options_.stop.stop_requested()) return MakeError(Code::kCancelled, "stopped while reading");
      const std::uint64_t seen = store_.Version();
      const auto meta = store_.StatSlot(ref->object, ref->slot, options_.min_generation);
      if (!meta.ok()) {
        if (meta.error().code() != Code::kUnavailable || options_.wait.count() == 0) return meta.error();
        if (deadline.Expired()) {
          return MakeError(Code::kDeadline, "slot {} of object '{}' did not come within {}; is its writer still running?",
                           ref->slot, ref->object.str(), FormatDuration(options_.wait));
        }
        store_.AwaitChange(seen, deadline.Left(), options_.stop);
        continue;
      }
      auto buffer = store_.pool().Allocate(memory::Side::kRead, meta->bytes,
                                           options_.wait.count() > 0 ? options_.wait : kMemoryWait, options_.stop);
      if (!buffer.ok()) return ExplainMemory(buffer.error(), store_.pool(), meta->bytes);
      const auto got = store_.GetSlot(ref->object, ref->slot, (*buffer)->payload());
      if (!got.ok()) {
        // Taken away between the two calls: the slot is absent like any other.
        if (got.error().code() == Code::kUnavailable && options_.wait.count() > 0) continue;
        return got.error();
      }
      const auto payload = std::as_const(**buffer).payload();
      return std::optional<Chunk>(Chunk{ref->object, ref->slot, got->generation, payload, *std::move(buffer)});
    }
  }

 private:
  LocalStore& store_;
  ChunkSequence sequence_;
  ReadOptions options_;
};

class LocalWriter final : public ChunkWriter {
 public:
  LocalWriter(LocalStore& store, const WriteOptions& options) : store_(store), options_(options) {}

  Result<memory::BufferPtr> Allocate(std::size_t bytes) override {
    auto buffer = store_.pool().Allocate(memory::Side::kWrite, bytes,
                                         options_.timeout.count() > 0 ? options_.timeout : kMemoryWait, options_.stop);
    if (!buffer.ok()) return ExplainMemory(buffer.error(), store_.pool(), bytes);
    return buffer;
  }
  Status Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) override {
    return store_.PutSlot(object, slot, options_.generation, std::as_const(*chunk).payload(), nullptr, nullptr).status();
  }
  Status Flush() override { return Ok(); }

 private:
  LocalStore& store_;
  WriteOptions options_;
};

}  // namespace

ChunkSequence SlotsOf(ObjectName object, tensor::SlotRange range) {
  return [object = std::move(object), range]() mutable -> std::optional<ChunkRef> {
    if (range.begin >= range.end) return std::nullopt;
    return ChunkRef{object, range.begin++};
  };
}

Result<std::vector<wire::SlotDigest>> SlotStore::OwnDigests(const ObjectName& name, std::uint64_t page) {
  TRIBUTARY_ASSIGN(const std::uint64_t size, DocumentBytes(name, Document::kDigests, page));
  std::vector<std::byte> bytes(size);
  TRIBUTARY_TRY(ReadDocument(name, Document::kDigests, page, bytes));
  return wire::DecodePage(bytes);
}

Result<std::unique_ptr<ChunkReader>> LocalStore::Read(ChunkSequence sequence, const ReadOptions& options) {
  return std::unique_ptr<ChunkReader>(std::make_unique<LocalReader>(*this, std::move(sequence), options));
}

Result<std::unique_ptr<ChunkWriter>> LocalStore::Write(const WriteOptions& options) {
  return std::unique_ptr<ChunkWriter>(std::make_unique<LocalWriter>(*this, options));
}

std::uint64_t LocalStore::Version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

bool LocalStore::AwaitChange(std::uint64_t seen, Duration limit, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, stop, limit, [&] { return version_ != seen; });
}

void LocalStore::Changed() {
  {
    const std::lock_guard lock(mutex_);
    ++version_;
  }
  changed_.notify_all();
}

}  // namespace tributary::blob
