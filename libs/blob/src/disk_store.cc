#include <algorithm>
#include <set>

#include "bucket_keeper.h"
#include "directory.h"
#include "disk_object.h"
#include "local_store.h"
#include "object_table.h"
#include "scrub.h"
#include "tributary/base/log.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

// Of one pass; the next one finds the others.
constexpr std::size_t kMaxAbandoned = 1000;
// The same, of sealed objects that the bucket lacks.
constexpr std::size_t kMaxUploads = 10'000;

void RemoveTree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log::Warning("{} could not be removed, its bytes stay on the disk: {}", path.string(), error.message());
}

class DirectoryStore final : public LocalStore, public DiskStore {
 public:
  DirectoryStore(const DiskOptions& options, memory::Pool& pool, Fd lock)
      : LocalStore(pool),
        objects_(ObjectsIn(options.directory)),
        tmp_(TemporaryIn(options.directory)),
        lock_(std::move(lock)),
        cache_bytes_(options.cache_bytes),
        bucket_grace_(options.bucket_grace),
        shared_(options) {
    if (options.bucket == nullptr) return;
    keeper_.emplace(*options.bucket, objects_, tmp_, shared_);
    table_.FetchWith(*keeper_);
    shared_.space.OnFull([this](std::uint64_t bytes) { Reclaim(bytes); });
  }

  // Counts what an earlier process left, and finds what the bucket holds.
  Status Begin() {
    if (keeper_) TRIBUTARY_TRY(keeper_->Begin());
    return ForEachObject(objects_, [&](const ObjectName& name, const fs::path& directory) {
      shared_.space.TakeAnyway(name, TakenBytesOf(directory));
      return Ok();
    });
  }

