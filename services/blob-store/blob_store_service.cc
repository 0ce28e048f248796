#include "services/blob-store/blob_store_service.h"

#include <condition_variable>
#include <mutex>

#include "services/blob-store/access.h"
#include "services/blob-store/maintenance.h"
#include "services/blob-store/reactor.h"
#include "tributary/base/log.h"
#include "tributary/blob/local_store.h"
#include "tributary/config/options.h"
#include "tributary/metrics/metrics.h"
#include "tributary/metrics/server.h"
#include "tributary/metrics/standard.h"
#include "tributary/transport/context.h"
#include "tributary/transport/frame_server.h"

namespace tributary::service {
namespace {

// Requests to the bucket at a time, besides uploads: each has a chunk of the read side, and waits for the network most of the time.
constexpr std::size_t kBucketThreads = 8;

}  // namespace

// Destroyed from the last to the first: everything that may still hold pool bytes goes before the pool.
struct BlobStoreService::State {
  explicit State(std::uint64_t budget) : pool(budget) {}

  memory::Pool pool;
  std::unique_ptr<s3::Client> bucket;  // may be null
  std::unique_ptr<blob::DiskStore> store;
  std::unique_ptr<Maintenance> maintenance;
  std::unique_ptr<UpstreamCache> cache;
  std::optional<transport::GrantVerifier> grants;
  std::unique_ptr<Reactor> reactor;
  std::shared_ptr<transport::Context> context;
  std::unique_ptr<transport::FrameServer> server;
  std::string endpoint;
  std::filesystem::path directory;
  metrics::Registry registry;
  std::unique_ptr<metrics::MetricsServer> metrics_server;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // protected by mutex
  bool stopped = false;   // protected by mutex

