#include "tributary/transport/frame_server.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "tributary/base/log.h"
#include "tributary/base/units.h"
#include "tributary/digest/digest.h"
#include "tributary/memory/malloc.h"
#include "complaints.h"
#include "connection_watch.h"
#include "gate.h"
#include "renewal.h"
#include "zmq_curve.h"
#include "zmq_frame.h"

namespace tributary::transport {
namespace {

// Memory that connections leave when they end without ending their messages lies all over the heap, since each piece is as long as was claimed and holds what came: it is
// given back after so many bytes, not more often than that.
constexpr std::uint64_t kTrimAfter = 8u << 20;
constexpr std::chrono::milliseconds kTrimEvery{100};
// After a socket was closed, until libzmq's threads have let its memory go.
constexpr std::chrono::seconds kTrimAfterRenewal{2};
// libzmq names connections itself, with a zero byte and a number.
constexpr std::size_t kRoutingId = 5;

Error BindError(const std::string& endpoint, const zmq::error_t& e) {
  if (e.num() == EADDRINUSE) {
    return MakeError(Code::kUnavailable,
                     "{} is in use by another process; stop that one or choose another port with --listen", endpoint);
  }
  if (e.num() == EACCES) {
    return MakeError(Code::kPermission, "{} may not be bound by this user; choose a port above 1023", endpoint);
  }
  return MakeError(Code::kInvalidArgument, "{} cannot be bound: {}; write tcp://ADDRESS:PORT or ipc://PATH", endpoint,
                   e.what());
}

}  // namespace

std::string PeerId::str() const { return routing_id.empty() ? "(not heard yet)" : digest::Hex(std::as_bytes(std::span(routing_id))); }

struct FrameServer::Impl {
  std::shared_ptr<Context> context;
  ServerOptions options;
  Handler* handler = nullptr;
  zmq::socket_t socket;
  std::string endpoint;
  WakeFd wake;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::uint64_t> multipart{0};
  std::atomic<std::uint64_t> unroutable{0};

  std::mutex mutex;
  // Protected by mutex.
  std::vector<std::function<void()>> posted;
  bool signalled = false;

  std::thread thread;
  std::atomic<std::thread::id> loop;  // known to the loop itself before Start has returned
  Complaints complaints;  // the loop's alone
  ConnectionWatch watch;  // the loop's alone
  Gate gate;              // the loop's alone
  Renewal renewal;        // the loop's alone
  bool renewable = false;
  std::atomic<std::uint64_t> renewals{0};
  std::atomic<std::uint64_t> unknown_keys{0};
  std::atomic<std::uint64_t> failed_handshakes{0};
  std::atomic<std::uint64_t> revoked{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> cut_off{0};
  std::uint64_t dropped_bytes = 0;  // the loop's alone, as what follows
  std::chrono::steady_clock::time_point trimmed;
  std::chrono::steady_clock::time_point trim_until;

  // Opens and binds the socket. The gate is open where there are keys.
  Status Open(const std::string& at) {
    try {
      socket = zmq::socket_t(Native(*context), zmq::socket_type::router);
      socket.set(zmq::sockopt::linger, 0);
      socket.set(zmq::sockopt::rcvhwm, options.receive_high_water);
      socket.set(zmq::sockopt::sndhwm, options.send_high_water);
      // What encryption adds counts, too.
      const std::uint64_t overhead = context->keyring() ? kCurveOverhead : 0;
      socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.max_frame_bytes + overhead));
      socket.set(zmq::sockopt::router_mandatory, 1);
      socket.set(zmq::sockopt::handshake_ivl, static_cast<int>(options.handshake_limit.count()));
      socket.set(zmq::sockopt::tcp_keepalive, 1);
      socket.set(zmq::sockopt::tcp_keepalive_idle, 30);
      socket.set(zmq::sockopt::tcp_maxrt, static_cast<int>(options.unresponsive.count()));
      ConnectionWatch::Limits limits;
      if (const auto& keyring = context->keyring()) {
        socket.set(zmq::sockopt::zap_domain, "tributary");
        // Nobody gets in while nobody answers (ZMQ_ZAP_ENFORCE_DOMAIN; headers without drafts leave its name out). Where libzmq does not know it, messages still lack a user.
        constexpr int kEnforceDomain = 93;
        const int on = 1;
        zmq_setsockopt(socket.handle(), kEnforceDomain, &on, sizeof on);
        UseCurve(socket, keyring->own);
        limits.message_overhead = overhead;
        limits.strangers = true;
      }
      const std::size_t room = RaiseFileLimit();
      limits.connections = options.max_connections == 0 ? room : std::min(room, options.max_connections);
      limits.held_each = limits.held_all =
          options.max_unfinished_bytes != 0 ? options.max_unfinished_bytes : 4 * static_cast<std::uint64_t>(options.max_frame_bytes);
      TRIBUTARY_TRY(watch.Attach(Native(*context), socket, limits));
      socket.bind(at);
    } catch (const zmq::error_t& e) {
      return BindError(at, e);
    }
    return Ok();
  }

