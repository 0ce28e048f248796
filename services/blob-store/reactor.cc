#include "services/blob-store/reactor.h"

#include <algorithm>
#include <random>

#include "services/blob-store/access.h"
#include "services/blob-store/near.h"
#include "tributary/base/log.h"
#include "tributary/config/options.h"

namespace tributary::service {
namespace {

constexpr std::uint32_t kMaxOutstandingReads = 64;
constexpr std::uint64_t kMaxViolations = 3;
constexpr std::size_t kMaxPeers = 4096;
constexpr std::size_t kMaxShunned = 1024;
constexpr std::chrono::minutes kForgetSilentPeers{15};
constexpr std::chrono::milliseconds kNudge{500};
// A delay that was a busy machine's is not seen again within that.
constexpr std::chrono::seconds kLookAtFar{10};

std::uint64_t NewEpoch() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Reactor::Reactor(blob::SlotStore& store, memory::Pool& pool, const ReactorOptions& options)
    : store_(store),
      pool_(pool),
      options_(options),
      epoch_(NewEpoch()),
      credit_(pool, options.max_message,
              [this](const PeerId& peer, std::uint64_t id, std::uint64_t bytes) {
                server_->Send(peer, transport::MakeFrame(id, wire::CreditGrant{bytes}));
              }),
      reads_(
          pool, options.max_message, kMaxOutstandingReads,
          [this](ReadPtr read, ReadGrant grant) {
            const ReadRequest& request = read->request;
            const std::uint64_t key = Workers::KeyOf(request.object, request.slot);
            const ObjectName object = request.object;
            const bool rereads = request.type == wire::Type::kGetDigests && store_.Rereads(object) && !store_.Waits(object);
            const bool slow = request.type == wire::Type::kList || rereads;
            auto job = [this, read = std::move(read), held = std::make_shared<ReadGrant>(std::move(grant))] {
              RunRead(read, std::move(*held));
            };
            if (slow) {
              workers_.PostSlow(std::move(job));
            } else {
              PostFor(object, key, std::move(job));
            }
          },
          [this](const Read& read, const Error& error) { SendError(read.peer, read.request.id, error); }),
      workers_(options.worker_threads, options.bucket_threads),
      staging_(store, workers_, [this](Staging::Put put, Result<blob::SlotMeta> staged) { Staged(std::move(put), std::move(staged)); }) {
  pool_.OnRelease([this] { Kick(); });
  if (workers_.remote()) reads_.OnWaits([this](const ObjectName& name) { return store_.Waits(name); });
}

Reactor::~Reactor() { Detach(); }

void Reactor::Attach(transport::FrameServer& server) {
  {
    const std::lock_guard lock(server_mutex_);
    server_ = &server;
  }
  if (options_.cache != nullptr) {
    UpstreamCache::Events events;
    events.changed = [this](const ObjectName& object) { Post([this, object] { reads_.ObjectChanged(object); }); };
    events.slot = [this](const ObjectName& object, std::uint64_t slot) { Post([this, object, slot] { reads_.SlotChanged(object, slot); }); };
    events.failed = [this](const ObjectName& object, const Error& error, bool all) {
      Post([this, object, error, all] { reads_.FailObject(object, error, all); });
    };
    if (const Status started = options_.cache->Start(std::move(events)); !started.ok()) {
      log::LogError("--upstream: {}", started.error().message());
    }
  }
  attached_.count_down();
}

void Reactor::Detach() {
  // Its threads post here.
  if (options_.cache != nullptr) options_.cache->Stop();
  workers_.Stop();
  staging_.Clear();
  {
    const std::lock_guard lock(server_mutex_);
    server_ = nullptr;
  }
  credit_.Clear();
  // The pool outlives this object, and so may buffers that libzmq holds.
  pool_.OnRelease(nullptr);
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
  credit_.Grant(Clock::now());
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

void Reactor::EndSession(const PeerId& id, const Error& why) {
  log::Info("peer {} ({}): its session ends: {}", id.str(), peers_[id].instance, why.message());
  ForgetPeer(id);
  SendError(id, 0, MakeError(Code::kUnavailable, "{}; begin a new session", why.message()));
}

void Reactor::LookAtLine(const PeerId& id, Held& held) const {
  const auto round_trip = server_->RoundTrip(id);
  held.network = server_->OverNetwork(id);
  held.far = round_trip && *round_trip >= kFarRoundTrip;
}

void Reactor::Violation(const PeerId& id, Peer& peer, std::uint64_t request, const Error& error) {
  ++counters_.credit_violations;
  SendError(id, request, error);
  if (++peer.held->violations < kMaxViolations) return;
  log::Warning("peer {} ({}) keeps sending what it may not and is cut off", id.str(), peer.instance);
  Shun(id);
}

void Reactor::Forbid(const PeerId& id, Peer& peer, const wire::FrameView& view, const Error& why) {
  // The sender has spent credit for it and waits for it to come back.
  std::uint64_t bytes = view.payload.size();
  if (view.type == wire::Type::kLinkChunk) {
    const auto link = wire::DecodeBody<wire::LinkChunk>(view.body);
    if (link.ok()) bytes = link->bytes;
  }
  if (bytes > 0) {
    auto spent = credit_.Spend(id, bytes, Clock::now());
    if (!spent) return Violation(id, peer, view.id, why);
    spent.reset();
    credit_.Staged(id, Clock::now());
  }
  SendError(id, view.id, why);
  Advance();
}

void Reactor::Shun(const PeerId& id) {
  ForgetPeer(id);
  if (shunned_.size() >= kMaxShunned) {
    shunned_.erase(std::ranges::min_element(shunned_, {}, [](const auto& entry) { return entry.second; }));
  }
  // Until its connection has ended: frames of it may be here already.
  shunned_.emplace(id, Clock::now());
  server_->Disconnect(id);
}

void Reactor::OnGone(const PeerId& id) {
  // Called from within Send, and so from within loops over what is forgotten here.
  Post([this, id] {
    ForgetPeer(id);
    shunned_.erase(id);
  });
}

void Reactor::OnTick() {
  attached_.wait();
  const auto now = Clock::now();
  reads_.Expire(now, options_.cache != nullptr ? options_.cache->Why() : "");
  if (options_.cache != nullptr && now - nudged_ >= kNudge) {
    nudged_ = now;
    for (const ObjectName& object : reads_.WaitedFor()) options_.cache->Nudge(object);
  }
  counters_.parked_reads = reads_.parked();
  // Credit is taken back together with the session, so that nobody spends it any more.
  for (const PeerId& id : credit_.Idle(now, options_.credit_idle)) {
    // On a slow link a chunk is long under way before it is here.
    if (const auto last = server_->LastBytes(id); last && now - *last < options_.credit_idle) continue;
    ++counters_.stalled_writes;
    EndSession(id, MakeError(Code::kUnavailable, "credit was not used for {} and is taken back", FormatDuration(options_.credit_idle)));
  }
  for (const PeerId& id : reads_.Stalled(now, options_.unread_limit)) {
    // A reply is one frame, of which a slow line takes a part at a time.
    if (const auto last = server_->LastTaken(id); last && now - *last < options_.unread_limit) continue;
    ++counters_.stalled_reads;
    EndSession(id, MakeError(Code::kUnavailable, "no reply was taken for {}", FormatDuration(options_.unread_limit)));
    // What it did not take is memory of the read side until the connection has ended.
    server_->Disconnect(id);
  }
  // While others wait for memory that replies hold, who takes nothing off the wire at all has less time. The slowest line takes something.
  if (reads_.short_of_memory()) {
    for (const PeerId& id : reads_.Stalled(now, options_.stalled_limit)) {
      const auto last = server_->LastTaken(id);
      if (!last || now - *last < options_.stalled_limit) continue;
      ++counters_.stalled_reads;
      EndSession(id, MakeError(Code::kUnavailable, "no byte was taken for {} while others waited for its memory", FormatDuration(options_.stalled_limit)));
      server_->Disconnect(id);
    }
  }
  std::vector<PeerId> silent;
  for (const auto& [id, peer] : peers_) {
    if (now - peer.last_frame > kForgetSilentPeers) silent.push_back(id);
  }
  for (const PeerId& id : silent) ForgetPeer(id);
  if (now - looked_at_far_ >= kLookAtFar) {
    looked_at_far_ = now;
    for (auto& [id, peer] : peers_) {
      if (peer.held->far) LookAtLine(id, *peer.held);
    }
  }
  held_.Sweep();
  Advance();
}

void Reactor::OnFrame(const PeerId& id, transport::InFrame frame) {
  attached_.wait();
  const wire::FrameView& view = frame.view();
  if (shunned_.contains(id)) return;
  if (view.protocol != wire::kProtocol) {
    const Error error = MakeError(Code::kProtocol, "this blob-store speaks protocol {}, the peer {}; install the same release of both", wire::kProtocol, view.protocol);
    server_->Complain(id, error.message());
    SendError(id, view.id, error);
    return;
  }
  if (view.type == wire::Type::kStoreHello) {
    Hello(id, view, frame.sender());
    return;
  }
  const auto it = peers_.find(id);
  const bool ping = view.type == wire::Type::kPing;
  // Answered without a session, too, but then the peer is told that it has none.
  if (ping) server_->Send(id, transport::MakeFrame(view.id, wire::Pong{"blob-store", std::string(config::Version())}));
  if (it == peers_.end()) {
    SendError(id, 0, MakeError(Code::kUnavailable, "this session is not known here; begin with store-hello"));
    return;
  }
  it->second.last_frame = Clock::now();
  if (ping) return;
  if (frame.sender() != nullptr) {
    if (const Status allowed = CheckAccess(*frame.sender(), it->second.grant, view); !allowed.ok()) {
      ++counters_.forbidden;
      server_->Complain(id, fmt::format("{}: {}", it->second.instance, allowed.error().message()));
      return Forbid(id, it->second, view, allowed.error());
    }
  }
  Dispatch(id, it->second, std::move(frame));
  Advance();
}

Result<std::optional<wire::Grant>> Reactor::GrantOf(const wire::StoreHello& hello, const transport::Identity* sender) const {
  // Without one it may say hello and ping: who begins a session before it has a task does no wrong.
  if (sender == nullptr || sender->role != transport::PeerRole::kTrainer || options_.grants == nullptr || hello.grant.empty()) return std::optional<wire::Grant>();
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  TRIBUTARY_ASSIGN(auto grant, options_.grants->Verify(hello.grant, *sender, now));
  return std::optional(std::move(grant));
}

void Reactor::Hello(const PeerId& id, const wire::FrameView& view, const transport::Identity* sender) {
  const auto hello = wire::Expect<wire::StoreHello>(view);
  if (!hello.ok()) return SendError(id, view.id, hello.error());
  auto held = held_.Of(id);
  ForgetPeer(id);
  auto grant = GrantOf(*hello, sender);
  if (!grant.ok()) {
    ++counters_.forbidden;
    server_->Complain(id, grant.error().message());
    return SendError(id, view.id, grant.error());
  }
  if (peers_.size() >= kMaxPeers) {
    return SendError(id, view.id, MakeError(Code::kResourceExhausted, "this blob-store serves {} peers already", kMaxPeers));
  }
  Peer& peer = peers_[id];
  peer.instance = InstanceName::Parse(hello->instance).ok() ? hello->instance : "unnamed";
  peer.held = std::move(held);
  peer.grant = *std::move(grant);
  LookAtLine(id, *peer.held);
  peer.last_frame = Clock::now();
  // What it says of itself decides only where nobody has a key.
  const bool aggregator = sender != nullptr ? sender->role == transport::PeerRole::kAggregator : hello->role == static_cast<std::uint32_t>(wire::Role::kAggregator);
  peer.reads_as = aggregator ? ReadClass::kAggregators : ReadClass::kOthers;
  counters_.peers = peers_.size();
  wire::StoreWelcome welcome;
  welcome.epoch = epoch_;
  welcome.shard = options_.shard;
  welcome.shards = options_.shards;
  welcome.max_payload = std::min<std::uint64_t>(options_.max_message, pool_.budget() - memory::kHeadroom);
  welcome.max_outstanding_reads = kMaxOutstandingReads;
  server_->Send(id, transport::MakeFrame(view.id, welcome));
}

}  // namespace tributary::service