  void Register();
  void RegisterBucket();
};

void BlobStoreService::State::Register() {
  metrics::AddProcessMetrics(registry);
  metrics::AddMemoryMetrics(registry, pool.budget(), &pool);
  metrics::AddBuildInfo(registry, "blob-store", config::Version());
  registry.AddCollector([this] {
    const StoreCounters& c = reactor->counters();
    const auto counter = [](std::string name, std::string help, double value, metrics::Labels labels = {}) {
      return metrics::Reading{"tributary_blob_store_" + name, std::move(help), true, std::move(labels), value};
    };
    const auto gauge = [](std::string name, std::string help, double value) {
      return metrics::Reading{"tributary_blob_store_" + name, std::move(help), false, {}, value};
    };
    const std::string bytes = "Payload bytes of chunks taken in and given out.";
    const std::string damaged = "Slots whose bytes were not what their digest says; each time one is found.";
    const blob::StoreUse use = store->Use();
    const transport::ServerCounters connections = server->counters();
    const std::string stalled = "Sessions that ended because their peer took no reply, or did not use its credit, for too long.";
    const std::string chunks = "Chunks taken in and given out.";
    std::vector<metrics::Reading> readings{
        counter("transfer_bytes_total", bytes, static_cast<double>(c.bytes_in), {{"direction", "in"}}),
        counter("transfer_bytes_total", bytes, static_cast<double>(c.bytes_out), {{"direction", "out"}}),
        counter("deduplicated_bytes_total", "Bytes of chunks that were copied from another object instead of being sent.", static_cast<double>(c.bytes_linked)),
        counter("chunks_total", chunks, static_cast<double>(c.chunks_in), {{"direction", "in"}}),
        counter("chunks_total", chunks, static_cast<double>(c.chunks_out), {{"direction", "out"}}),
        counter("credit_violations_total", "Payloads that came without credit.", static_cast<double>(c.credit_violations)),
        counter("protocol_errors_total", "Frames that broke the protocol.", static_cast<double>(c.protocol_errors)),
        counter("no_room_total", "Creates and puts refused for want of room on the disk or in the quota.", static_cast<double>(c.no_room)),
        counter("damaged_slots_total", damaged, static_cast<double>(maintenance->damaged()), {{"found_by", "scrub"}}),
        counter("damaged_slots_total", damaged, static_cast<double>(c.damaged_reads), {{"found_by", "read"}}),
        counter("scrubs_total", "Passes over all sealed objects.", static_cast<double>(maintenance->passes())),
        counter("abandoned_objects_total", "Open objects removed because nobody went on with them.",
                static_cast<double>(maintenance->abandoned())),
        gauge("bytes", "Bytes that objects take on the disk, with what is reserved for open ones.", static_cast<double>(use.bytes)),
        counter("fetched_bytes_total", "Payload bytes of chunks that a cache took from its upstream.",
                cache ? static_cast<double>(cache->counters().bytes) : 0),
        counter("fetched_chunks_total", "Chunks that a cache took from its upstream.", cache ? static_cast<double>(cache->counters().chunks) : 0),
        counter("evicted_objects_total", "Objects that a cache removed to make room.", cache ? static_cast<double>(cache->counters().evicted) : 0),
        gauge("upstream_away", "1: the blob-store of which this is a cache does not answer.", cache && cache->counters().away ? 1 : 0),
        {"tributary_permission_refusals_total", "Requests for what the peer's role or name may not do.", true, {}, static_cast<double>(c.forbidden)},
        gauge("peers", "Sessions.", static_cast<double>(c.peers)),
        gauge("parked_reads", "Reads that wait for a slot.", static_cast<double>(c.parked_reads)),
        counter("stalled_sessions_total", stalled, static_cast<double>(c.stalled_reads), {{"side", "read"}}),
        counter("stalled_sessions_total", stalled, static_cast<double>(c.stalled_writes), {{"side", "write"}}),
        {"tributary_connections", "Connections now.", false, {}, static_cast<double>(connections.connections)},
        {"tributary_socket_renewals_total", "Times that the socket was opened anew, for memory that connections had left.", true, {}, static_cast<double>(connections.renewals)},
    };
    for (const auto& [reason, count] : connections.Refused()) {
      readings.push_back({"tributary_connections_refused_total", "Connections that were refused or cut off, by reason.", true, {{"reason", std::string(reason)}},
                          static_cast<double>(count)});
    }
    if (use.quota > 0) readings.push_back(gauge("quota_bytes", "Bytes that objects may take on the disk; left out where there is no limit.", static_cast<double>(use.quota)));
    std::error_code error;
    if (const auto space = std::filesystem::space(directory, error); !error) {
      readings.push_back(gauge("disk_bytes", "Size of the file system that the data directory is on.", static_cast<double>(space.capacity)));
      readings.push_back(gauge("disk_free_bytes", "Room on that file system for what is not root's.", static_cast<double>(space.available)));
    }
    return readings;
  });
}

void BlobStoreService::State::RegisterBucket() {
  registry.AddCollector([this] {
    std::vector<metrics::Reading> readings;
    const s3::Counters& c = bucket->counters();
    const auto add = [&](std::string name, std::string help, metrics::Labels labels, std::uint64_t value) {
      readings.push_back({"tributary_blob_store_s3_" + name, std::move(help), true, std::move(labels), static_cast<double>(value)});
    };
    for (std::size_t o = 0; o < s3::kOperationNames.size(); ++o) {
      for (std::size_t r = 0; r < s3::kOutcomeNames.size(); ++r) {
        add("requests_total", "Requests to the S3 service, each attempt.", {{"operation", s3::kOperationNames[o]}, {"outcome", s3::kOutcomeNames[r]}},
            c.requests[o][r]);
      }
    }
    const std::string bytes = "Bytes of values that were read from the bucket and stored in it.";
    add("bytes_total", bytes, {{"direction", "in"}}, c.bytes_in);
    add("bytes_total", bytes, {{"direction", "out"}}, c.bytes_out);
    add("evictions_total", "Objects whose chunks were removed from the disk and lie in the bucket alone.", {}, store->Use().evictions);
    return readings;
  });
}

BlobStoreService::BlobStoreService() = default;

Result<std::unique_ptr<BlobStoreService>> BlobStoreService::Start(Spec spec) {
  std::unique_ptr<BlobStoreService> service(new BlobStoreService());
  const bool caches = !spec.upstream.empty();
  if (caches && spec.shards > 1) {
    return MakeError(Code::kInvalidArgument, "--upstream: a cache has all slots of its objects; start it without --shard {} --shards {}", spec.shard,
                     spec.shards);
  }
  // A cache takes no writes: what they would need is for chunks that are fetched.
  const std::uint64_t for_fetching = caches ? spec.memory_budget / 2 : 0;
  service->state_ = std::make_unique<State>(spec.memory_budget - for_fetching);
  State& state = *service->state_;
  blob::DiskOptions disk;
  disk.directory = spec.directory;
  disk.quota = spec.quota;
  disk.share = spec.site_quota;
  disk.owner = [](const ObjectName& object) { return SiteOf(object.str()); };
  disk.shard = {spec.shard, spec.shards};
  if (spec.s3) {
    TRIBUTARY_ASSIGN(state.bucket, s3::MakeClient(*spec.s3));
    disk.bucket = state.bucket.get();
    disk.bucket_part_bytes = spec.s3_part_bytes;
    disk.cache_bytes = spec.s3_cache_bytes;
  }
  auto store = blob::OpenDiskStore(disk, state.pool);
  if (!store.ok()) return store.error().Wrap(spec.s3 ? "--data-dir or --s3-endpoint" : "--data-dir");
  state.store = *std::move(store);
  state.maintenance = std::make_unique<Maintenance>(
      *state.store, MaintenanceOptions{spec.scrub_interval, spec.scrub_bytes_per_second, spec.abandoned_after, spec.s3.has_value()});
  if (caches) {
    UpstreamOptions upstream;
    upstream.endpoints = spec.upstream;
    upstream.keyring = spec.keyring;
    upstream.directory = spec.directory / "upstream";
    upstream.memory_budget = for_fetching;
    upstream.answer_timeout = spec.upstream_answer;
    upstream.in_use = spec.cache_in_use;
    upstream.revalidate = spec.cache_revalidate;
    state.cache = std::make_unique<UpstreamCache>(std::move(upstream), *state.store);
  }
  ReactorOptions reacting{spec.shard, spec.shards, spec.worker_threads, spec.s3 ? kBucketThreads : 0, spec.credit_idle, spec.unread_limit, spec.stalled_limit};
  reacting.max_message = spec.max_message;
  reacting.cache = state.cache.get();
  if (spec.keyring) {
    auto grants = transport::GrantVerifier::Make(*spec.keyring);
    if (!grants.ok()) return grants.error().Wrap("--peers");
    if (!grants->believes_somebody()) log::Warning("--peers names no coordinator: no trainer may read or write here");
    const auto* own = spec.keyring->peers.Find(spec.keyring->own.public_key);
    if (caches && (own == nullptr || own->role != transport::PeerRole::kCache)) {
      log::Warning("--upstream with a key that --peers does not name a cache's: it is admitted nowhere; 'tributary keygen DIR --cache NAME' makes one");
    }
    state.grants = *std::move(grants);
    reacting.grants = &*state.grants;
  }
  blob::SlotStore& served = caches ? static_cast<blob::SlotStore&>(*state.cache) : *state.store;
  state.reactor = std::make_unique<Reactor>(served, state.pool, reacting);
  state.context = std::make_shared<transport::Context>(static_cast<int>(spec.io_threads), spec.keyring);
  transport::ServerOptions options;
  options.endpoint = spec.listen;
  options.max_frame_bytes = spec.max_message + wire::kMaxHeaderWithPayload;
  options.most_memory = spec.most_memory;
  // What a peer may pile up without credit stays what it is where messages are chunks.
  options.max_unfinished_bytes = 4 * wire::kMaxDataFrame;
  // Chunks and lists are bounded by the budget, other replies have a few hundred bytes each. A peer that keeps to the rules has less
  // than half of so many on their way: libzmq counts what was read in steps of half the mark.
  options.send_high_water = 256;
  TRIBUTARY_ASSIGN(state.server, transport::FrameServer::Start(state.context, options, *state.reactor));
  state.reactor->Attach(*state.server);
  state.endpoint = state.server->endpoint();
  state.directory = spec.directory;
  state.Register();
  if (state.bucket) state.RegisterBucket();
  metrics::ServerSpec metrics;
  metrics.address = spec.metrics_address;
  metrics.registry = &state.registry;
  TRIBUTARY_ASSIGN(state.metrics_server, metrics::MetricsServer::Start(std::move(metrics)));
  log::Info("serving {} at {}{}, memory budget {}", spec.directory.string(), state.endpoint,
            spec.shards > 1 ? fmt::format(", shard {} of {}", spec.shard, spec.shards) : "", FormatBytes(spec.memory_budget));
  return service;
}

BlobStoreService::~BlobStoreService() {
  if (state_) Stop();
}

void BlobStoreService::Stop() {
  State& state = *state_;
  {
    std::unique_lock lock(state.mutex);
    if (std::exchange(state.stopping, true)) {
      state.changed.wait(lock, [&] { return state.stopped; });
      return;
    }
  }
  state.metrics_server.reset();
  if (state.bucket) state.bucket->Cancel();
  if (state.server) {
    state.server->Stop();
    state.reactor->Detach();
    state.server.reset();
  }
  // Ends libzmq's threads: afterwards no buffer of the pool is on its way any more.
  state.context.reset();
  // Last, and told under the lock: who waits may destroy the service at once.
  const std::lock_guard lock(state.mutex);
  state.stopped = true;
  state.changed.notify_all();
}

Result<bool> BlobStoreService::Wait(Duration limit) {
  std::unique_lock lock(state_->mutex);
  const auto stopped = [&] { return state_->stopped; };
  if (limit.count() > 0) return state_->changed.wait_for(lock, limit, stopped);
  state_->changed.wait(lock, stopped);
  return true;
}

const std::string& BlobStoreService::endpoint() const { return state_->endpoint; }

std::uint16_t BlobStoreService::metrics_port() const {
  return state_->metrics_server ? state_->metrics_server->port() : std::uint16_t{0};
}

BlobStoreService::Stats BlobStoreService::stats() const {
  const StoreCounters& c = state_->reactor->counters();
  Stats stats;
  stats.bytes_in = c.bytes_in;
  stats.bytes_out = c.bytes_out;
  stats.bytes_linked = c.bytes_linked;
  stats.chunks_in = c.chunks_in;
  stats.chunks_out = c.chunks_out;
  stats.credit_violations = c.credit_violations;
  stats.protocol_errors = c.protocol_errors;
  stats.peers = c.peers;
  stats.parked_reads = c.parked_reads;
  stats.no_room = c.no_room;
  stats.damaged_reads = c.damaged_reads;
  stats.stalled_reads = c.stalled_reads;
  stats.stalled_writes = c.stalled_writes;
  stats.scrubs = state_->maintenance->passes();
  stats.evictions = state_->store->Use().evictions;
  stats.scrub_damages = state_->maintenance->damaged();
  if (state_->cache) {
    const UpstreamCounters& u = state_->cache->counters();
    stats.fetched_chunks = u.chunks;
    stats.fetched_bytes = u.bytes;
    stats.evicted = u.evicted;
    stats.upstream_away = u.away;
  }
  stats.pool = state_->pool.Use();
  return stats;
}

}  // namespace tributary::service