  // Closes the socket and whatever libzmq keeps of its connections. First the monitor's end in libzmq, whose thread would wait for it.
  void Close() {
    if (socket.handle() != nullptr) zmq_socket_monitor(socket.handle(), nullptr, 0);
    socket.close();
  }

  struct Quiet {
    std::uint64_t all = 0;  // connections that were let in and not heard
    std::uint64_t most = 0;  // of one site
    std::string who = "nobody on the list";
  };
  Quiet FindQuiet() const {
    Quiet quiet;
    for (const auto& [key, admitted] : gate.admitted()) {
      const auto heard = watch.heard().find(key);
      const std::uint64_t of_key = admitted - std::min(admitted, heard == watch.heard().end() ? 0 : heard->second);
      quiet.all += of_key;
      const auto identity = gate.Find(key);
      if (of_key <= quiet.most || !identity) continue;
      quiet.most = of_key;
      quiet.who = identity->str();
    }
    return quiet;
  }

  void RenewIfDue() {
    // Without keys anybody is let in.
    const auto due = renewal.Due(std::chrono::steady_clock::now(), [this] { return gate.open() ? FindQuiet().all : std::numeric_limits<std::uint64_t>::max(); });
    if (due) {
      Renew(fmt::format("this process holds {}, more than it is to, and up to {} connections ended unheard, of which libzmq may keep what came", FormatBytes(due->held), due->unheard));
    } else if (renewable && watch.Stuck()) {
      Renew("connections that were cut off fill the place of others, and libzmq does not close them");
    }
  }

