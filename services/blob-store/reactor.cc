#include "services/blob-store/reactor.h"

#include <algorithm>
#include <random>

#include "tributary/base/log.h"
#include "tributary/config/options.h"

namespace tributary::service {
namespace {

constexpr std::uint32_t kMaxOutstandingReads = 64;
constexpr std::uint32_t kMaxRequests = 16;
constexpr std::uint32_t kMaxViolations = 3;
constexpr std::size_t kMaxPeers = 4096;
constexpr std::size_t kMaxShunned = 1024;
constexpr std::chrono::minutes kForgetSilentPeers{15};
constexpr std::uint64_t kMaxWaitMs = 3'600'000;
// A page of Missing: so many slots are looked at in one go, and so many ranges told in one frame (64 KiB).
constexpr std::uint64_t kMissingStep = 4096;
constexpr std::size_t kMissingRanges = 2048;
constexpr std::uint32_t kListLimit = 200;

std::uint64_t NewEpoch() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

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
  return status;
}

ReadRequest ToRead(const wire::GetChunk& m) {
  return {m.kType, 0, {}, m.slot, m.min_generation, Duration(std::min(m.wait_ms, kMaxWaitMs))};
}
ReadRequest ToRead(const wire::GetSpec& m) { return {m.kType, 0, {}, 0, 0, Duration(0)}; }
ReadRequest ToRead(const wire::GetRoot& m) { return {m.kType, 0, {}, 0, 0, Duration(0)}; }
ReadRequest ToRead(const wire::GetPage& m) { return {m.kType, 0, {}, m.page, 0, Duration(0)}; }

}  // namespace

Reactor::Reactor(blob::SlotStore& store, memory::Pool& pool, const ReactorOptions& options)
    : store_(store),
      pool_(pool),
      options_(options),
      epoch_(NewEpoch()),
      credit_(pool,
              [this](const PeerId& peer, std::uint64_t id, std::uint64_t bytes) {
                server_->Send(peer, transport::MakeFrame(id, wire::CreditGrant{bytes}));
              }),
      reads_(
          pool, kMaxOutstandingReads,
          [this](ReadPtr read, ReadGrant grant) {
            const std::uint64_t key = read->request.slot;
            workers_.Post(key, [this, read = std::move(read), held = std::make_shared<ReadGrant>(std::move(grant))] {
              RunRead(read, std::move(*held));
            });
          },
          [this](const Read& read, const Error& error) { SendError(read.peer, read.request.id, error); }),
      workers_(options.worker_threads) {
  pool_.OnRelease([this] { Kick(); });
}

Reactor::~Reactor() { Detach(); }

void Reactor::Attach(transport::FrameServer& server) {
  {
    const std::lock_guard lock(server_mutex_);
    server_ = &server;
  }
  attached_.count_down();
}

void Reactor::Detach() {
  workers_.Stop();
  const std::lock_guard lock(server_mutex_);
  server_ = nullptr;
}

void Reactor::Post(std::function<void()> task) {
  const std::lock_guard lock(server_mutex_);
  if (server_ == nullptr) return;
  server_->Post([this, task = std::move(task)] {
    task();
    Advance();
  });
}

void Reactor::Kick() {
  if (kicked_.exchange(true)) return;
  const std::lock_guard lock(server_mutex_);
  if (server_ == nullptr) return;
  server_->Post([this] { Advance(); });
}

void Reactor::Advance() {
  // Cleared first: a release during the calls below asks for another round.
  kicked_ = false;
  credit_.Grant();
  reads_.Schedule();
}

void Reactor::SendError(const PeerId& id, std::uint64_t request, const Error& error) {
  if (error.code() == Code::kProtocol) ++counters_.protocol_errors;
  server_->Send(id, {wire::EncodeError(request, error), nullptr});
}

void Reactor::ForgetPeer(const PeerId& id) {
  credit_.Forget(id);
  reads_.Forget(id);
  peers_.erase(id);
  counters_.peers = peers_.size();
}

void Reactor::OnGone(const PeerId& id) {
  // Called from within Send, and so from within loops over what is forgotten here.
  Post([this, id] { ForgetPeer(id); });
}

