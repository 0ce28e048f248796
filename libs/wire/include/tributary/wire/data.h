// Messages of the data plane: between trainers, aggregators, clients and a shard of the blob-store.
//
// Frames with a payload are sent only where the receiver has room: to the store against granted credit (kPutChunk, kCreate, kPutDigests), from the
// store against a request (the requester keeps a buffer for each chunk it asks for). Plain values; bytes and slots.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tributary/digest/digest.h"
#include "tributary/wire/frame.h"

namespace tributary::wire {

// First on each connection; answered with the store's epoch, new at each start: credit and parked reads of another
// epoch are gone.
struct StoreHello {
  static constexpr Type kType = Type::kStoreHello;
  std::string instance;
  std::uint32_t role = 0;
  std::vector<std::byte> grant = {};  // trainers: of their task spec (wire/grant.h); empty: none
};
struct StoreWelcome {
  static constexpr Type kType = Type::kStoreWelcome;
  std::uint64_t epoch = 0;
  std::uint32_t shard = 0;
  std::uint32_t shards = 1;
  std::uint64_t max_payload = kMaxPayload;
  std::uint32_t max_outstanding_reads = 64;  // a peer with more is refused
};

struct Create {  // payload: ObjectSpec; spends credit
  static constexpr Type kType = Type::kCreate;
  std::string object;
  bool replace = false;  // an open object of another spec is thrown away; a sealed one never
};
struct Created {
  static constexpr Type kType = Type::kCreated;
  std::string object;
  bool existed = false;
  bool sealed = false;
};

struct Stat {
  static constexpr Type kType = Type::kStat;
  std::string object;
};
struct ObjectStatus {
  static constexpr Type kType = Type::kObjectStatus;
  std::string object;
  std::uint32_t kind = 0;
  bool sealed = false;
  std::uint64_t slots = 0;
  std::uint64_t slots_present = 0;
  std::uint64_t generation = 0;     // newest seen
  std::uint64_t sample_count = 0;
  std::uint64_t bytes = 0;          // native size of the layout
  std::uint64_t bytes_present = 0;
  std::string digest;               // hex, when sealed
  double norm = 0;                  // L2, of the differences of a sealed update
};

struct GetSpec {
  static constexpr Type kType = Type::kGetSpec;
  std::string object;
};
struct SpecBody {  // payload: ObjectSpec
  static constexpr Type kType = Type::kSpec;
  std::string object;
};

// Slots in [begin, end) that are absent or of an older generation, as half-open ranges [b0, e0, b1, e1 ...].
struct GetMissing {
  static constexpr Type kType = Type::kGetMissing;
  std::string object;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t generation = 0;
};
struct Missing {
  static constexpr Type kType = Type::kMissing;
  std::vector<std::uint64_t> ranges;
  std::uint64_t next = 0;  // looked at up to here; ask again from it until it is `end`
};

// "I want to send this many more payload bytes in all." Replaces an earlier request of the connection; 0 gives the rest back.
struct CreditRequest {
  static constexpr Type kType = Type::kCreditRequest;
  std::uint64_t bytes = 0;
  std::uint64_t unit = 0;  // the largest payload that will be sent: no grant leaves less than that to be used; 0: 1 MiB
  std::uint64_t window = 0;  // bytes that fill the peer's line, granted and not acknowledged, if there is room; 0: 8 units
};
// Adds to the credit of the connection. Sent when the pool has room, not at once. Its id is that of the newest request, so
// that a grant which crossed a request of 0 bytes is known to be void.
struct CreditGrant {
  static constexpr Type kType = Type::kCreditGrant;
  std::uint64_t bytes = 0;
};

struct PutChunk {  // payload: chunk; spends its size of credit
  static constexpr Type kType = Type::kPutChunk;
  std::string object;
  std::uint64_t slot = 0;
  std::uint64_t generation = 0;
  std::uint32_t encoding = 0;
  digest::Xxh128 xxh128{};
};
struct PutAck {  // the chunk is staged; its credit is spent
  static constexpr Type kType = Type::kPutAck;
  std::uint64_t slot = 0;
};

struct GetChunk {
  static constexpr Type kType = Type::kGetChunk;
  std::string object;
  std::uint64_t slot = 0;
  std::uint64_t min_generation = 0;
  // 0: an absent slot is an error at once. Else the read is parked until the slot comes, this long at most.
  std::uint64_t wait_ms = 0;
};
struct Chunk {  // payload: chunk
  static constexpr Type kType = Type::kChunk;
  std::uint64_t slot = 0;
  std::uint64_t generation = 0;
  std::uint32_t encoding = 0;
  digest::Xxh128 xxh128{};
};
// Queued and parked reads of this connection are answered with a kCancelled error each; those on their way still arrive.
struct CancelReads {
  static constexpr Type kType = Type::kCancelReads;
};

// As kPutChunk, of bytes that the store has: those of the same slot of `from`, a sealed object that is no update. Spends `bytes` of credit, which
// covers the copy; answered with kPutAck, or refused, and then the chunk is put.
struct LinkChunk {
  static constexpr Type kType = Type::kLinkChunk;
  std::string object;
  std::uint64_t slot = 0;
  std::uint64_t generation = 0;
  std::string from;
  std::uint64_t bytes = 0;
  digest::Xxh128 xxh128{};
  digest::Sha256 sha256{};
};

struct Seal {
  static constexpr Type kType = Type::kSeal;
  std::string object;
  std::uint64_t generation = 0;  // every slot must be of this one (0: any)
  bool durable = true;           // survive power loss, not only SIGKILL
};
struct Sealed {
  static constexpr Type kType = Type::kSealed;
  std::string object;
  std::string digest;  // hex SHA-256 of the manifest root
  std::uint64_t slots = 0;
};

struct GetRoot {
  static constexpr Type kType = Type::kGetRoot;
  std::string object;
};
struct RootBody {  // payload: manifest root
  static constexpr Type kType = Type::kRoot;
  std::string object;
};
struct GetPage {
  static constexpr Type kType = Type::kGetPage;
  std::string object;
  std::uint64_t page = 0;
};
struct PageBody {  // payload: 48-byte digests
  static constexpr Type kType = Type::kPage;
  std::uint64_t page = 0;
};

// Where a store has several shards, whoever seals tells each of them the digests of the others' slots.
struct GetDigests {  // of a page's slots that lie on this shard, zeros of the others; answered with kPage
  static constexpr Type kType = Type::kGetDigests;
  std::string object;
  std::uint64_t page = 0;
};
struct PutDigests {  // payload: a page's digests, of which the shard takes those of other shards' slots; spends credit, answered with kPutAck
  static constexpr Type kType = Type::kPutDigests;
  std::string object;
  std::uint64_t page = 0;
  std::uint64_t generation = 0;  // that the object is to be sealed with
};

struct Remove {  // no error when it is not there
  static constexpr Type kType = Type::kRemove;
  std::string object;
};
struct Removed {
  static constexpr Type kType = Type::kRemoved;
  std::string object;
};

struct List {  // names that begin with `prefix`, after `after`, in order
  static constexpr Type kType = Type::kList;
  std::string prefix;
  std::string after;
  std::uint32_t limit = 100;
};
struct ObjectList {
  static constexpr Type kType = Type::kObjectList;
  std::vector<std::string> objects;
};

}  // namespace tributary::wire
