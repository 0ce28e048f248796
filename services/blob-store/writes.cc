// Frames with a payload: the Reactor's methods that check them against credit and stage them on a worker.
#include <algorithm>
#include <type_traits>

#include "services/blob-store/reactor.h"
#include "tributary/wire/object.h"

namespace tributary::service {
namespace {

// Credit counts payloads; what comes with each of them is bounded by their number.
constexpr std::uint64_t kMaxPuts = 32;
// A spec takes up to so many times its bytes while it is decoded, one at a time. Those of a few thousand tensors are not asked to wait.
constexpr std::uint64_t kDecodedTimes = 24;
constexpr std::uint64_t kSmallSpec = 256_KiB;
constexpr Duration kRoomForSpec{15'000};  // longer than credit may lie unused

struct Job {
  std::optional<CreditLedger::Spent> spent;
  transport::InFrame frame;
  void Release() {
    frame = transport::InFrame();
    spent.reset();
  }
};

// The bytes of the slot that a link names, if they are those that it means.
Result<std::vector<std::byte>> LinkedBytes(blob::SlotStore& store, const wire::LinkChunk& link) {
  TRIBUTARY_ASSIGN(const auto from, ObjectName::Parse(link.from));
  TRIBUTARY_ASSIGN(const auto info, store.Stat(from));
  // What trainers sent must not be found out by asking whether it equals something.
  if (!info.sealed || info.kind == wire::ObjectKind::kUpdate) {
    return MakeError(Code::kPermission, "slot {} of object '{}' is not for others: links are to sealed objects that are no updates", link.slot, link.from);
  }
  TRIBUTARY_ASSIGN(const auto meta, store.StatSlot(from, link.slot, 0));
  if (meta.bytes != link.bytes || meta.digest != wire::SlotDigest{link.sha256, link.xxh128}) {
    return MakeError(Code::kConflict, "slot {} of object '{}' holds other bytes than those that slot {} of '{}' should be linked to", link.slot, link.from,
                     link.slot, link.object);
  }
  std::vector<std::byte> bytes(meta.bytes);
  TRIBUTARY_TRY(store.GetSlot(from, link.slot, bytes).status());
  return bytes;
}

// A peer is never told how the ROUTER names connections: with the next name a peer could end the process (transport/context.cc).
Error WithoutCredit(const std::string& instance, std::uint64_t bytes) {
  return MakeError(Code::kProtocol, "{} sent a payload of {} bytes without credit for it", instance, bytes);
}

}  // namespace

bool Reactor::Admit(const PeerId& id, Peer& peer, const transport::InFrame& frame) {
  const wire::FrameView& view = frame.view();
  const std::uint64_t header = frame.size() - view.payload.size();
  if (view.type != wire::Type::kPutChunk && view.type != wire::Type::kCreate && view.type != wire::Type::kPutDigests) {
    Violation(id, peer, view.id, MakeError(Code::kProtocol, "a {} message takes no payload", wire::TypeName(view.type)));
    return false;
  }
  if (header > wire::kMaxHeaderWithPayload) {
    Violation(id, peer, view.id, MakeError(Code::kProtocol, "a header in front of a payload has at most {} bytes, not {}",
                                           wire::kMaxHeaderWithPayload, header));
    return false;
  }
  return AdmitPut(id, peer);
}

bool Reactor::AdmitPut(const PeerId& id, Peer& peer) {
  if (peer.held->puts < kMaxPuts) return true;
  EndSession(id, MakeError(Code::kUnavailable, "{} chunks of this peer wait to be staged: it sends many small ones at a time", kMaxPuts));
  return false;
}

void Reactor::Credit(const PeerId& id, Peer& peer, const wire::FrameView& view) {
  const auto request = wire::Expect<wire::CreditRequest>(view);
  if (!request.ok()) return SendError(id, view.id, request.error());
  const Status taken = credit_.Request(id, peer.held, view.id, *request, Clock::now());
  if (!taken.ok()) SendError(id, view.id, taken.error());
}

void Reactor::Put(const PeerId& id, Peer& peer, transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  const std::uint64_t bytes = view.payload.size();
  auto spent = credit_.Spend(id, bytes, Clock::now());
  if (!spent) return Violation(id, peer, view.id, WithoutCredit(peer.instance, bytes));
  const auto refuse = [&](const Error& error) {
    spent.reset();
    credit_.Staged(id, Clock::now());
    SendError(id, view.id, error);
  };
  const auto put = wire::Expect<wire::PutChunk>(view);
  if (!put.ok()) return refuse(put.error());
  auto name = ObjectName::Parse(put->object);
  if (!name.ok()) return refuse(name.error());
  if (put->encoding != static_cast<std::uint32_t>(tensor::Encoding::kNative)) {
    return refuse(MakeError(Code::kInvalidArgument, "a chunk is as its object's spec says: put-chunk with encoding {} is refused, send 0", put->encoding));
  }
  const bool aside = workers_.remote() && store_.Waits(*name);
  staging_.Add({id, *std::move(name), *put, *std::move(spent), std::move(frame)}, aside);
}

void Reactor::Staged(Staging::Put put, Result<blob::SlotMeta> staged) {
  const std::uint64_t request = put.frame.view().id;
  if (staged.ok()) {
    ++counters_.chunks_in;
    counters_.bytes_in += put.frame.view().payload.size();
  } else if (staged.error().code() == Code::kResourceExhausted) {
    ++counters_.no_room;
  }
  std::string reply = staged.ok() ? wire::EncodeFrame(request, wire::PutAck{put.message.slot})
                                  : wire::EncodeError(request, staged.error());
  const PeerId id = put.peer;
  const std::uint64_t slot = put.message.slot;
  ObjectName name = put.object;
  // The message first, then the reservation that covers it.
  put.frame = transport::InFrame();
  { const CreditLedger::Spent done = std::move(put.spent); }
  Post([this, id, ok = staged.ok(), slot, name = std::move(name), reply = std::move(reply)]() mutable {
    credit_.Staged(id, Clock::now());
    server_->Send(id, {std::move(reply), nullptr});
    if (ok) reads_.SlotChanged(name, slot);
  });
}

Status Reactor::CheckMessages(const ObjectName& name, const wire::ObjectSpec& spec) const {
  if (spec.cut == tensor::Cut::kChunks) return Ok();
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  const std::uint64_t largest = tensor::LargestSlotBytes(layout);
  // Also small ones need a store that was told so: it keeps a place for each tensor in memory, which its budget does not count.
  if (options_.max_message <= wire::kMaxPayload || largest > options_.max_message) {
    return MakeError(Code::kInvalidArgument,
                     "object '{}' is not cut into chunks, and its largest message has {} bytes: this store takes {}; start it with "
                     "--max-message {} and a --memory-budget of at least {}, or use transfer.mode stream",
                     name.str(), largest, options_.max_message <= wire::kMaxPayload ? "chunks alone" : fmt::format("at most {}", options_.max_message),
                     std::max<std::uint64_t>(largest, wire::kMaxPayload + 1), 2 * (largest + memory::kHeadroom));
  }
  if (2 * (largest + memory::kHeadroom) > pool_.budget()) {
    return MakeError(Code::kInvalidArgument,
                     "object '{}' is not cut into chunks, and its largest message has {} bytes: both halves of the memory budget must hold it; "
                     "start this store with a --memory-budget of at least {}, not {}, or use transfer.mode stream",
                     name.str(), largest, 2 * (largest + memory::kHeadroom), pool_.budget());
  }
  return Ok();
}

void Reactor::Link(const PeerId& id, Peer& peer, const wire::FrameView& view) {
  auto link = wire::Expect<wire::LinkChunk>(view);
  if (!link.ok()) return SendError(id, view.id, link.error());
  if (!AdmitPut(id, peer)) return;
  // The credit is the memory that the copy takes.
  auto spent = link->bytes == 0 ? std::nullopt : credit_.Spend(id, link->bytes, Clock::now());
  if (!spent) return Violation(id, peer, view.id, WithoutCredit(peer.instance, link->bytes));
  auto name = ObjectName::Parse(link->object);
  if (!name.ok()) {
    spent.reset();
    credit_.Staged(id, Clock::now());
    return SendError(id, view.id, name.error());
  }
  auto cover = std::make_shared<std::optional<CreditLedger::Spent>>(std::move(spent));
  const std::uint64_t key = Workers::KeyOf(*name, link->slot);
  const auto from = ObjectName::Parse(link->from);
  const ObjectName source = from.ok() ? *from : *name;
  PostFor(source, key, [this, id, cover, request = view.id, link = *std::move(link), name = *std::move(name)]() mutable {
    const auto staged = [&]() -> Result<blob::SlotMeta> {
      TRIBUTARY_ASSIGN(const auto bytes, LinkedBytes(store_, link));
      return store_.PutSlot(name, link.slot, link.generation, bytes, &link.xxh128, nullptr);
    }();
    if (staged.ok()) {
      counters_.bytes_linked += link.bytes;
    } else if (staged.error().code() == Code::kResourceExhausted) {
      ++counters_.no_room;
    }
    cover->reset();
    std::string reply = staged.ok() ? wire::EncodeFrame(request, wire::PutAck{link.slot}) : wire::EncodeError(request, staged.error());
    Post([this, id, ok = staged.ok(), slot = link.slot, name = std::move(name), reply = std::move(reply)]() mutable {
      credit_.Staged(id, Clock::now());
      server_->Send(id, {std::move(reply), nullptr});
      if (ok) reads_.SlotChanged(name, slot);
    });
  });
}

template <class M, class Work>
void Reactor::Take(const PeerId& id, Peer& peer, transport::InFrame frame, Work work) {
  const wire::FrameView& view = frame.view();
  const std::uint64_t bytes = view.payload.size();
  auto spent = credit_.Spend(id, bytes, Clock::now());
  if (!spent) return Violation(id, peer, view.id, WithoutCredit(peer.instance, bytes));
  auto job = std::make_shared<Job>(Job{std::move(spent), std::move(frame)});
  auto message = wire::Expect<M>(job->frame.view());
  auto name = message.ok() ? ObjectName::Parse(message->object) : Result<ObjectName>(message.error());
  if (!name.ok()) {
    const std::uint64_t request = job->frame.view().id;
    job->Release();
    credit_.Staged(id, Clock::now());
    return SendError(id, request, name.error());
  }
  const bool waits = store_.Waits(*name);
  // Digests are quickly written, and shall not wait behind the seals of others.
  const bool own = std::is_same_v<M, wire::PutDigests> && !store_.Rereads(*name);
  const std::uint64_t key = Workers::KeyOf(*name, 0);
  auto run = [this, id, job, name = *std::move(name), message = *std::move(message), work] {
    const std::uint64_t request = job->frame.view().id;
    const auto reply = work(name, message, job->frame.view().payload);
    if (!reply.ok() && reply.error().code() == Code::kResourceExhausted) ++counters_.no_room;
    job->Release();
    std::string text = reply.ok() ? wire::EncodeFrame(request, *reply) : wire::EncodeError(request, reply.error());
    Post([this, id, name, text = std::move(text)]() mutable {
      credit_.Staged(id, Clock::now());
      server_->Send(id, {std::move(text), nullptr});
      if constexpr (std::is_same_v<M, wire::Create>) reads_.ObjectChanged(name);
    });
  };
  if (waits) {
    workers_.PostRemote(std::move(run));
  } else if (own) {
    workers_.Post(key, std::move(run));
  } else {
    workers_.PostSlow(std::move(run));
  }
}

void Reactor::Create(const PeerId& id, Peer& peer, transport::InFrame frame) {
  Take<wire::Create>(id, peer, std::move(frame),
                     [this](const ObjectName& name, const wire::Create& create, std::span<const std::byte> payload) -> Result<wire::Created> {
                       memory::Reservation room;
                       if (payload.size() > kSmallSpec) {
                         const std::uint64_t wanted = std::min(kDecodedTimes * payload.size(), pool_.budget() / 4);
                         TRIBUTARY_ASSIGN(room, pool_.Reserve(memory::Side::kWrite, wanted, kRoomForSpec));
                       }
                       TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, wire::DecodeObjectSpec(payload));
                       TRIBUTARY_TRY(CheckMessages(name, spec));
                       TRIBUTARY_ASSIGN(const blob::CreateOutcome outcome, store_.Create(name, spec, create.replace));
                       return wire::Created{name.str(), outcome.existed, outcome.sealed};
                     });
}

void Reactor::PutDigests(const PeerId& id, Peer& peer, transport::InFrame frame) {
  Take<wire::PutDigests>(id, peer, std::move(frame),
                         [this](const ObjectName& name, const wire::PutDigests& put, std::span<const std::byte> payload) -> Result<wire::PutAck> {
                           TRIBUTARY_ASSIGN(const auto digests, wire::DecodePage(payload));
                           TRIBUTARY_TRY(store_.PutDigests(name, put.page, put.generation, digests));
                           return wire::PutAck{put.page};
                         });
}

}  // namespace tributary::service
