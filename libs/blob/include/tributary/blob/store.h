// The blob-store as everybody uses it: objects made of slots, open while written, then sealed.
//
// One interface, three implementations that pass one conformance suite (testing/conformance.h): memory (tests), disk
// (what the service runs), remote (libs/blob-client, over ZeroMQ). An object opens with an unchangeable spec; its slots are put in any
// order, any number of times while it is open (the last put of the newest generation counts; a slot of an update keeps its first bytes, since it
// may be averaged before the seal); a seal checks that all are there, writes the manifest and makes the object immutable. Bytes given to Put are the caller's; chunks read are owned by the Chunk.
// Failures by code: kNotFound (no such object or slot number), kUnavailable (slot not there yet), kConflict (sealed, an
// older generation, or other bytes of an update's slot), kAlreadyExists (another spec), kDataLoss (digest), kInvalidArgument (size of a chunk, slot), kResourceExhausted
// (disk, quota, budget), kDeadline. Threads: memory and disk stores may be used by many threads at once, a remote one by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/names.h"
#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/memory/pool.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::blob {

struct ObjectInfo {
  ObjectName name;
  wire::ObjectKind kind = wire::ObjectKind::kModel;
  bool sealed = false;
  std::uint64_t slots = 0;
  std::uint64_t slots_present = 0;
  std::uint64_t generation = 0;      // newest of any slot
  std::uint64_t sample_count = 0;
  std::uint64_t bytes = 0;           // of all chunks when complete
  std::uint64_t bytes_present = 0;
  std::string digest;                // hex, when sealed
  double norm = 0;                   // L2, of the differences that a sealed update holds; 0 of all other objects
};

struct CreateOutcome {
  bool existed = false;
  bool sealed = false;
};

// A slot of an object, to be read.
struct ChunkRef {
  ObjectName object;
  std::uint64_t slot = 0;
};

// Bytes of one slot, checked against their XXH3-128 at the last hop. `bytes` lives as long as `owner`.
struct Chunk {
  ObjectName object;
  std::uint64_t slot = 0;
  std::uint64_t generation = 0;
  std::span<const std::byte> bytes;
  std::shared_ptr<void> owner;
};

struct ReadOptions {
  std::uint64_t min_generation = 0;
  // 0: an absent slot is kUnavailable at once. Else the reader waits; renewed by every chunk that arrives.
  Duration wait{0};
  // Bytes asked for ahead; 0: as the implementation likes. Held of the pool's read side.
  std::uint64_t window_bytes = 0;
  std::stop_token stop;
};

struct WriteOptions {
  std::uint64_t generation = 0;
  // No acknowledgement for this long is kDeadline; 0: as the implementation likes.
  Duration timeout{0};
  std::uint64_t window_bytes = 0;  // of the pool's write side
  // A sealed object, no update: of slots that are equal to the same slot of it a remote writer sends digests instead of bytes. Whatever
  // is wrong with it, the bytes are sent.
  std::optional<ObjectName> same_as;
  std::stop_token stop;
};

// Gives the next slot to read; empty at the end. Called from the reader's thread, some slots ahead of Next.
using ChunkSequence = std::function<std::optional<ChunkRef>()>;
// Slots [range) of one object.
ChunkSequence SlotsOf(ObjectName object, tensor::SlotRange range);

class ChunkReader {
 public:
  virtual ~ChunkReader() = default;
  // The chunks of the sequence, in its order; empty at the end. After an error the reader is of no more use.
  virtual Result<std::optional<Chunk>> Next() = 0;
};

class ChunkWriter {
 public:
  virtual ~ChunkWriter() = default;
  // A buffer for one chunk, waits until the budget has room.
  virtual Result<memory::BufferPtr> Allocate(std::size_t bytes) = 0;
  // Takes the buffer, of which the caller keeps no other pointer: a remote writer sends it again only once it is the sole owner. May
  // return before the store has the bytes. REQUIRES payload size == the slot's encoded size.
  virtual Status Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) = 0;
  // Waits until everything put is staged. Must be called before a writer is dropped, else what was under way may be lost.
  virtual Status Flush() = 0;
  // Bytes of chunks staged so far that did not have to be sent.
  virtual std::uint64_t deduplicated() const { return 0; }
};

class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Opens an object. The same spec again is fine (existed). Another spec: kAlreadyExists, unless `replace` and it is neither sealed nor
  // an update that holds chunks.
  virtual Result<CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) = 0;
  virtual Result<ObjectInfo> Stat(const ObjectName& name) = 0;
  virtual Result<wire::ObjectSpec> Spec(const ObjectName& name) = 0;
  // Slots of `range` that are absent or of a generation below `generation`, as half-open ranges in order.
  virtual Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range,
                                                         std::uint64_t generation) = 0;

  virtual Result<std::unique_ptr<ChunkReader>> Read(ChunkSequence sequence, const ReadOptions& options) = 0;
  virtual Result<std::unique_ptr<ChunkWriter>> Write(const WriteOptions& options) = 0;

  // kUnavailable while slots are missing (the message tells how many), kConflict if one has another generation than
  // `generation` (0: any). `durable`: the object survives power loss when this returns. Sealing again gives the same digest.
  virtual Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) = 0;
  virtual Result<wire::ManifestRoot> Root(const ObjectName& name) = 0;
  virtual Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) = 0;

  // Absent is fine.
  virtual Status Remove(const ObjectName& name) = 0;
  // Names that begin with `prefix` and come after `after`, in order, at most `limit`.
  virtual Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after,
                                               std::uint32_t limit) = 0;
};

}  // namespace tributary::blob
