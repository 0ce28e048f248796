// What a worker does for a read: the Reactor's methods that run there.
#include <algorithm>

#include "services/blob-store/reactor.h"

namespace tributary::service {
namespace {

// A page of Missing: so many slots are looked at in one go, and so many ranges told in one frame.
constexpr std::uint64_t kMissingStep = 256;  // after power loss each of them is read
constexpr std::size_t kMissingRanges = 2048;
// A reply that tells less than was asked for is better than none: slots may have to be read again after power loss.
constexpr std::chrono::seconds kMissingTime{2};
constexpr std::uint32_t kListLimit = 200;

// A buffer together with the share of its peer that it holds until libzmq lets go of it.
memory::BufferPtr Keep(memory::BufferPtr buffer, Hold bytes) {
  struct Kept {
    Kept(memory::BufferPtr b, Hold h) : buffer(std::move(b)), bytes(std::move(h)), unread(bytes.held(), &Held::unread, 1) {}
    ~Kept() {
      // Behind another reply it does not take the line.
      Held& held = *bytes.held();
      const std::uint64_t now = Now();
      held.taking += now - std::min(now, std::max(since, held.taken_last.exchange(now)));
      ++held.taken;
    }
    static std::uint64_t Now() {
      return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
    }
    memory::BufferPtr buffer;  // destroyed last: its release wakes the reactor, which looks at the others
    Hold bytes;
    Hold unread;
    const std::uint64_t since = Now();
  };
  auto kept = std::make_shared<Kept>(std::move(buffer), std::move(bytes));
  memory::Buffer* raw = kept->buffer.get();
  return memory::BufferPtr(std::move(kept), raw);
}

memory::BufferPtr ToBuffer(memory::Pool& pool, memory::Reservation reservation, std::span<const std::byte> bytes) {
  auto buffer = pool.AllocateFrom(std::move(reservation), bytes.size());
  std::copy(bytes.begin(), bytes.end(), buffer->payload().begin());
  return buffer;
}

// Of a shard's slots; those of other shards between two that are missing count as missing, too, so that what is missing whole is one range.
Result<wire::Missing> FindMissing(blob::SlotStore& store, const ReadRequest& request, std::uint32_t shards) {
  const auto until = std::chrono::steady_clock::now() + kMissingTime;
  wire::Missing reply;
  reply.next = request.slot;
  do {
    const std::uint64_t end = request.end - reply.next > kMissingStep ? reply.next + kMissingStep : request.end;
    TRIBUTARY_ASSIGN(const auto ranges, store.Missing(request.object, {reply.next, end}, request.min_generation));
    for (const auto& range : ranges) {
      if (!reply.ranges.empty() && range.begin - reply.ranges.back() < shards) {
        reply.ranges.back() = range.end;
      } else {
        reply.ranges.insert(reply.ranges.end(), {range.begin, range.end});
      }
    }
    reply.next = end;
  } while (reply.next < request.end && reply.ranges.size() < kMissingRanges && std::chrono::steady_clock::now() < until);
  return reply;
}

Result<wire::ObjectList> FindNames(blob::SlotStore& store, const wire::List& m) {
  TRIBUTARY_ASSIGN(const auto names, store.List(m.prefix, m.after, std::clamp(m.limit, 1u, kListLimit)));
  wire::ObjectList list;
  for (const ObjectName& name : names) list.objects.push_back(name.str());
  return list;
}

// Takes the grant for a payload of `bytes`; false when it is too small.
bool Fits(const ReadGrant& grant, std::uint64_t bytes, std::uint64_t* needs) {
  if (bytes + memory::kHeadroom <= grant.reservation.bytes()) return true;
  *needs = bytes;
  return false;
}

}  // namespace

Result<transport::OutFrame> Reactor::ReplyTo(const ReadPtr& read, ReadGrant& grant, std::uint64_t* needs) {
  const ReadRequest& request = read->request;
  const auto buffer_of = [&](const std::string& text) -> memory::BufferPtr {
    if (!Fits(grant, text.size(), needs)) return nullptr;
    auto buffer = ToBuffer(pool_, std::move(grant.reservation), std::as_bytes(std::span(text)));
    return Keep(std::move(buffer), std::move(grant.bytes));
  };
  // The bytes as they lie on the disk: they were checked when they came, and whoever asked checks them again.
  const auto document = [&](const auto& message, blob::Document which) -> Result<transport::OutFrame> {
    TRIBUTARY_ASSIGN(const std::uint64_t bytes, store_.DocumentBytes(request.object, which, request.slot));
    if (!Fits(grant, bytes, needs)) return transport::OutFrame();
    auto buffer = pool_.AllocateFrom(std::move(grant.reservation), bytes);
    TRIBUTARY_TRY(store_.ReadDocument(request.object, which, request.slot, buffer->payload()));
    return transport::MakeFrame(request.id, message, Keep(std::move(buffer), std::move(grant.bytes)));
  };
  switch (request.type) {
    case wire::Type::kGetMissing: {
      TRIBUTARY_ASSIGN(const wire::Missing missing, FindMissing(store_, request, options_.shards));
      return transport::OutFrame{{}, buffer_of(wire::EncodeFrame(request.id, missing))};
    }
    case wire::Type::kList: {
      TRIBUTARY_ASSIGN(const wire::ObjectList list, FindNames(store_, request.list));
      return transport::OutFrame{{}, buffer_of(wire::EncodeFrame(request.id, list))};
    }
    case wire::Type::kStat: {
      TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(request.object));
      return transport::OutFrame{wire::EncodeFrame(request.id, ToStatus(info)), nullptr};
    }
    case wire::Type::kGetSpec: return document(wire::SpecBody{request.object.str()}, blob::Document::kSpec);
    case wire::Type::kGetRoot: return document(wire::RootBody{request.object.str()}, blob::Document::kRoot);
    case wire::Type::kGetPage: return document(wire::PageBody{request.slot}, blob::Document::kPage);
    case wire::Type::kGetDigests: return document(wire::PageBody{request.slot}, blob::Document::kDigests);
    default: return ChunkReply(read, grant, needs);
  }
}

