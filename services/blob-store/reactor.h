// The blob-store's side of the protocol: takes frames, keeps peers, credit and reads, hands work to the workers.
//
// All state is the server thread's; workers come back through FrameServer::Post. Everything a peer sends is checked here or in what is
// called from here; a mistake is answered with an error that names it and harms the peer alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "services/blob-store/credit.h"
#include "services/blob-store/held.h"
#include "services/blob-store/reads.h"
#include "services/blob-store/staging.h"
#include "services/blob-store/upstream_cache.h"
#include "services/blob-store/workers.h"
#include "tributary/blob/local_store.h"
#include "tributary/transport/frame_server.h"
#include "tributary/transport/grants.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"
#include "tributary/wire/object.h"

namespace tributary::service {

struct ReactorOptions {
  std::uint32_t shard = 0;
  std::uint32_t shards = 1;
  std::size_t worker_threads = 2;
  std::size_t bucket_threads = 0;  // 0: the store has no bucket
  Duration credit_idle{10'000};
  Duration unread_limit{60'000};
  Duration stalled_limit{10'000};
  // Payload of a frame. Above 4 MiB objects may be cut into tensors or sections whose slots are not longer; else they are chunks.
  std::uint64_t max_message = wire::kMaxPayload;
  UpstreamCache* cache = nullptr;      // the store is one
  Duration cache_wait{600'000};        // how long a read waits at most for what is fetched
  const transport::GrantVerifier* grants = nullptr;  // the store has keys; outlives the reactor
};

// Thread-safe.
struct StoreCounters {
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> chunks_in{0};
  std::atomic<std::uint64_t> chunks_out{0};
  std::atomic<std::uint64_t> bytes_linked{0};  // staged without having been sent
  std::atomic<std::uint64_t> credit_violations{0};
  std::atomic<std::uint64_t> protocol_errors{0};
  std::atomic<std::uint64_t> peers{0};
  std::atomic<std::uint64_t> parked_reads{0};
  std::atomic<std::uint64_t> no_room{0};
  std::atomic<std::uint64_t> damaged_reads{0};
  std::atomic<std::uint64_t> forbidden{0};  // requests for what the peer's role may not do
  std::atomic<std::uint64_t> stalled_reads{0};   // sessions that ended: the peer took no reply
  std::atomic<std::uint64_t> stalled_writes{0};  // sessions that ended: the peer did not use its credit
};

wire::ObjectStatus ToStatus(const blob::ObjectInfo& info);

class Reactor final : public transport::Handler {
 public:
  Reactor(blob::SlotStore& store, memory::Pool& pool, const ReactorOptions& options);
  ~Reactor() override;

  // Frames wait until the server is told.
  void Attach(transport::FrameServer& server);
  // Ends the workers; after it nothing of this object calls the server. Call when the server has stopped.
  void Detach();

  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override;
  void OnTick() override;
  void OnGone(const transport::PeerId& peer) override;
  // Bytes that the peer was asked for and that may be on their way: credit that it has not spent.
  std::uint64_t Allowance(const transport::PeerId& peer) override { return credit_.Unspent(peer); }

  const StoreCounters& counters() const { return counters_; }

 private:
  using PeerId = transport::PeerId;
  using Clock = std::chrono::steady_clock;
  struct Peer {
    std::string instance;
    std::shared_ptr<Held> held;  // outlives the session
    ReadClass reads_as = ReadClass::kOthers;
    Clock::time_point last_frame;
    std::optional<wire::Grant> grant = {};  // a trainer's, as it was shown with its hello
  };

  // Sessions (reactor.cc).
  void Hello(const PeerId& id, const wire::FrameView& frame, const transport::Identity* sender);
  // What a trainer shows with its hello, checked; nothing of others.
  Result<std::optional<wire::Grant>> GrantOf(const wire::StoreHello& hello, const transport::Identity* sender) const;
  void ForgetPeer(const PeerId& id);
  // The peer is told to begin a new one.
  void EndSession(const PeerId& id, const Error& why);
  // A payload that may not be here. The peer is cut off after the third.
  void Violation(const PeerId& id, Peer& peer, std::uint64_t request, const Error& error);
  void Shun(const PeerId& id);
  // Answers what the peer may not do, and takes back the credit that came with it.
  void Forbid(const PeerId& id, Peer& peer, const wire::FrameView& frame, const Error& why);
  // Whether it is on another machine, and its line has a delay.
  void LookAtLine(const PeerId& id, Held& held) const;

  // Of a cache: refuses what is no read, and gives reads the time that fetching takes.
  bool Refuse(const PeerId& id, Peer& peer, const wire::FrameView& frame);
  // Requests (requests.cc).
  void Dispatch(const PeerId& id, Peer& peer, transport::InFrame frame);
  template <class M>
  void Get(const PeerId& id, Peer& peer, const wire::FrameView& frame);
  // Which thread does it: the object's, the one for what is slow, for removals, or for seals that upload.
  enum class On { kOwn, kSlow, kRemoval, kUpload };
  static On SealLane(const wire::FrameView& frame);
  // On the object's thread for `key`, or aside if that may take as long as a network likes.
  void PostFor(const ObjectName& name, std::uint64_t key, Workers::Job job);
  // Decodes M, runs `work(message)` on a worker and sends the frame it gives, or its error.
  template <class M, class Work>
  void Ask(const PeerId& id, Peer& peer, const wire::FrameView& frame, On lane, Work work);

  // What comes with a payload (writes.cc).
  void Credit(const PeerId& id, Peer& peer, const wire::FrameView& frame);
  void Put(const PeerId& id, Peer& peer, transport::InFrame frame);
  void Link(const PeerId& id, Peer& peer, const wire::FrameView& frame);
  void Create(const PeerId& id, Peer& peer, transport::InFrame frame);
  void PutDigests(const PeerId& id, Peer& peer, transport::InFrame frame);
  // Of messages M other than chunks: spends credit, runs `work(name, message, payload)` on a worker and, when what came is out of memory, sends
  // the frame that it gave, or its error.
  template <class M, class Work>
  void Take(const PeerId& id, Peer& peer, transport::InFrame frame, Work work);
  // Not more chunks at a time than may wait to be staged; else the session ends.
  bool AdmitPut(const PeerId& id, Peer& peer);
  // Whether a frame with a payload may be staged; if not, the peer is told why.
  bool Admit(const PeerId& id, Peer& peer, const transport::InFrame& frame);
  void Staged(Staging::Put put, Result<blob::SlotMeta> staged);  // on a worker
  // kInvalidArgument, with the flags to change, for slots that are larger than this store's messages.
  Status CheckMessages(const ObjectName& name, const wire::ObjectSpec& spec) const;

  // On a worker (replies.cc).
  void RunRead(const ReadPtr& read, ReadGrant grant);
  Result<transport::OutFrame> ReplyTo(const ReadPtr& read, ReadGrant& grant, std::uint64_t* needs);
  Result<transport::OutFrame> ChunkReply(const ReadPtr& read, ReadGrant& grant, std::uint64_t* needs);

  void SendError(const PeerId& id, std::uint64_t request, const Error& error);
  // Runs `task` on the server's thread, then grants and starts what became possible.
  void Post(std::function<void()> task);
  void Kick();
  void Advance();

  blob::SlotStore& store_;
  memory::Pool& pool_;
  const ReactorOptions options_;
  const std::uint64_t epoch_;
  StoreCounters counters_;
  CreditLedger credit_;
  ReadScheduler reads_;
  HeldBook held_;
  std::shared_ptr<Held> all_ = std::make_shared<Held>();  // requests of all peers, of those that are gone, too
  std::map<PeerId, Peer> peers_;
  std::map<PeerId, Clock::time_point> shunned_;

  Clock::time_point nudged_{};
  Clock::time_point looked_at_far_{};
  std::latch attached_{1};
  std::atomic<bool> kicked_{false};
  std::mutex server_mutex_;
  transport::FrameServer* server_ = nullptr;  // protected by server_mutex_ for other threads than the server's
  Workers workers_;
  Staging staging_;
};

}  // namespace tributary::service
