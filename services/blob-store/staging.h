// Puts that wait for a worker: two of one lane at a time, since SHA-256 of two chunks at once takes little longer than of one.
//
// A put never waits for another: a worker takes the two that wait, or the one. Puts of a lane are staged in the order in which
// they came. How many wait is bounded by credit and the cap of puts a peer. Add belongs to the reactor's thread, Done is called on a worker.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "services/blob-store/credit.h"
#include "services/blob-store/workers.h"
#include "tributary/blob/local_store.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/data.h"

namespace tributary::service {

class Staging {
 public:
  struct Put {
    transport::PeerId peer;
    ObjectName object;
    wire::PutChunk message;
    CreditLedger::Spent spent;
    transport::InFrame frame;  // its payload is the chunk
  };
  // What came of a put; the chunk is on its way out of memory when this returns.
  using Done = std::function<void(Put put, Result<blob::SlotMeta> staged)>;

  Staging(blob::SlotStore& store, Workers& workers, Done done);

  // `aside`: its object waits for a bucket, and it must not hold up those that wait for the disk.
  void Add(Put put, bool aside);
  // Drops what waits. Call when the workers have stopped.
  void Clear();

 private:
  struct Queue {
    std::mutex mutex;
    std::deque<Put> puts;  // protected by mutex
  };
  // Of one lane: what waits, at most two.
  void Stage(Queue& queue);
  void Stage(std::vector<Put> puts);

  blob::SlotStore& store_;
  Workers& workers_;
  const Done done_;
  std::vector<Queue> queues_;  // by lane
};

}  // namespace tributary::service