void Reactor::OnTick() {
  attached_.wait();
  const auto now = std::chrono::steady_clock::now();
  reads_.Expire(now);
  counters_.parked_reads = reads_.parked();
  for (const PeerId& id : credit_.Idle(now, options_.credit_idle)) {
    log::Info("peer {} ({}) did not use its credit for {}: its session ends", id.str(), peers_[id].instance,
              FormatDuration(options_.credit_idle));
    ForgetPeer(id);
    // Credit is taken back together with the session, so that nobody spends it any more.
    SendError(id, 0, MakeError(Code::kUnavailable, "credit was not used for {} and is taken back; begin a new session",
                               FormatDuration(options_.credit_idle)));
  }
  std::vector<PeerId> silent;
  for (const auto& [id, peer] : peers_) {
    if (now - peer.last_frame > kForgetSilentPeers) silent.push_back(id);
  }
  for (const PeerId& id : silent) ForgetPeer(id);
  Advance();
}

void Reactor::OnFrame(const PeerId& id, transport::InFrame frame) {
  attached_.wait();
  const wire::FrameView& view = frame.view();
  if (shunned_.contains(id)) return;
  if (view.protocol != wire::kProtocol) {
    SendError(id, view.id, MakeError(Code::kProtocol,
                                     "this blob-store speaks protocol {}, the peer {}; install the same version on both",
                                     wire::kProtocol, view.protocol));
    return;
  }
  if (view.type == wire::Type::kPing) {
    server_->Send(id, transport::MakeFrame(view.id, wire::Pong{"blob-store", std::string(config::Version())}));
    return;
  }
  if (view.type == wire::Type::kStoreHello) {
    Hello(id, view);
    return;
  }
  const auto it = peers_.find(id);
  if (it == peers_.end()) {
    SendError(id, 0, MakeError(Code::kUnavailable, "this session is not known here; begin with store-hello"));
    return;
  }
  it->second.last_frame = std::chrono::steady_clock::now();
  Dispatch(id, it->second, std::move(frame));
  Advance();
}

void Reactor::Hello(const PeerId& id, const wire::FrameView& view) {
  const auto hello = wire::Expect<wire::StoreHello>(view);
  if (!hello.ok()) return SendError(id, view.id, hello.error());
  ForgetPeer(id);
  if (peers_.size() >= kMaxPeers) {
    return SendError(id, view.id, MakeError(Code::kResourceExhausted, "this blob-store serves {} peers already", kMaxPeers));
  }
  Peer& peer = peers_[id];
  peer.instance = InstanceName::Parse(hello->instance).ok() ? hello->instance : "unnamed";
  peer.serial = ++serial_;
  peer.last_frame = std::chrono::steady_clock::now();
  counters_.peers = peers_.size();
  wire::StoreWelcome welcome;
  welcome.epoch = epoch_;
  welcome.shard = options_.shard;
  welcome.shards = options_.shards;
  welcome.max_payload = std::min<std::uint64_t>(wire::kMaxPayload, pool_.budget() - memory::kHeadroom);
  welcome.max_outstanding_reads = kMaxOutstandingReads;
  server_->Send(id, transport::MakeFrame(view.id, welcome));
}

