// Requests without a payload: the Reactor's methods that take them apart and hand them to the reads or to a worker.
#include <algorithm>

#include "services/blob-store/reactor.h"

namespace tributary::service {
namespace {

constexpr std::uint64_t kMaxRequests = 16;
// Of peers that went away, too: whoever connects again and again must not fill the queue of the slow ones.
constexpr std::uint64_t kMaxRequestsOfAll = 4096;
constexpr std::uint64_t kMaxWaitMs = 3'600'000;
constexpr std::size_t kMaxNameBytes = 255;

Status Fill(const wire::GetChunk& m, ReadRequest& request) {
  request.slot = m.slot;
  request.min_generation = m.min_generation;
  request.wait = Duration(std::min(m.wait_ms, kMaxWaitMs));
  return Ok();
}
Status Fill(const wire::Stat&, ReadRequest&) { return Ok(); }
Status Fill(const wire::GetSpec&, ReadRequest&) { return Ok(); }
Status Fill(const wire::GetRoot&, ReadRequest&) { return Ok(); }
Status Fill(const wire::GetPage& m, ReadRequest& request) {
  request.slot = m.page;
  return Ok();
}
Status Fill(const wire::GetDigests& m, ReadRequest& request) {
  request.slot = m.page;
  return Ok();
}
Status Fill(const wire::GetMissing& m, ReadRequest& request) {
  request.slot = m.begin;
  request.end = m.end;
  request.min_generation = m.generation;
  return Ok();
}
Status Fill(wire::List& m, ReadRequest& request) {
  if (m.prefix.size() > kMaxNameBytes || m.after.size() > kMaxNameBytes) {
    return MakeError(Code::kInvalidArgument, "names have at most {} bytes: prefix has {}, after {}", kMaxNameBytes, m.prefix.size(),
                     m.after.size());
  }
  request.list = std::move(m);
  return Ok();
}

}  // namespace

wire::ObjectStatus ToStatus(const blob::ObjectInfo& info) {
  wire::ObjectStatus status;
  status.object = info.name.str();
  status.kind = static_cast<std::uint32_t>(info.kind);
  status.sealed = info.sealed;
  status.slots = info.slots;
  status.slots_present = info.slots_present;
  status.generation = info.generation;
  status.sample_count = info.sample_count;
  status.bytes = info.bytes;
  status.bytes_present = info.bytes_present;
  status.digest = info.digest;
  status.norm = info.norm;
  return status;
}

bool Reactor::Refuse(const PeerId& id, Peer& peer, const wire::FrameView& view) {
  switch (view.type) {
    case wire::Type::kCreate:
    case wire::Type::kPutChunk:
    case wire::Type::kGetDigests:
    case wire::Type::kPutDigests:
    case wire::Type::kCreditRequest:
    case wire::Type::kSeal:
    case wire::Type::kRemove:
    case wire::Type::kList: break;
    default: return false;
  }
  const Error error = options_.cache->ReadOnly();
  if (view.payload.empty()) {
    SendError(id, view.id, error);
  } else {
    Violation(id, peer, view.id, error);
  }
  return true;
}

// What must not wait behind an upload does not.
Reactor::On Reactor::SealLane(const wire::FrameView& view) {
  const auto seal = wire::Expect<wire::Seal>(view);
  return seal.ok() && seal->durable ? On::kUpload : On::kSlow;
}

template <class M, class Work>
void Reactor::Ask(const PeerId& id, Peer& peer, const wire::FrameView& view, On lane, Work work) {
  auto message = wire::Expect<M>(view);
  if (!message.ok()) return SendError(id, view.id, message.error());
  ObjectName name;
  if constexpr (requires { message->object; }) {
    auto parsed = ObjectName::Parse(message->object);
    if (!parsed.ok()) return SendError(id, view.id, parsed.error());
    name = *std::move(parsed);
  }
  if (peer.held->requests >= kMaxRequests) {
    return SendError(id, view.id, MakeError(Code::kProtocol, "this peer has {} requests under way already", kMaxRequests));
  }
  if (all_->requests >= kMaxRequestsOfAll) {
    return SendError(id, view.id, MakeError(Code::kResourceExhausted, "{} requests wait at this blob-store already; ask again later",
                                            kMaxRequestsOfAll));
  }
  const std::uint64_t key = Workers::KeyOf(name, 0);
  const ObjectName asked = name;
  struct Place {
    Hold own;
    Hold of_all;
  };
  auto place = std::make_shared<Place>(Place{Hold(peer.held, &Held::requests, 1), Hold(all_, &Held::requests, 1)});
  auto job = [this, id, place = std::move(place), request = view.id, name = std::move(name), message = *std::move(message), work] {
    auto reply = work(name, message);
    // The store stops, and its peer shall ask the next one.
    if (!reply.ok() && reply.error().code() == Code::kCancelled) return;
    std::string frame = reply.ok() ? wire::EncodeFrame(request, *reply) : wire::EncodeError(request, reply.error());
    Post([this, id, place, frame = std::move(frame)]() mutable {
      place.reset();
      server_->Send(id, {std::move(frame), nullptr});
    });
  };
  switch (lane) {
    case On::kOwn: return PostFor(asked, key, std::move(job));
    case On::kSlow: return workers_.PostSlow(std::move(job));
    case On::kRemoval: return workers_.PostRemoval(std::move(job));
    case On::kUpload: return workers_.PostUpload(std::move(job));
  }
}

void Reactor::PostFor(const ObjectName& name, std::uint64_t key, Workers::Job job) {
  if (workers_.remote() && !name.empty() && store_.Waits(name)) {
    workers_.PostRemote(std::move(job));
  } else {
    workers_.Post(key, std::move(job));
  }
}

template <class M>
void Reactor::Get(const PeerId& id, Peer& peer, const wire::FrameView& view) {
  auto message = wire::Expect<M>(view);
  if (!message.ok()) return SendError(id, view.id, message.error());
  ReadRequest request;
  if constexpr (requires { message->object; }) {
    auto name = ObjectName::Parse(message->object);
    if (!name.ok()) return SendError(id, view.id, name.error());
    request.object = *std::move(name);
  }
  if (const Status filled = Fill(*message, request); !filled.ok()) return SendError(id, view.id, filled.error());
  if (options_.cache != nullptr) {
    request.patient = request.wait.count() > 0;
    // Who would not wait for an absent slot waits for one that is on its way here.
    if (!request.patient) request.wait = options_.cache_wait;
  }
  request.type = M::kType;
  request.id = view.id;
  reads_.Add(id, peer.reads_as, peer.held, std::move(request));
}

void Reactor::Dispatch(const PeerId& id, Peer& peer, transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  if (options_.cache != nullptr && Refuse(id, peer, view)) return;
  if (!view.payload.empty() && !Admit(id, peer, frame)) return;
  switch (view.type) {
    case wire::Type::kPutChunk: return Put(id, peer, std::move(frame));
    case wire::Type::kPutDigests: return PutDigests(id, peer, std::move(frame));
    case wire::Type::kCreate: return Create(id, peer, std::move(frame));
    case wire::Type::kLinkChunk: return Link(id, peer, view);
    case wire::Type::kCreditRequest: return Credit(id, peer, view);
    case wire::Type::kGetChunk: return Get<wire::GetChunk>(id, peer, view);
    case wire::Type::kGetSpec: return Get<wire::GetSpec>(id, peer, view);
    case wire::Type::kGetRoot: return Get<wire::GetRoot>(id, peer, view);
    case wire::Type::kGetPage: return Get<wire::GetPage>(id, peer, view);
    case wire::Type::kGetDigests: return Get<wire::GetDigests>(id, peer, view);
    case wire::Type::kCancelReads: return reads_.Cancel(id);
    case wire::Type::kStat:
      if (options_.cache != nullptr) return Get<wire::Stat>(id, peer, view);
      return Ask<wire::Stat>(id, peer, view, On::kOwn, [this](const ObjectName& name, const wire::Stat&) -> Result<wire::ObjectStatus> {
        TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(name));
        return ToStatus(info);
      });
    case wire::Type::kGetMissing: return Get<wire::GetMissing>(id, peer, view);
    case wire::Type::kList: return Get<wire::List>(id, peer, view);
    case wire::Type::kSeal:
      return Ask<wire::Seal>(id, peer, view, SealLane(view), [this](const ObjectName& name, const wire::Seal& m) -> Result<wire::Sealed> {
        TRIBUTARY_ASSIGN(const std::string digest, store_.Seal(name, m.generation, m.durable));
        TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(name));
        return wire::Sealed{name.str(), digest, info.slots};
      });
    case wire::Type::kRemove:
      return Ask<wire::Remove>(id, peer, view, On::kRemoval, [this](const ObjectName& name, const wire::Remove&) -> Result<wire::Removed> {
        TRIBUTARY_TRY(store_.Remove(name));
        Post([this, name] { reads_.ObjectChanged(name); });
        return wire::Removed{name.str()};
      });
    default:
      SendError(id, view.id, MakeError(Code::kProtocol, "a blob-store does not take {} messages (type {})",
                                       wire::TypeName(view.type), static_cast<std::uint32_t>(view.type)));
  }
}

}  // namespace tributary::service
