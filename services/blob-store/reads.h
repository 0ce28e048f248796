// Reads under way: queued at their peer, running in a worker, or parked until their slot comes.
//
// A read holds memory only from the moment its turn comes until libzmq has sent the reply. Turns go round the peers of a class, and to and fro between
// the classes: aggregators on one side, everybody else on the other. For each slot of a round N trainers read one chunk each and the
// aggregators N together, so that as one peer among N + 1 an aggregator would fall behind N times. No peer
// has more than its share of the read side in that state, so one that does not read its replies stops itself alone; and peers that take seconds for a
// reply have at most half of the side together, so that many of them leave the other half to those who read. The near peers together have a part
// of it (near.h), and of that each its share. All replies of
// more than a few hundred bytes are reads: chunks, specs, manifests, what is missing, lists. Each read is answered exactly once.
// Used by the reactor's thread alone. Bytes.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/blob-store/held.h"
#include "tributary/base/names.h"
#include "tributary/memory/pool.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/data.h"

namespace tributary::service {

struct ReadRequest {
  wire::Type type = wire::Type::kGetChunk;  // or kGetSpec, kGetRoot, kGetPage, kGetDigests, kGetMissing, kList; of a cache also kStat
  std::uint64_t id = 0;
  ObjectName object;
  std::uint64_t slot = 0;  // or page, or the first of a range
  std::uint64_t min_generation = 0;
  Duration wait{0};
  bool patient = true;     // of a cache: waits for an object that is not sealed upstream yet
  std::uint64_t end = 0;  // of the range
  wire::List list;
};

enum class ReadClass { kAggregators, kOthers };
constexpr std::size_t kReadClasses = 2;

struct Read {
  transport::PeerId peer;
  ReadRequest request;
  std::chrono::steady_clock::time_point expires;
  std::uint64_t need = 0;  // payload bytes to reserve
  enum class State { kQueued, kRunning, kParked, kFinished } state = State::kQueued;
  bool again = false;      // running: its slot changed meanwhile
  bool cancelled = false;  // running: answered if it can be now, else as cancelled
  std::uint64_t session = 0;  // of its peer
};
using ReadPtr = std::shared_ptr<Read>;

// What a worker takes along; the reservation covers need + headroom.
struct ReadGrant {
  memory::Reservation reservation;
  Hold bytes;
  // Until the bytes are here, of one that waits for a network: of all, and of its peer.
  Hold remote;
  Hold peer_remote;
};

class ReadScheduler {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Start = std::function<void(ReadPtr, ReadGrant)>;
  using Fail = std::function<void(const Read&, const Error&)>;

  // `start` hands a read to a worker, `fail` answers it with an error.
  ReadScheduler(memory::Pool& pool, std::uint64_t max_message, std::uint32_t max_outstanding, Start start, Fail fail)
      : pool_(pool), max_message_(max_message), max_outstanding_(max_outstanding), start_(std::move(start)), fail_(std::move(fail)) {}

  // Tells reads that may wait for a network. All of them together have at most half of the read side while they do, so that the others
  // find room. Before the first read.
  void OnWaits(std::function<bool(const ObjectName&)> waits) { waits_ = std::move(waits); }

  void Add(const transport::PeerId& peer, ReadClass kind, const std::shared_ptr<Held>& held, ReadRequest request);
  // Starts what fits the pool now.
  void Schedule();

  // What came of a running read. Finished: its reply is on the way.
  void Finished(const ReadPtr& read);
  void Failed(const ReadPtr& read, const Error& error);
  void NeedsMore(const ReadPtr& read, std::uint64_t bytes);
  void Absent(const ReadPtr& read, const Error& error);

  void SlotChanged(const ObjectName& object, std::uint64_t slot);
  void ObjectChanged(const ObjectName& object);  // made anew or removed
  // Answers those that wait for it with an error: all, or those that are not patient.
  void FailObject(const ObjectName& object, const Error& error, bool all);
  std::set<ObjectName> WaitedFor() const;
  void Cancel(const transport::PeerId& peer);
  void Forget(const transport::PeerId& peer);
  // `why` ends the error's text.
  void Expire(TimePoint now, const std::string& why = "");
  // Peers that let no reply go for `limit` while there were some. Call about as often as the limit is to be exact. Learns who is slow.
  std::vector<transport::PeerId> Stalled(TimePoint now, Duration limit);
  // Reads wait for memory that replies hold which are not taken.
  bool short_of_memory() const { return short_; }

  std::size_t parked() const;

 private:
  struct Peer {
    std::deque<ReadPtr> queue;
    std::uint32_t outstanding = 0;
    bool in_turn = false;
    ReadClass kind = ReadClass::kOthers;
    std::shared_ptr<Held> held;
    std::uint64_t session = 0;
    std::uint64_t taken = 0;   // held->taken when it was last seen to rise
    TimePoint taken_at;
    bool slow = false;  // a reply takes it seconds
    std::uint64_t taking = 0;  // held->taking when `taken` was seen to rise
    std::chrono::microseconds pace{0};  // what a reply took its line then
    std::uint64_t unit = 0;  // what its last read needs
  };
  using Key = std::pair<ObjectName, std::uint64_t>;
  using Waiters = std::multimap<Key, ReadPtr>;

  static Key KeyOf(const Read& read);
  void Enqueue(const ReadPtr& read);
  void Wake(Waiters::iterator it);
  void Finish(const ReadPtr& read);
  // Neither answered nor of a peer that is gone.
  bool Pending(const ReadPtr& read) const;
  // Counted anew for each Schedule.
  struct Pass {
    std::array<std::uint64_t, kReadClasses> shares{};      // what one peer of a class may hold
    std::array<std::uint64_t, kReadClasses> near_peers{};  // by how many the near part is divided for one of a class
    std::uint64_t near_bytes = 0;                          // what replies to near peers hold
    bool near_waits = false;  // a near peer's turn came and there was no room: none that asks for less may overtake it
  };
  Pass Count() const;
  // For a chunk that takes `bytes`.
  bool IsNear(const Peer& peer, std::uint64_t bytes) const;
  bool HalfIsFree() const;
  // What replies to slow peers hold.
  std::uint64_t SlowBytes() const;
  enum class Turn { kStarted, kBlocked, kNoMemory };
  // Starts the next read of a class, if there is one that may be started.
  Turn TakeTurn(ReadClass kind, Pass& pass);

  memory::Pool& pool_;
  const std::uint64_t max_message_;
  const std::uint32_t max_outstanding_;
  Start start_;
  Fail fail_;
  std::function<bool(const ObjectName&)> waits_;
  std::shared_ptr<Held> remote_ = std::make_shared<Held>();
  std::map<transport::PeerId, Peer> peers_;
  std::uint64_t sessions_ = 0;
  std::array<std::list<transport::PeerId>, kReadClasses> turns_;  // of each class: peers with a queue, next first
  std::size_t next_class_ = 0;
  bool short_ = false;
  Waiters waiters_;                     // reads that may wait, running or parked
  std::map<ObjectName, std::uint64_t> chunk_bytes_;  // what the last read of an object needed; bounded
};

}  // namespace tributary::service