Result<transport::OutFrame> Reactor::ChunkReply(const ReadPtr& read, ReadGrant& grant, std::uint64_t* needs) {
  const ReadRequest& request = read->request;
  TRIBUTARY_ASSIGN(const blob::SlotMeta there, store_.StatSlot(request.object, request.slot, request.min_generation));
  if (!Fits(grant, there.bytes, needs)) return transport::OutFrame();
  const std::uint64_t excess = grant.reservation.bytes() - (there.bytes + memory::kHeadroom);
  if (excess > 0) grant.reservation.Split(excess).Release();
  read->need = there.bytes;
  auto buffer = pool_.AllocateFrom(std::move(grant.reservation), there.bytes);
  const auto got = store_.GetSlot(request.object, request.slot, buffer->payload());
  if (!got.ok() && got.error().code() == Code::kDataLoss) ++counters_.damaged_reads;
  TRIBUTARY_ASSIGN(const blob::SlotMeta meta, got);
  ++counters_.chunks_out;
  counters_.bytes_out += meta.bytes;
  const wire::Chunk chunk{request.slot, meta.generation, 0, meta.digest.xxh128};
  return transport::MakeFrame(request.id, chunk, Keep(std::move(buffer), std::move(grant.bytes)));
}

void Reactor::RunRead(const ReadPtr& read, ReadGrant grant) {
  std::uint64_t needs = 0;
  auto reply = std::make_shared<Result<transport::OutFrame>>(ReplyTo(read, grant, &needs));
  // The store stops, and its peer shall ask the next one.
  if (!reply->ok() && reply->error().code() == Code::kCancelled) return;
  // What was not used is free before the scheduler looks again.
  { const ReadGrant done = std::move(grant); }
  Post([this, read, reply, needs] {
    if (needs > 0) {
      reads_.NeedsMore(read, needs);
    } else if (reply->ok()) {
      server_->Send(read->peer, std::move(**reply));
      reads_.Finished(read);
    } else if (reply->error().code() == Code::kUnavailable) {
      reads_.Absent(read, reply->error());
    } else {
      reads_.Failed(read, reply->error());
    }
  });
}

}  // namespace tributary::service