  Result<CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    std::optional<Trash> trash;
    auto outcome = Make(name, spec, replace, trash);
    if (trash) Discard(*trash);
    return outcome;
  }

  Result<ObjectInfo> Stat(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Stat();
  }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Spec();
  }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range,
                                                 std::uint64_t generation) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Missing(range, generation);
  }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    auto sealed = object->Seal(generation, durable);
    if (sealed.ok() && durable) TrimCache();
    return sealed;
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Root();
  }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Page(page);
  }

  Status Remove(const ObjectName& name) override {
    TRIBUTARY_TRY(CheckPath(name.str(), "object name"));
    std::optional<Trash> trash;
    std::string parts;
    Status removed;
    {
      std::unique_lock<std::mutex> alone;
      std::unique_lock<std::mutex> fetch;
      if (keeper_) {
        alone = std::unique_lock(keeper_->LockOf(name));
        fetch = std::unique_lock(keeper_->FetchLockOf(name));
      }
      {
        const std::lock_guard admin(admin_);
        TRIBUTARY_TRY(TakeAway(name, trash));
      }
      if (keeper_ && trash) {
        auto uncommitted = keeper_->Uncommit(name, trash->path);
        removed = uncommitted.status();
        if (uncommitted.ok()) parts = *std::move(uncommitted);
      }
    }
    Changed();
    if (trash) Discard(*trash);
    if (!parts.empty()) keeper_->RemoveParts({name, parts});
    return removed;
  }

  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after,
                                       std::uint32_t limit) override {
    // The `limit` first names that fit: no more are held, however many there are.
    std::set<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(objects_, error), end; !error && it != end; it.increment(error)) {
      std::string name = ObjectTextOf(it->path());
      if (name <= after || !name.starts_with(prefix)) continue;
      names.insert(std::move(name));
      if (names.size() > limit) names.erase(std::prev(names.end()));
    }
    if (error) return ErrnoError(error.value(), "listing " + objects_.string());
    std::vector<ObjectName> list;
    for (const std::string& text : names) {
      auto name = ObjectName::Parse(text);
      if (name.ok()) list.push_back(*std::move(name));
    }
    return list;
  }

  Result<SlotMeta> PutSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                           const digest::Xxh128* expected, const digest::Sha256* sha256) override {
    TRIBUTARY_ASSIGN(auto object, Find(name));
    wire::SlotDigest digest{{}, digest::ComputeXxh128(bytes)};
    if (expected != nullptr && *expected != digest.xxh128) return DigestMismatch(name, slot, "as received");
    TRIBUTARY_TRY(object->CheckContent(slot, bytes));
    digest.sha256 = sha256 != nullptr ? *sha256 : digest::ComputeSha256(bytes);
    bool gone = false;
    auto put = object->Put(slot, generation, bytes, digest, object->Squares(slot, bytes), &gone);
    if (gone) {
      // Replaced while the bytes were hashed: they belong to the new one, if they fit it.
      TRIBUTARY_ASSIGN(object, Find(name));
      TRIBUTARY_TRY(object->CheckContent(slot, bytes));
      put = object->Put(slot, generation, bytes, digest, object->Squares(slot, bytes), &gone);
    }
    if (put.ok()) Changed();
    return put;
  }
  Result<SlotMeta> StatSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->StatSlot(slot, min_generation);
  }
  Result<SlotMeta> GetSlot(const ObjectName& name, std::uint64_t slot, std::span<std::byte> out) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->Get(slot, out);
  }
  Result<std::uint64_t> DocumentBytes(const ObjectName& name, Document document, std::uint64_t page) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->DocumentBytes(document, page);
  }
  Status ReadDocument(const ObjectName& name, Document document, std::uint64_t page, std::span<std::byte> out) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->ReadDocument(document, page, out);
  }

  Status PutDigests(const ObjectName& name, std::uint64_t page, std::uint64_t generation, std::span<const wire::SlotDigest> digests) override {
    TRIBUTARY_ASSIGN(const auto object, Find(name));
    return object->PutDigests(page, generation, digests);
  }

  bool Waits(const ObjectName& name) override { return keeper_ && table_.Waits(name); }

  bool Rereads(const ObjectName& name) override { return table_.Rereads(name); }

  StoreUse Use() const override { return {shared_.space.used(), shared_.space.quota(), evictions_}; }

  Status TendBucket(std::stop_token stop) override {
    if (!keeper_) return Ok();
    Status first;
    // What was stopped says so; else the first error, after everything was tried.
    const auto note = [&](const Status& status) {
      if (!status.ok() && first.ok()) first = status;
      return status.ok() || status.error().code() != Code::kCancelled;
    };
    std::vector<ObjectName> here;
    TRIBUTARY_TRY(ForEachObject(objects_, [&](const ObjectName& name, const fs::path& directory) {
      const auto sealed = Exists(directory / "root");
      const auto marked = Exists(directory / kBucketMark);
      if (sealed.ok() && *sealed && marked.ok() && !*marked && here.size() < kMaxUploads) here.push_back(name);
      return Ok();
    }));
    for (const ObjectName& name : here) {
      if (stop.stop_requested()) return Error(Code::kCancelled, "stopped");
      const auto object = Find(name);
      if (!note(object.ok() ? (*object)->UploadSealed() : object.status())) return first;
    }
    TrimCache();
    note(keeper_->Sweep(bucket_grace_, stop));
    return first;
  }

  Result<ScrubReport> Scrub(const ScrubOptions& options) override { return ScrubObjects(objects_, shared_.shard, options); }

  Result<std::uint64_t> RemoveAbandoned(Duration age) override {
    std::vector<ObjectName> old;
    TRIBUTARY_TRY(ForEachObject(objects_, [&](const ObjectName& name, const fs::path& directory) {
      if (old.size() < kMaxAbandoned && IsAbandoned(name, directory, age)) old.push_back(name);
      return Ok();
    }));
    std::uint64_t removed = 0;
    for (const ObjectName& name : old) {
      std::optional<Trash> trash;
      {
        const std::lock_guard admin(admin_);
        // Somebody may have come back to it, or sealed it.
        if (!IsAbandoned(name, objects_ / FileNameOf(name), age)) continue;
        log::Warning("removed: nobody went on with object '{}' for {}", name.str(), FormatDuration(age));
        TRIBUTARY_TRY(TakeAway(name, trash));
      }
      if (trash) Discard(*trash);
      ++removed;
    }
    if (removed > 0) Changed();
    return removed;
  }

 private:
  struct Trash {
    ObjectName name;
    fs::path path;
    std::uint64_t room = 0;
  };

  Result<CreateOutcome> Make(const ObjectName& name, const wire::ObjectSpec& spec, bool replace, std::optional<Trash>& trash) {
    TRIBUTARY_TRY(CheckPath(name.str(), "object name"));
    TRIBUTARY_ASSIGN(const ObjectShape shape, ObjectShape::Make(spec, shared_.shard));
    std::unique_lock<std::mutex> alone;
    if (keeper_) {
      alone = std::unique_lock(keeper_->LockOf(name));
      // What this has to fetch, it fetches while others go on.
      const auto fetched = Find(name);
      if (!fetched.ok() && fetched.error().code() != Code::kNotFound && fetched.error().code() != Code::kDataLoss) return fetched.error();
    }
    const std::lock_guard admin(admin_);
    const auto found = Find(name);
    bool there = found.ok();
    if (found.ok()) {
      TRIBUTARY_ASSIGN(const bool same, (*found)->HasSpec(spec));
      if (same) return CreateOutcome{true, (*found)->sealed()};
      if ((*found)->sealed() || !replace) return OtherSpec(name, (*found)->sealed());
      TRIBUTARY_ASSIGN(const ObjectInfo info, (*found)->Stat());
      if (info.kind == wire::ObjectKind::kUpdate && info.slots_present > 0) return UpdateInUse(name);
    } else if (found.error().code() == Code::kDataLoss) {
      if (keeper_ && keeper_->IsInBucket(objects_ / FileNameOf(name))) return found.error();
      // An open object that power loss left unreadable holds nothing. A sealed one is thrown away only if that was asked for and it is
      // known to be no model: updates are put again.
      TRIBUTARY_ASSIGN(const bool sealed, Exists(objects_ / FileNameOf(name) / "root"));
      if (sealed && !(replace && IsNoModel(name))) return found.error();
      log::Warning("replaced: {}", found.error().message());
      there = true;
    } else if (found.error().code() != Code::kNotFound) {
      return found.error();
    }
    const std::uint64_t room = DiskObject::BytesToMake(shape, spec);
    TRIBUTARY_TRY(shared_.space.Take(name, room, there ? TakenBytesOf(objects_ / FileNameOf(name)) : 0));
    const fs::path made = tmp_ / std::to_string(++tmp_count_);
    Status status = MakeDirectory(made);
    if (status.ok()) status = DiskObject::Make(made, spec, shared_.shard);
    if (!status.ok() && status.error().code() == Code::kResourceExhausted && keeper_ && Reclaim(room) > 0) {
      RemoveTree(made);
      status = MakeDirectory(made);
      if (status.ok()) status = DiskObject::Make(made, spec, shared_.shard);
    }
    if (status.ok() && there) status = TakeAway(name, trash);
    if (status.ok()) status = RenamePath(made, objects_ / FileNameOf(name));
    if (!status.ok()) {
      RemoveTree(made);
      shared_.space.Give(name, room);
      return status.error();
    }
    Changed();
    return CreateOutcome{};
  }

  Result<std::shared_ptr<DiskObject>> Find(const ObjectName& name) { return table_.Find(name); }

  // Evicts what was not read for longest, until so many bytes are free or nothing is left. Gives what it freed.
  std::uint64_t Reclaim(std::uint64_t bytes) {
    const std::lock_guard one(reclaim_);
    std::uint64_t freed = 0;
    for (bool more = true; more && freed < bytes;) {
      more = false;
      const auto cache = keeper_->FindCached();
      if (!cache.ok()) break;
      for (const BucketKeeper::Cached& cached : cache->oldest) {
        if (freed >= bytes) break;
        const auto object = table_.FindHere(cached.name);
        const auto evicted = object.ok() ? (*object)->Evict() : Result<std::uint64_t>(object.error());
        if (!evicted.ok() || *evicted == 0) continue;
        freed += *evicted;
        ++evictions_;
        more = true;
      }
    }
    return freed;
  }
  void TrimCache() {
    if (!keeper_ || cache_bytes_ == 0) return;
    const auto cache = keeper_->FindCached();
    if (cache.ok() && cache->bytes > cache_bytes_) Reclaim(cache->bytes - cache_bytes_);
  }

  // As the spec of an object that cannot be loaded tells.
  bool IsNoModel(const ObjectName& name) const {
    const auto text = ReadWholeFile(objects_ / FileNameOf(name) / "spec", DiskObject::kMaxSpecBytes);
    if (!text.ok()) return false;
    const auto spec = wire::DecodeObjectSpec(std::as_bytes(std::span(*text)));
    return spec.ok() && spec->kind != wire::ObjectKind::kModel;
  }

  // Moves the object's directory out of sight, to be discarded once admin_ is free: large files take their time. Absent is fine.
  // REQUIRES admin_.
  Status TakeAway(const ObjectName& name, std::optional<Trash>& trash) {
    const fs::path away = tmp_ / std::to_string(++tmp_count_);
    TRIBUTARY_ASSIGN(const bool moved, table_.TakeAway(name, away));
    if (!moved) return Ok();
    trash = Trash{name, away, TakenBytesOf(away)};
    return Ok();
  }

  void Discard(const Trash& trash) {
    RemoveTree(trash.path);
    shared_.space.Give(trash.name, trash.room);
  }

  const fs::path objects_;
  const fs::path tmp_;
  const Fd lock_;
  const std::uint64_t cache_bytes_;
  const Duration bucket_grace_;
  DiskShared shared_;
  std::optional<BucketKeeper> keeper_;  // with a bucket
  ObjectTable table_{objects_, shared_};
  std::mutex reclaim_;  // one at a time
  std::atomic<std::uint64_t> evictions_{0};
  std::mutex admin_;  // one Create or Remove at a time, but for what Remove unlinks
  std::uint64_t tmp_count_ = 0;  // protected by admin_
};

}  // namespace

Result<std::unique_ptr<DiskStore>> OpenDiskStore(const DiskOptions& options, memory::Pool& pool) {
  if (!options.shard.valid()) {
    return MakeError(Code::kInvalidArgument, "shards are numbered from 0: there is no shard {} of {}", options.shard.number, options.shard.count);
  }
  TRIBUTARY_TRY(MakeDirectory(options.directory));
  TRIBUTARY_ASSIGN(Fd lock, LockStore(options.directory));
  TRIBUTARY_TRY(CheckFormat(options.directory, options.shard));
  RemoveTree(TemporaryIn(options.directory));
  TRIBUTARY_TRY(MakeDirectory(TemporaryIn(options.directory)));
  TRIBUTARY_TRY(MakeDirectory(ObjectsIn(options.directory)));
  TRIBUTARY_TRY(SyncDirectory(options.directory));
  auto store = std::make_unique<DirectoryStore>(options, pool, std::move(lock));
  TRIBUTARY_TRY(store->Begin());
  return std::unique_ptr<DiskStore>(std::move(store));
}

}  // namespace tributary::blob