void Reactor::Dispatch(const PeerId& id, Peer& peer, transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  switch (view.type) {
    case wire::Type::kPutChunk: return Put(id, peer, std::move(frame));
    case wire::Type::kCreate: return Create(id, peer, std::move(frame));
    case wire::Type::kCreditRequest: return Credit(id, view);
    case wire::Type::kGetChunk: return Get<wire::GetChunk>(id, view);
    case wire::Type::kGetSpec: return Get<wire::GetSpec>(id, view);
    case wire::Type::kGetRoot: return Get<wire::GetRoot>(id, view);
    case wire::Type::kGetPage: return Get<wire::GetPage>(id, view);
    case wire::Type::kCancelReads: return reads_.Cancel(id);
    case wire::Type::kStat:
      return Ask<wire::Stat>(id, peer, view, false, [this](const ObjectName& name, const wire::Stat&) -> Result<wire::ObjectStatus> {
        TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(name));
        return ToStatus(info);
      });
    case wire::Type::kGetMissing:
      return Ask<wire::GetMissing>(
          id, peer, view, false, [this](const ObjectName& name, const wire::GetMissing& m) -> Result<wire::Missing> {
            wire::Missing reply;
            reply.next = m.begin;
            do {
              const std::uint64_t end = m.end - reply.next > kMissingStep ? reply.next + kMissingStep : m.end;
              TRIBUTARY_ASSIGN(const auto ranges, store_.Missing(name, {reply.next, end}, m.generation));
              for (const auto& range : ranges) {
                if (!reply.ranges.empty() && reply.ranges.back() == range.begin) {
                  reply.ranges.back() = range.end;
                } else {
                  reply.ranges.insert(reply.ranges.end(), {range.begin, range.end});
                }
              }
              reply.next = end;
            } while (reply.next < m.end && reply.ranges.size() < kMissingRanges);
            return reply;
          });
    case wire::Type::kSeal:
      return Ask<wire::Seal>(id, peer, view, true, [this](const ObjectName& name, const wire::Seal& m) -> Result<wire::Sealed> {
        TRIBUTARY_ASSIGN(const std::string digest, store_.Seal(name, m.generation, m.durable));
        TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store_.Stat(name));
        return wire::Sealed{name.str(), digest, info.slots};
      });
    case wire::Type::kRemove:
      return Ask<wire::Remove>(id, peer, view, true, [this](const ObjectName& name, const wire::Remove&) -> Result<wire::Removed> {
        TRIBUTARY_TRY(store_.Remove(name));
        Post([this, name] { reads_.ObjectChanged(name); });
        return wire::Removed{name.str()};
      });
    case wire::Type::kList:
      return Ask<wire::List>(id, peer, view, true, [this](const ObjectName&, const wire::List& m) -> Result<wire::ObjectList> {
        TRIBUTARY_ASSIGN(const auto names, store_.List(m.prefix, m.after, std::clamp(m.limit, 1u, kListLimit)));
        wire::ObjectList list;
        for (const ObjectName& name : names) list.objects.push_back(name.str());
        return list;
      });
    default:
      SendError(id, view.id, MakeError(Code::kProtocol, "a blob-store does not take {} messages (type {})",
                                       wire::TypeName(view.type), static_cast<std::uint32_t>(view.type)));
  }
}

template <class M, class Work>
void Reactor::Ask(const PeerId& id, Peer& peer, const wire::FrameView& view, bool slow, Work work) {
  auto message = wire::Expect<M>(view);
  if (!message.ok()) return SendError(id, view.id, message.error());
  ObjectName name;
  if constexpr (requires { message->object; }) {
    auto parsed = ObjectName::Parse(message->object);
    if (!parsed.ok()) return SendError(id, view.id, parsed.error());
    name = *std::move(parsed);
  }
  if (peer.requests >= kMaxRequests) {
    return SendError(id, view.id, MakeError(Code::kProtocol, "peer {} has {} requests under way already", id.str(), kMaxRequests));
  }
  ++peer.requests;
  auto job = [this, id, serial = peer.serial, request = view.id, name = std::move(name), message = *std::move(message), work] {
    auto reply = work(name, message);
    std::string frame = reply.ok() ? wire::EncodeFrame(request, *reply) : wire::EncodeError(request, reply.error());
    Post([this, id, serial, frame = std::move(frame)]() mutable {
      EndRequest(id, serial);
      server_->Send(id, {std::move(frame), nullptr});
    });
  };
  if (slow) {
    workers_.PostSlow(std::move(job));
  } else {
    workers_.Post(view.id, std::move(job));
  }
}

void Reactor::EndRequest(const PeerId& id, std::uint64_t serial) {
  const auto it = peers_.find(id);
  if (it != peers_.end() && it->second.serial == serial) --it->second.requests;
}

template <class M>
void Reactor::Get(const PeerId& id, const wire::FrameView& view) {
  const auto message = wire::Expect<M>(view);
  if (!message.ok()) return SendError(id, view.id, message.error());
  auto name = ObjectName::Parse(message->object);
  if (!name.ok()) return SendError(id, view.id, name.error());
  ReadRequest request = ToRead(*message);
  request.id = view.id;
  request.object = *std::move(name);
  reads_.Add(id, std::move(request));
}

void Reactor::Credit(const PeerId& id, const wire::FrameView& view) {
  const auto request = wire::Expect<wire::CreditRequest>(view);
  if (!request.ok()) return SendError(id, view.id, request.error());
  const Status taken = credit_.Request(id, view.id, request->bytes, request->unit);
  if (!taken.ok()) SendError(id, view.id, taken.error());
}

