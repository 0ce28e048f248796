// The blob-store at the other end of a socket, or of one for each of its shards, as a blob::BlobStore.
//
// Reads keep a window of requests under way, writes spend byte credit that the store grants; both hold the caller's pool for
// every chunk that is here or may arrive. When the connection is lost, a new session begins, and only what was not
// acknowledged or not received is sent or asked for again. One thread uses a RemoteStore and its readers and writers; at most
// one reader and one writer are in use at a time, and they may be used in turn (read a chunk, put a chunk).
//
// Smallest budget of `pool`, which outlives the context: twice the chunks (and 512 bytes for each) that the caller holds at a
// time, the one being read or put included. With less, Next and Allocate end with kResourceExhausted after the deadline. Windows
// are 6 MiB, on a line with delay twice the measured product of its rate and round trip, and never more than half the budget; answers without chunks (specs, manifests) do not count.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/memory/pool.h"
#include "tributary/transport/context.h"
#include "tributary/wire/control.h"
#include "tributary/wire/frame.h"

namespace tributary::blob_client {

struct RemoteOptions {
  std::vector<std::string> endpoints;   // tcp://host:7710; of all shards, in the order of their numbers
  // To each shard, its slots in turns: for lines that one TCP connection does not fill. The store shares its memory out by connection.
  std::uint32_t connections = 1;
  std::string instance;                 // for the store's log
  wire::Role role = wire::Role::kClient;  // the store serves aggregators as often as all others together
  std::vector<std::byte> grant = {};    // a trainer's, of its task: what the store lets it do (wire/grant.h)
  // Whose keys they have, where there are keys: the blob-store's, or those of a cache with this name in the list of peers (empty: the only one).
  transport::PeerRole server = transport::PeerRole::kBlobStore;
  std::string server_name = {};
  Duration request_timeout{60'000};     // no answer to a small request for this long is kDeadline
  Duration connect_timeout{60'000};     // no store at the endpoint for this long is kDeadline
  Duration read_timeout{300'000};       // of a reader without a wait of its own: no chunk for this long is kDeadline
  Duration write_timeout{120'000};      // of a writer without a timeout of its own: no credit, no acknowledgement
  Duration ack_timeout{120'000};        // the same once everything is sent
  // Largest payload that comes or goes, 4 MiB to 1 GiB. A frame beyond it ends the connection. More than 4 MiB is for objects that are
  // not cut into chunks, and for a store that takes them (--max-message).
  std::uint64_t max_message = wire::kMaxPayload;
  // Those of the timeouts above (all but connect) that nobody chose: they are the least, and as long as four windows take at the rate that the
  // line was measured to have, an hour at most. No link is so slow that they must be tuned.
  struct Derived {
    bool request = false;
    bool read = false;
    bool write = false;
    bool ack = false;
  } derived;
  std::stop_token stop;                 // ends every wait with kCancelled
};

constexpr std::uint32_t kMaxConnections = 16;
constexpr std::uint32_t kMaxLanes = 512;  // connections in all

// I/O threads that a context for so many connections to each shard should have: one moves some gigabytes a second.
int IoThreads(std::uint32_t connections);

// What max_message may be with this budget: a half of it holds one.
std::uint64_t MessagesWithin(std::uint64_t budget);

struct TransferCounters {
  std::uint64_t bytes_read = 0;      // payload
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_deduplicated = 0;  // staged without having been sent
  std::uint64_t bytes_resent = 0;    // put again after a lost connection
  std::uint64_t bytes_reasked = 0;   // asked for again after one
  std::uint64_t sessions = 0;
};

class RemoteStore : public blob::BlobStore {
 public:
  virtual TransferCounters counters() const = 0;
};

// Does not wait for the store; the first call does.
Result<std::unique_ptr<RemoteStore>> ConnectStore(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                                  const RemoteOptions& options);

}  // namespace tributary::blob_client
