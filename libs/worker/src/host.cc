#include "tributary/worker/host.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base_from_cache.h"
#include "task_store.h"
#include "tributary/metrics/server.h"
#include "tributary/metrics/standard.h"
#include "tributary/session/metered_runner.h"
#include "tributary/transport/context.h"

namespace tributary::worker {

struct WorkerHost::Impl {
  explicit Impl(const HostSpec& s)
      : spec(s),
        pool(s.memory_budget),
        received(registry.AddCounter("received", metrics::Unit::kBytes, "Payload bytes read from the blob-store.")),
        sent(registry.AddCounter("sent", metrics::Unit::kBytes, "Payload bytes written to the blob-store.")) {
    metrics::AddProcessMetrics(registry);
    metrics::AddMemoryMetrics(registry, spec.memory_budget, &pool);
  }

  const HostSpec spec;
  metrics::Registry registry;
  memory::Pool pool;  // outlives the context, whose threads may hold the last of its buffers
  std::shared_ptr<transport::Context> context = std::make_shared<transport::Context>(blob_client::IoThreads(spec.connections), spec.keyring);
  wire::Role role = wire::Role::kClient;  // set once, before there are tasks
  metrics::Counter received;
  metrics::Counter sent;
  std::unique_ptr<session::WorkerSession> session;  // set once, under mutex
  std::unique_ptr<metrics::MetricsServer> metrics_server;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // protected by mutex
  bool stopped = false;   // protected by mutex
};

WorkerHost::WorkerHost(const HostSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
WorkerHost::~WorkerHost() { Stop(); }

memory::Pool& WorkerHost::pool() { return impl_->pool; }
metrics::Registry& WorkerHost::registry() { return impl_->registry; }

Result<std::shared_ptr<blob::BlobStore>> WorkerHost::OpenStore(const session::TaskContext& task) {
  const auto connect = [&](const std::vector<std::string>& endpoints, transport::PeerRole server) -> Result<std::shared_ptr<blob::BlobStore>> {
    TRIBUTARY_ASSIGN(auto options, StoreOptions(impl_->spec.instance, endpoints, impl_->spec.memory_budget, task));
    options.role = impl_->role;
    options.connections = impl_->spec.connections;
    options.server = server;
    if (server == transport::PeerRole::kCache) options.server_name = impl_->spec.model_cache_name;
    TRIBUTARY_ASSIGN(auto remote, blob_client::ConnectStore(impl_->context, impl_->pool, options));
    return std::shared_ptr<blob::BlobStore>(remote.release(), [this](blob::BlobStore* store) {
      const auto counters = static_cast<blob_client::RemoteStore*>(store)->counters();
      impl_->received.Add(static_cast<double>(counters.bytes_read));
      impl_->sent.Add(static_cast<double>(counters.bytes_written));
      delete store;
    });
  };
  TRIBUTARY_ASSIGN(auto store, connect(impl_->spec.blob_stores, transport::PeerRole::kBlobStore));
  const auto kind = static_cast<wire::TaskKind>(task.spec.kind);
  const bool reads_model = kind == wire::TaskKind::kTrain || kind == wire::TaskKind::kValidate;
  if (impl_->spec.model_cache.empty() || !reads_model) return store;
  TRIBUTARY_ASSIGN(auto cache, connect({impl_->spec.model_cache}, transport::PeerRole::kCache));
  return std::shared_ptr<blob::BlobStore>(std::make_shared<BaseFromCache>(task.spec.base, std::move(cache), std::move(store)));
}

Status WorkerHost::Begin(const wire::Hello& hello, session::TaskRunner& runner, std::vector<wire::TaskKind> beside) {
  Impl& impl = *impl_;
  impl.role = static_cast<wire::Role>(hello.role);
  const bool trains = impl.role == wire::Role::kTrainer;
  metrics::AddBuildInfo(impl.registry, trains ? "trainer" : "aggregator", hello.version);
  if (trains) {
    impl.registry.AddGauge("trainer_info", metrics::Unit::kNone, "1; names the trainer, and the site whose data it has, as the coordinator does.",
                           {{"site", hello.site}, {"trainer", hello.site + "/" + hello.instance}}).Set(1);
  }
  // First what may fail: a Hello takes the name from whoever has it.
  metrics::ServerSpec server{impl.spec.metrics_address, &impl.registry};
  if (impl.spec.metrics_elsewhere) server.families = {session::kTasksRunning};
  server.ready = [&impl]() -> Status {
    const std::lock_guard lock(impl.mutex);
    if (impl.session && impl.session->Connected()) return Ok();
    return MakeError(Code::kUnavailable, "no word from the coordinator at {}", impl.spec.coordinator);
  };
  TRIBUTARY_ASSIGN(impl.metrics_server, metrics::MetricsServer::Start(std::move(server)));
  session::SessionOptions options;
  options.coordinator = impl.spec.coordinator;
  options.hello = hello;
  options.beside = std::move(beside);
  TRIBUTARY_ASSIGN(auto session, session::WorkerSession::Start(impl.context, options, runner));
  const std::lock_guard lock(impl.mutex);
  impl.session = std::move(session);
  return Ok();
}

Result<bool> WorkerHost::Wait(Duration limit) {
  constexpr Duration kLook{100};
  const auto end = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(impl_->mutex);
  for (;;) {
    if (impl_->stopped) return true;
    if (auto refused = impl_->session->Refused()) return *refused;
    if (limit.count() > 0 && std::chrono::steady_clock::now() >= end) return false;
    impl_->changed.wait_for(lock, limit.count() > 0 ? std::min(limit, kLook) : kLook);
  }
}

void WorkerHost::Stop() {
  Impl& impl = *impl_;
  {
    std::unique_lock lock(impl.mutex);
    if (std::exchange(impl.stopping, true)) {
      impl.changed.wait(lock, [&] { return impl.stopped; });
      return;
    }
  }
  impl.metrics_server.reset();
  if (impl.session) impl.session->Stop();
  // Last, and told under the lock: who waits may destroy the host at once.
  const std::lock_guard lock(impl.mutex);
  impl.stopped = true;
  impl.changed.notify_all();
}

std::uint16_t WorkerHost::metrics_port() const { return impl_->metrics_server ? impl_->metrics_server->port() : std::uint16_t{0}; }

}  // namespace tributary::worker