void Reactor::Violation(const PeerId& id, Peer& peer, const wire::FrameView& view) {
  ++counters_.credit_violations;
  SendError(id, view.id, MakeError(Code::kProtocol, "peer {} ({}) sent a payload of {} bytes without credit for it", id.str(),
                                   peer.instance, view.payload.size()));
  if (++peer.violations < kMaxViolations) return;
  log::Warning("peer {} ({}) keeps sending without credit: its frames are dropped from now on", id.str(), peer.instance);
  ForgetPeer(id);
  if (shunned_.size() >= kMaxShunned) shunned_.erase(shunned_.begin());
  shunned_.emplace(id, std::chrono::steady_clock::now());
}

void Reactor::Put(const PeerId& id, Peer& peer, transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  auto reservations = credit_.Spend(id, view.payload.size());
  if (reservations.empty()) return Violation(id, peer, view);
  const std::uint64_t bytes = view.payload.size();
  const auto refuse = [&](const Error& error) {
    credit_.Staged(id, bytes);
    SendError(id, view.id, error);
  };
  const auto put = wire::Expect<wire::PutChunk>(view);
  if (!put.ok()) return refuse(put.error());
  auto name = ObjectName::Parse(put->object);
  if (!name.ok()) return refuse(name.error());
  if (put->encoding != static_cast<std::uint32_t>(tensor::Encoding::kNative)) {
    return refuse(MakeError(Code::kInvalidArgument, "chunks of encoding {} are not stored by this version", put->encoding));
  }
  struct Job {
    memory::Pool* pool;
    CreditLedger::Reservations reservations;
    transport::InFrame frame;  // goes before the reservations that cover it
  };
  auto job = std::make_shared<Job>(Job{&pool_, std::move(reservations), std::move(frame)});
  workers_.Post(put->slot, [this, id, job, bytes, put = *put, name = *std::move(name)]() mutable {
    const std::uint64_t request = job->frame.view().id;
    const auto staged =
        store_.PutSlot(name, put.slot, put.generation, job->frame.view().payload, &put.xxh128);
    if (staged.ok()) {
      ++counters_.chunks_in;
      counters_.bytes_in += bytes;
    }
    job->frame = transport::InFrame();
    job->reservations.clear();
    std::string reply = staged.ok() ? wire::EncodeFrame(request, wire::PutAck{put.slot})
                                    : wire::EncodeError(request, staged.error());
    Post([this, id, bytes, ok = staged.ok(), slot = put.slot, name = std::move(name), reply = std::move(reply)]() mutable {
      credit_.Staged(id, bytes);
      server_->Send(id, {std::move(reply), nullptr});
      if (ok) reads_.SlotChanged(name, slot);
    });
  });
}

void Reactor::Create(const PeerId& id, Peer& peer, transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  auto reservations = credit_.Spend(id, view.payload.size());
  if (reservations.empty()) return Violation(id, peer, view);
  struct Job {
    CreditLedger::Reservations reservations;
    transport::InFrame frame;
  };
  const std::uint64_t bytes = view.payload.size();
  auto job = std::make_shared<Job>(Job{std::move(reservations), std::move(frame)});
  const auto create = wire::Expect<wire::Create>(job->frame.view());
  const auto name = create.ok() ? ObjectName::Parse(create->object) : Result<ObjectName>(create.error());
  if (!name.ok()) {
    credit_.Staged(id, bytes);
    return SendError(id, job->frame.view().id, name.error());
  }
  workers_.PostSlow([this, id, job, bytes, name = *name, replace = create->replace] {
    const std::uint64_t request = job->frame.view().id;
    const auto outcome = [&]() -> Result<blob::CreateOutcome> {
      TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, wire::DecodeObjectSpec(job->frame.view().payload));
      return store_.Create(name, spec, replace);
    }();
    job->frame = transport::InFrame();
    job->reservations.clear();
    std::string reply =
        outcome.ok() ? wire::EncodeFrame(request, wire::Created{name.str(), outcome->existed, outcome->sealed})
                     : wire::EncodeError(request, outcome.error());
    Post([this, id, bytes, name, reply = std::move(reply)]() mutable {
      credit_.Staged(id, bytes);
      server_->Send(id, {std::move(reply), nullptr});
      reads_.ObjectChanged(name);
    });
  });
}

}  // namespace tributary::service