  void Renew(const std::string& why) {
    std::string whose;
    if (const Quiet quiet = FindQuiet(); gate.open()) {
      whose = fmt::format("; of {} connections that were let in and are not heard {} are of {}, whose key is to be revoked if that goes on", quiet.all, quiet.most, quiet.who);
    }
    Say("renewal", fmt::format("{}. The socket is opened anew, and everybody connects again{}", why, whose));
    Close();
    for (const PeerId& peer : watch.Detach()) handler->OnGone(peer);
    // Those of connections that have ended with the socket are not to be counted later.
    if (gate.open()) Admit();
    gate.ForgetAdmitted();
    // libzmq's thread closes the old one's descriptor when it comes to that.
    const auto begun = std::chrono::steady_clock::now();
    for (Status opened = Open(endpoint); !opened.ok(); opened = Open(endpoint)) {
      if (stopping) return;
      static_cast<void>(watch.Detach());
      if (std::chrono::steady_clock::now() - begun > std::chrono::seconds(1)) Say("renewal failed", fmt::format("nobody is heard: {}", opened.error().message()));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ++renewals;
    trim_until = std::chrono::steady_clock::now() + kTrimAfterRenewal;
    renewal.Done(trim_until);
  }

  void GiveBackMemory(std::uint64_t dropped) {
    dropped_bytes += dropped;
    const auto now = std::chrono::steady_clock::now();
    if ((dropped_bytes < kTrimAfter && now > trim_until) || now - trimmed < kTrimEvery) return;
    memory::TrimHeap();
    dropped_bytes = 0;
    trimmed = now;
  }

  void Watch() {
    const auto news = watch.Look(std::chrono::steady_clock::now(), [this](const PeerId& peer) { return handler->Allowance(peer); });
    for (const auto& [peer, why] : news.cut) Complain(peer, "cut off: " + why);
    for (const PeerId& peer : news.gone) handler->OnGone(peer);
    connections = watch.connections();
    cut_off = watch.cut_off();
    GiveBackMemory(news.dropped_bytes);
    renewal.Count(news.unheard);
    failed_handshakes = watch.failed_handshakes();
    if (news.failed_handshakes > 0) Say("handshakes", "a connection did not come to an agreement on keys: it does not know this server's key, or does not encrypt");
  }

  void Admit() {
    if (const auto key = gate.Answer()) Say("keys", fmt::format("a connection with the key '{}' is refused: it is not on the list of --peers", *key));
    unknown_keys = gate.refused();
  }

  void ReloadPeers() {
    const auto changed = gate.Reload(std::chrono::steady_clock::now());
    if (!changed.ok()) {
      Say("list of peers", fmt::format("--peers: {}", changed.error().message()));
      return;
    }
    if (!*changed) return;
    log::Info("--peers was read again");
    // Who has not said a word yet may be anybody: it dials again, and is asked again.
    revoked += watch.DisconnectUsers([this](const std::string& key) { return gate.Find(key) == nullptr; }, "its key is on the list of --peers no longer");
  }

  void Complain(const PeerId& peer, std::string_view what) { Say("peer " + peer.routing_id, fmt::format("peer {}: {}", peer.str(), what)); }
  // Once a minute for each `about`.
  void Say(const std::string& about, std::string_view what) {
    const auto earlier = complaints.Admit(about, std::chrono::steady_clock::now());
    if (!earlier) return;
    if (*earlier == 0) {
      log::Warning("{}", what);
    } else {
      log::Warning("{}; {} warnings before it were not logged", what, *earlier);
    }
  }

  void Post(std::function<void()> task) {
    bool signal = false;
    {
      const std::lock_guard lock(mutex);
      posted.push_back(std::move(task));
      signal = !std::exchange(signalled, true);
    }
    if (signal) wake.Signal();
  }

  void RunPosted() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex);
      tasks.swap(posted);
      signalled = false;
    }
    for (auto& task : tasks) task();
  }

  void SendFromLoop(const PeerId& peer, OutFrame frame) {
    try {
      zmq::message_t id(peer.routing_id.data(), peer.routing_id.size());
      if (!socket.send(id, zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
        ++unroutable;
        Complain(peer, "a frame for it is dropped, it does not read its replies");
        handler->OnGone(peer);
        return;
      }
      zmq::message_t body = ToMessage(std::move(frame));
      GivenToZmq();
      socket.send(body, zmq::send_flags::dontwait);
    } catch (const zmq::error_t& e) {
      ++unroutable;
      if (e.num() == EHOSTUNREACH) {
        handler->OnGone(peer);
      } else {
        Complain(peer, fmt::format("a frame for it could not be sent: {}", e.what()));
      }
    }
  }

  // One message; false when there is none.
  bool ReceiveOne() {
    zmq::message_t id;
    if (!socket.recv(id, zmq::recv_flags::dontwait)) return false;
    auto message = std::make_unique<InFrame::Message>();
    if (!id.more() || !socket.recv(message->message, zmq::recv_flags::dontwait)) return true;
    if (message->message.more()) {
      ++multipart;
      watch.Read(message->message);
      zmq::message_t rest;
      do {
        if (!socket.recv(rest, zmq::recv_flags::dontwait)) break;
      } while (rest.more());
      return true;
    }
    TakenFromZmq();
    // Our clients leave it to libzmq. What a peer calls itself may be as long as a frame, or another's name.
    if (id.size() != kRoutingId || *static_cast<const char*>(id.data()) != 0) {
      watch.Refuse(message->message, "it names itself");
      return true;
    }
    const PeerId peer{id.to_string()};
    watch.Delivered(message->message, peer);
    std::shared_ptr<const Identity> sender;
    if (gate.open()) {
      sender = gate.Find(UserOf(message->message));
      if (!sender) {
        ++revoked;
        watch.Disconnect(peer);
        return true;
      }
    }
    auto view = wire::ParseFrame({static_cast<const std::byte*>(message->message.data()), message->message.size()});
    if (!view.ok()) {
      ++malformed;
      Complain(peer, view.error().message());
      SendFromLoop(peer, {wire::EncodeError(0, view.error()), nullptr});
      return true;
    }
    InFrame frame(std::move(message), *view);
    frame.SetSender(std::move(sender));
    handler->OnFrame(peer, std::move(frame));
    return true;
  }

  void Run() {
    loop = std::this_thread::get_id();
    auto next_tick = std::chrono::steady_clock::now() + options.tick;
    while (!stopping) {
      zmq::pollitem_t items[] = {{socket.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wake.fd(), ZMQ_POLLIN, 0}, {watch.monitor(), 0, ZMQ_POLLIN, 0}, {gate.socket(), 0, ZMQ_POLLIN, 0}};
      auto left = std::chrono::duration_cast<Duration>(next_tick - std::chrono::steady_clock::now());
      if (watch.connections() > 0) left = std::min(left, Duration(watch.Interval()));
      try {
        zmq::poll(items, gate.open() ? 4 : 3, std::max(left, Duration(0)));
      } catch (const zmq::error_t& e) {
        if (e.num() == EINTR) continue;
        log::LogError("the server's loop ends: {}", e.what());
        return;
      }
      if (items[1].revents != 0) wake.Drain();
      RunPosted();
      // A burst from one peer must not keep acknowledgements back: look at the posted work after each few messages.
      try {
        if (gate.open()) {
          Admit();
          ReloadPeers();
        }
        for (int i = 0; i < 16 && ReceiveOne(); ++i) {
        }
      } catch (const zmq::error_t& e) {
        if (e.num() != EINTR) log::Warning("receiving: {}", e.what());
      }
      Watch();
      const auto now = std::chrono::steady_clock::now();
      RenewIfDue();
      if (stopping) break;
      if (now >= next_tick) {
        handler->OnTick();
        next_tick = now + options.tick;
      }
    }
  }
};

