#include "tributary/wire/data.h"

#include <type_traits>

#include "fields.h"
#include "tributary/wire/grant.h"

namespace tributary::wire {

template <class V>
void Fields(V& v, StoreHello& m) {
  v("instance", m.instance);
  v("role", m.role);
  if (std::is_same_v<V, Unpack> || !m.grant.empty()) v("grant", m.grant, kMaxGrantBytes);
}
template <class V>
void Fields(V& v, StoreWelcome& m) {
  v("epoch", m.epoch);
  v("shard", m.shard);
  v("shards", m.shards);
  v("max_payload", m.max_payload);
  v("max_outstanding_reads", m.max_outstanding_reads);
}
template <class V>
void Fields(V& v, Create& m) {
  v("object", m.object);
  v("replace", m.replace);
}
template <class V>
void Fields(V& v, Created& m) {
  v("object", m.object);
  v("existed", m.existed);
  v("sealed", m.sealed);
}
template <class V>
void Fields(V& v, Stat& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, ObjectStatus& m) {
  v("object", m.object);
  v("kind", m.kind);
  v("sealed", m.sealed);
  v("slots", m.slots);
  v("slots_present", m.slots_present);
  v("generation", m.generation);
  v("sample_count", m.sample_count);
  v("bytes", m.bytes);
  v("bytes_present", m.bytes_present);
  v("digest", m.digest);
  v("norm", m.norm);
}
template <class V>
void Fields(V& v, GetSpec& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, SpecBody& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, GetMissing& m) {
  v("object", m.object);
  v("begin", m.begin);
  v("end", m.end);
  v("generation", m.generation);
}
template <class V>
void Fields(V& v, Missing& m) {
  v("ranges", m.ranges);
  v("next", m.next);
}
template <class V>
void Fields(V& v, CreditRequest& m) {
  v("bytes", m.bytes);
  v("unit", m.unit);
  v("window", m.window);
}
template <class V>
void Fields(V& v, CreditGrant& m) {
  v("bytes", m.bytes);
}
template <class V>
void Fields(V& v, PutChunk& m) {
  v("object", m.object);
  v("slot", m.slot);
  v("generation", m.generation);
  v("encoding", m.encoding);
  v("xxh128", m.xxh128);
}
template <class V>
void Fields(V& v, PutAck& m) {
  v("slot", m.slot);
}
template <class V>
void Fields(V& v, GetChunk& m) {
  v("object", m.object);
  v("slot", m.slot);
  v("min_generation", m.min_generation);
  v("wait_ms", m.wait_ms);
}
template <class V>
void Fields(V& v, Chunk& m) {
  v("slot", m.slot);
  v("generation", m.generation);
  v("encoding", m.encoding);
  v("xxh128", m.xxh128);
}
template <class V>
void Fields(V&, CancelReads&) {}
template <class V>
void Fields(V& v, LinkChunk& m) {
  v("object", m.object);
  v("slot", m.slot);
  v("generation", m.generation);
  v("from", m.from);
  v("bytes", m.bytes);
  v("xxh128", m.xxh128);
  v("sha256", m.sha256);
}
template <class V>
void Fields(V& v, Seal& m) {
  v("object", m.object);
  v("generation", m.generation);
  v("durable", m.durable);
}
template <class V>
void Fields(V& v, Sealed& m) {
  v("object", m.object);
  v("digest", m.digest);
  v("slots", m.slots);
}
template <class V>
void Fields(V& v, GetRoot& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, RootBody& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, GetPage& m) {
  v("object", m.object);
  v("page", m.page);
}
template <class V>
void Fields(V& v, PageBody& m) {
  v("page", m.page);
}
template <class V>
void Fields(V& v, GetDigests& m) {
  v("object", m.object);
  v("page", m.page);
}
template <class V>
void Fields(V& v, PutDigests& m) {
  v("object", m.object);
  v("page", m.page);
  v("generation", m.generation);
}
template <class V>
void Fields(V& v, Remove& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, Removed& m) {
  v("object", m.object);
}
template <class V>
void Fields(V& v, List& m) {
  v("prefix", m.prefix);
  v("after", m.after);
  v("limit", m.limit);
}
template <class V>
void Fields(V& v, ObjectList& m) {
  v("objects", m.objects);
}

TRIBUTARY_WIRE_MESSAGE(StoreHello);
TRIBUTARY_WIRE_MESSAGE(StoreWelcome);
TRIBUTARY_WIRE_MESSAGE(Create);
TRIBUTARY_WIRE_MESSAGE(Created);
TRIBUTARY_WIRE_MESSAGE(Stat);
TRIBUTARY_WIRE_MESSAGE(ObjectStatus);
TRIBUTARY_WIRE_MESSAGE(GetSpec);
TRIBUTARY_WIRE_MESSAGE(SpecBody);
TRIBUTARY_WIRE_MESSAGE(GetMissing);
TRIBUTARY_WIRE_MESSAGE(Missing);
TRIBUTARY_WIRE_MESSAGE(CreditRequest);
TRIBUTARY_WIRE_MESSAGE(CreditGrant);
TRIBUTARY_WIRE_MESSAGE(PutChunk);
TRIBUTARY_WIRE_MESSAGE(PutAck);
TRIBUTARY_WIRE_MESSAGE(GetChunk);
TRIBUTARY_WIRE_MESSAGE(Chunk);
TRIBUTARY_WIRE_MESSAGE(CancelReads);
TRIBUTARY_WIRE_MESSAGE(LinkChunk);
TRIBUTARY_WIRE_MESSAGE(Seal);
TRIBUTARY_WIRE_MESSAGE(Sealed);
TRIBUTARY_WIRE_MESSAGE(GetRoot);
TRIBUTARY_WIRE_MESSAGE(RootBody);
TRIBUTARY_WIRE_MESSAGE(GetPage);
TRIBUTARY_WIRE_MESSAGE(PageBody);
TRIBUTARY_WIRE_MESSAGE(GetDigests);
TRIBUTARY_WIRE_MESSAGE(PutDigests);
TRIBUTARY_WIRE_MESSAGE(Remove);
TRIBUTARY_WIRE_MESSAGE(Removed);
TRIBUTARY_WIRE_MESSAGE(List);
TRIBUTARY_WIRE_MESSAGE(ObjectList);

}  // namespace tributary::wire
