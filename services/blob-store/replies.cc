// What a worker does for a read: the Reactor's methods that run there.
#include <algorithm>

#include "services/blob-store/reactor.h"
#include "tributary/wire/object.h"

namespace tributary::service {
namespace {

// A buffer together with the share of its peer that it holds until libzmq lets go of it.
memory::BufferPtr Hold(memory::BufferPtr buffer, UsageHold usage) {
  struct Held {
    memory::BufferPtr buffer;  // destroyed last: its release wakes the reactor, which looks at the usage
    UsageHold usage;
  };
  auto held = std::make_shared<Held>(Held{std::move(buffer), std::move(usage)});
  memory::Buffer* raw = held->buffer.get();
  return memory::BufferPtr(std::move(held), raw);
}

memory::BufferPtr ToBuffer(memory::Pool& pool, memory::Reservation reservation, std::span<const std::byte> bytes) {
  auto buffer = pool.AllocateFrom(std::move(reservation), bytes.size());
  std::copy(bytes.begin(), bytes.end(), buffer->payload().begin());
  return buffer;
}

}  // namespace

Result<transport::OutFrame> Reactor::ReplyTo(const ReadPtr& read, ReadGrant& grant, std::uint64_t* needs) {
  const ReadRequest& request = read->request;
  // Takes the grant for a payload of `bytes`; false when it is too small.
  const auto fits = [&](std::uint64_t bytes) {
    if (bytes + memory::kHeadroom > grant.reservation.bytes()) {
      *needs = bytes;
      return false;
    }
    return true;
  };
  const auto text_frame = [&](const auto& message, const std::string& text) -> Result<transport::OutFrame> {
    if (!fits(text.size())) return transport::OutFrame();
    auto buffer = ToBuffer(pool_, std::move(grant.reservation), std::as_bytes(std::span(text)));
    return transport::MakeFrame(request.id, message, Hold(std::move(buffer), std::move(grant.usage)));
  };
  switch (request.type) {
    case wire::Type::kGetSpec: {
      TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, store_.Spec(request.object));
      return text_frame(wire::SpecBody{request.object.str()}, wire::EncodeObjectSpec(spec));
    }
    case wire::Type::kGetRoot: {
      TRIBUTARY_ASSIGN(const wire::ManifestRoot root, store_.Root(request.object));
      return text_frame(wire::RootBody{request.object.str()}, wire::EncodeManifestRoot(root));
    }
    case wire::Type::kGetPage: {
      TRIBUTARY_ASSIGN(const auto page, store_.Page(request.object, request.slot));
      return text_frame(wire::PageBody{request.slot}, wire::EncodePage(page));
    }
    default: break;
  }
  TRIBUTARY_ASSIGN(const blob::SlotMeta there, store_.StatSlot(request.object, request.slot, request.min_generation));
  if (!fits(there.bytes)) return transport::OutFrame();
  const std::uint64_t excess = grant.reservation.bytes() - (there.bytes + memory::kHeadroom);
  if (excess > 0) grant.reservation.Split(excess).Release();
  read->need = there.bytes;
  auto buffer = pool_.AllocateFrom(std::move(grant.reservation), there.bytes);
  TRIBUTARY_ASSIGN(const blob::SlotMeta meta, store_.GetSlot(request.object, request.slot, buffer->payload()));
  ++counters_.chunks_out;
  counters_.bytes_out += meta.bytes;
  const wire::Chunk chunk{request.slot, meta.generation, 0, meta.digest.xxh128};
  return transport::MakeFrame(request.id, chunk, Hold(std::move(buffer), std::move(grant.usage)));
}

void Reactor::RunRead(const ReadPtr& read, ReadGrant grant) {
  std::uint64_t needs = 0;
  auto reply = std::make_shared<Result<transport::OutFrame>>(ReplyTo(read, grant, &needs));
  // What was not used is free before the scheduler looks again.
  { const ReadGrant done = std::move(grant); }
  Post([this, read, reply, needs] {
    if (needs > 0) {
      reads_.NeedsMore(read, needs);
    } else if (reply->ok()) {
      server_->Send(read->peer, std::move(**reply));
      reads_.Finished(read);
    } else if (reply->error().code() == Code::kUnavailable && read->request.type == wire::Type::kGetChunk) {
      reads_.Absent(read, reply->error());
    } else {
      reads_.Failed(read, reply->error());
    }
  });
}

}  // namespace tributary::service
