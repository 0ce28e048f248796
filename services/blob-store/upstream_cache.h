// A blob-store's disk as a cache of another blob-store: what is asked for and not here is fetched once, whoever asks how often.
//
// A SlotStore for the reactor. Reads of what is here go to the disk; other reads are kUnavailable and have it fetched, and `Events` say
// when to look again or why it will not come. Sealed objects alone are kept: they never change. One that is open upstream is followed: it is
// looked at again until it is sealed. An object is fetched as a whole, slots that somebody waits for first; each page of its manifest is held against the
// object's digest and each slot against its page. When the disk or its quota has no room, the least recently used object goes. Writes
// are kPermission.
// Two threads of its own, each with one connection: one for manifests, one for chunks, with a window within `memory_budget`.
// Thread-safe. `local` outlives it. Bytes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tributary/blob/local_store.h"
#include "tributary/blob_client/remote_store.h"

namespace tributary::service {

struct UpstreamOptions {
  std::vector<std::string> endpoints;  // by shard
  std::filesystem::path directory;     // for manifests of what is being fetched; emptied at start
  std::uint64_t memory_budget = 0;     // for chunks on their way here
  Duration answer_timeout{5'000};      // no answer to a small request for this long: upstream is away
  Duration read_timeout{60'000};       // no chunk for this long
  Duration revalidate{5'000};          // how old the knowledge may be that an object of this name and digest is still there
  Duration in_use{10'000};             // what was read this lately does not go to make room
  std::optional<transport::Keyring> keyring = {};
};

struct UpstreamCounters {
  std::atomic<std::uint64_t> chunks{0};  // fetched
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> evicted{0};  // objects
  std::atomic<bool> away{false};
};

class UpstreamCache final : public blob::SlotStore {
 public:
  using Name = ObjectName;
  struct Events {
    std::function<void(const Name&)> changed;               // look again
    std::function<void(const Name&, std::uint64_t)> slot;   // it is here
    // It does not come; `all`: those that would wait for it neither.
    std::function<void(const Name&, const Error&, bool all)> failed;
  };

  UpstreamCache(UpstreamOptions options, blob::DiskStore& local);
  ~UpstreamCache() override;
  Status Start(Events events);
  void Stop();  // idempotent; no event comes afterwards

  // Somebody still waits for it.
  void Nudge(const Name& name);
  // For errors of those who waited in vain: "" or ": tcp://… does not answer".
  std::string Why() const;
  const UpstreamCounters& counters() const { return counters_; }
  const std::string& endpoint() const { return name_; }

  Result<blob::ObjectInfo> Stat(const Name& name) override;
  Result<wire::ObjectSpec> Spec(const Name& name) override;
  Result<std::vector<tensor::SlotRange>> Missing(const Name& name, tensor::SlotRange range, std::uint64_t generation) override;
  Result<wire::ManifestRoot> Root(const Name& name) override;
  Result<std::vector<wire::SlotDigest>> Page(const Name& name, std::uint64_t page) override;
  Result<blob::SlotMeta> StatSlot(const Name& name, std::uint64_t slot, std::uint64_t min_generation) override;
  Result<blob::SlotMeta> GetSlot(const Name& name, std::uint64_t slot, std::span<std::byte> out) override;
  Result<std::uint64_t> DocumentBytes(const Name& name, blob::Document document, std::uint64_t page) override;
  Status ReadDocument(const Name& name, blob::Document document, std::uint64_t page, std::span<std::byte> out) override;

  Result<blob::CreateOutcome> Create(const Name&, const wire::ObjectSpec&, bool) override { return ReadOnly(); }
  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence, const blob::ReadOptions&) override { return ReadOnly(); }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions&) override { return ReadOnly(); }
  Result<std::string> Seal(const Name&, std::uint64_t, bool) override { return ReadOnly(); }
  Status Remove(const Name&) override { return ReadOnly(); }
  Result<std::vector<Name>> List(const std::string&, const std::string&, std::uint32_t) override { return ReadOnly(); }
  Result<blob::SlotMeta> PutSlot(const Name&, std::uint64_t, std::uint64_t, std::span<const std::byte>, const digest::Xxh128*,
                                 const digest::Sha256*) override {
    return ReadOnly();
  }
  Status PutDigests(const Name&, std::uint64_t, std::uint64_t, std::span<const wire::SlotDigest>) override { return ReadOnly(); }
  Error ReadOnly() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Object {
    bool complete = false;  // sealed here; else being fetched
    blob::ObjectInfo info;  // as it is upstream
    std::vector<bool> have;    // being fetched: slots that are here
    std::vector<bool> coming;  // … or asked for
    std::uint64_t next = 0;    // all before it are coming
    std::uint64_t missing = 0;
    std::deque<std::uint64_t> urgent;
    Clock::time_point used{};
    Clock::time_point checked{};
  };

  // The object, if it can be read; else kUnavailable, and it is asked for.
  Status Known(const Name& name, bool complete_alone, bool* complete = nullptr);
  void Ask(const Name& name);  // REQUIRES mutex_
  // On the thread for manifests, of what it looks at.
  void Forget(const Name& name);
  // On any thread; false if the object is being looked at upstream, and so stays for now. Nobody has it fetched anew until it is gone.
  bool TryForget(const Name& name);

  // The thread for manifests (upstream_adopt.cc).
  void RunManifests(std::stop_token stop);
  void Adopt(blob::BlobStore& remote, const Name& name);
  Status Fetch(blob::BlobStore& remote, const Name& name, const blob::ObjectInfo& info);
  Status FetchManifest(blob::BlobStore& remote, const Name& name, const blob::ObjectInfo& info, wire::ObjectSpec& spec);
  // Opens it on the disk; gives what is there of an earlier process.
  Result<std::vector<bool>> Open(const Name& name, const blob::ObjectInfo& info, const wire::ObjectSpec& spec);
  Status MakeRoom(const Name& wanted, const Error& why);
  void Complete(const Name& name);
  Result<std::vector<wire::SlotDigest>> SidePage(const Name& name, std::uint64_t page) const;
  std::filesystem::path Side(const Name& name, blob::Document document, std::uint64_t page) const;
  std::filesystem::path SideDirectory(const Name& name) const;

  // The thread for chunks (upstream_chunks.cc).
  void RunChunks(std::stop_token stop);
  std::optional<blob::ChunkRef> NextWanted();
  bool SomethingWanted() const;  // REQUIRES mutex_
  Status Stage(const blob::Chunk& chunk);
  void Lost(const Error& error);

  const UpstreamOptions options_;
  const std::string name_;  // the endpoints
  blob::DiskStore& local_;
  memory::Pool pool_;  // outlives the context
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>(1, options_.keyring);
  Events events_;
  UpstreamCounters counters_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Name, Object> objects_;                    // protected by mutex_
  std::deque<Name> asked_;                            // protected by mutex_; to be looked at upstream
  std::set<Name> in_question_;                        // protected by mutex_; those, and the one that is being looked at
  std::map<Name, Clock::time_point> not_before_;      // protected by mutex_; what failed lately
  std::deque<Name> to_seal_;                          // protected by mutex_
  // Of the thread for chunks.
  Name page_of_;
  std::uint64_t page_number_ = 0;
  std::vector<wire::SlotDigest> page_;

  std::jthread manifests_;
  std::jthread chunks_;
};

}  // namespace tributary::service
