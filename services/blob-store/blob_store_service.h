// The blob-store as a service: a disk store behind a ROUTER socket, with one memory budget.
//
// Start binds and serves; Stop (or destruction) ends it: replies that are not on the wire are dropped, nothing that was acknowledged
// is lost. Wait returns after Stop. Errors of Start name the flag to change. Start, Stop and Wait may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/memory/pool.h"
#include "tributary/s3/client.h"
#include "tributary/transport/keyring.h"

namespace tributary::service {

class BlobStoreService {
 public:
  struct Spec {
    std::string listen = "tcp://0.0.0.0:7710";  // or "tcp://127.0.0.1:0", "ipc:///path"
    std::filesystem::path directory;
    std::uint64_t memory_budget = 64_MiB;
    std::uint64_t most_memory = 0;  // that the process is to stay below (transport::ServerOptions); 0 where others share it
    std::string metrics_address = "off";  // HOST:PORT
    std::optional<transport::Keyring> keyring = {};  // whom it admits; none: anybody, and nothing is encrypted
    std::uint64_t max_message = 4_MiB;  // payload of a frame, up to 1 GiB; more than 4 MiB for objects that are not cut into chunks
    std::uint32_t shard = 0;
    std::uint32_t shards = 1;
    std::size_t worker_threads = 2;
    std::size_t io_threads = 1;
    std::uint64_t quota = 0;  // bytes that objects may take on disk; 0: no limit
    std::uint64_t site_quota = 0;  // the same of updates and offers of one site
    std::vector<std::string> upstream = {};  // endpoints, by shard, of the blob-store of which this is a cache; empty: of none
    Duration upstream_answer{5'000};  // no answer of it for so long: it is away
    Duration cache_in_use{10'000};    // what was read this lately does not go to make room
    Duration cache_revalidate{5'000};  // how old the knowledge may be that an object is still the one upstream
    std::optional<s3::ClientOptions> s3 = {};  // where sealed objects go; none: they stay on the disk
    std::uint64_t s3_cache_bytes = 0;  // of objects in the bucket that are kept on the disk, too; 0: the quota alone bounds them
    std::uint64_t s3_part_bytes = 32_MiB;
    Duration scrub_interval{0};  // 0: no scrub
    std::uint64_t scrub_bytes_per_second = 0;
    Duration abandoned_after{0};  // open objects without a put for so long are removed; 0: they stay
    Duration credit_idle{10'000};  // credit that is not used for so long is taken back, with its session
    Duration unread_limit{60'000};  // a peer that takes no reply for so long loses its session
    Duration stalled_limit{10'000};  // while others wait for memory: one that takes not a byte for so long
  };
  struct Stats {
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_linked = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t chunks_in = 0;
    std::uint64_t chunks_out = 0;
    std::uint64_t credit_violations = 0;
    std::uint64_t protocol_errors = 0;  // answered with one, malformed and multipart frames included
    std::uint64_t peers = 0;
    std::uint64_t parked_reads = 0;
    std::uint64_t no_room = 0;        // creates and puts refused: disk or quota
    std::uint64_t damaged_reads = 0;  // chunks asked for whose bytes are not what they were
    std::uint64_t scrubs = 0;
    std::uint64_t scrub_damages = 0;
    std::uint64_t fetched_chunks = 0;  // of a cache
    std::uint64_t fetched_bytes = 0;
    std::uint64_t evicted = 0;         // objects
    bool upstream_away = false;
    std::uint64_t evictions = 0;
    std::uint64_t stalled_reads = 0;   // sessions that ended because their peer took no reply
    std::uint64_t stalled_writes = 0;  // or did not use its credit
    memory::PoolUse pool;
  };

  static Result<std::unique_ptr<BlobStoreService>> Start(Spec spec);
  ~BlobStoreService();
  BlobStoreService(const BlobStoreService&) = delete;
  BlobStoreService& operator=(const BlobStoreService&) = delete;

  const std::string& endpoint() const;  // with the real port
  std::uint16_t metrics_port() const;   // 0 when off
  Stats stats() const;

  void Stop();  // idempotent
  // Until Stop, or until `limit` is over (zero: for ever); true when it has stopped.
  Result<bool> Wait(Duration limit = Duration(0));

 private:
  BlobStoreService();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary::service