FrameServer::FrameServer() : impl_(std::make_unique<Impl>()) {}
FrameServer::~FrameServer() { Stop(); }

Result<std::unique_ptr<FrameServer>> FrameServer::Start(std::shared_ptr<Context> context, const ServerOptions& options,
                                                        Handler& handler) {
  std::unique_ptr<FrameServer> server(new FrameServer());
  Impl& impl = *server->impl_;
  impl.context = std::move(context);
  impl.options = options;
  impl.handler = &handler;
  if (const auto& keyring = impl.context->keyring()) TRIBUTARY_TRY(impl.gate.Open(Native(*impl.context), *keyring));
  TRIBUTARY_TRY(impl.Open(options.endpoint));
  impl.endpoint = impl.socket.get(zmq::sockopt::last_endpoint);
  // Its file's name is a new socket's as much as the old one's, who removes it; and who may open that file is trusted.
  if (impl.endpoint.starts_with("tcp://")) {
    impl.renewable = true;
    impl.renewal = Renewal(options.most_memory, (static_cast<std::uint64_t>(options.receive_high_water) + 1) * options.max_frame_bytes);
  }
  impl.thread = std::thread([&impl] { impl.Run(); });
  return server;
}

void FrameServer::Send(const PeerId& peer, OutFrame frame) {
  if (std::this_thread::get_id() == impl_->loop) {
    impl_->SendFromLoop(peer, std::move(frame));
    return;
  }
  impl_->Post([this, peer, held = std::make_shared<OutFrame>(std::move(frame))] {
    impl_->SendFromLoop(peer, std::move(*held));
  });
}

std::optional<std::chrono::steady_clock::time_point> FrameServer::LastBytes(const PeerId& peer) const {
  return impl_->watch.LastBytes(peer);
}
std::optional<std::chrono::steady_clock::time_point> FrameServer::LastTaken(const PeerId& peer) const {
  return impl_->watch.LastTaken(peer);
}

void FrameServer::Complain(const PeerId& peer, std::string_view what) { impl_->Complain(peer, what); }

std::optional<std::chrono::microseconds> FrameServer::RoundTrip(const PeerId& peer) const { return impl_->watch.RoundTrip(peer); }

bool FrameServer::OverNetwork(const PeerId& peer) const { return impl_->watch.OverNetwork(peer); }

void FrameServer::Disconnect(const PeerId& peer) {
  impl_->Post([this, peer] { impl_->watch.Disconnect(peer); });
}

void FrameServer::Post(std::function<void()> task) { impl_->Post(std::move(task)); }

void FrameServer::Stop() {
  impl_->stopping = true;
  impl_->wake.Signal();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->Close();
  impl_->gate.Close();
}

const std::string& FrameServer::endpoint() const { return impl_->endpoint; }

ServerCounters FrameServer::counters() const { return {impl_->malformed, impl_->multipart, impl_->unroutable, impl_->connections, impl_->cut_off,
          impl_->unknown_keys, impl_->failed_handshakes, impl_->revoked, impl_->renewals}; }

}  // namespace tributary::transport
