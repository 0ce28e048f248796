#include "services/aggregator/aggregator.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "services/aggregator/tasks.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/memory/pool.h"
#include "tributary/metrics/metrics.h"
#include "tributary/metrics/server.h"
#include "tributary/metrics/standard.h"
#include "tributary/session/metered_runner.h"
#include "tributary/session/worker.h"
#include "tributary/task_store/task_store.h"

namespace tributary::aggregator {

struct AggregatorService::Impl {
  explicit Impl(const AggregatorSpec& s)
      : spec(s),
        pool(s.memory_budget),
        context(std::make_shared<transport::Context>()),
        received(registry.AddCounter("received", metrics::Unit::kBytes, "Payload bytes read from the blob-store.")),
        sent(registry.AddCounter("sent", metrics::Unit::kBytes, "Payload bytes written to the blob-store.")),
        tasks([this](const session::TaskContext& task) { return OpenRemote(task); }),
        metered(tasks, registry,
                {wire::TaskKind::kInit, wire::TaskKind::kAggregate, wire::TaskKind::kSeal, wire::TaskKind::kRemove}) {}

  Result<std::shared_ptr<blob::BlobStore>> OpenRemote(const session::TaskContext& task) {
    TRIBUTARY_ASSIGN(auto remote, task_store::OpenTaskStore(context, pool, {spec.instance, spec.blob_store}, task));
    return std::shared_ptr<blob::BlobStore>(remote.release(), [this](blob::BlobStore* store) {
      const auto counters = static_cast<blob_client::RemoteStore*>(store)->counters();
      received.Add(static_cast<double>(counters.bytes_read));
      sent.Add(static_cast<double>(counters.bytes_written));
      delete store;
    });
  }

  const AggregatorSpec spec;
  metrics::Registry registry;
  memory::Pool pool;
  std::shared_ptr<transport::Context> context;
  metrics::Counter received;
  metrics::Counter sent;
  AggregatorTasks tasks;
  session::MeteredRunner metered;
  std::unique_ptr<session::WorkerSession> session;
  std::unique_ptr<metrics::MetricsServer> metrics_server;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;  // protected by mutex
};

AggregatorService::AggregatorService() = default;
AggregatorService::~AggregatorService() { Stop(); }

Result<std::unique_ptr<AggregatorService>> AggregatorService::Start(const AggregatorSpec& spec) {
  TRIBUTARY_ASSIGN(const auto instance, InstanceName::Parse(spec.instance));
  std::unique_ptr<AggregatorService> service(new AggregatorService());
  service->impl_ = std::make_unique<Impl>(spec);
  Impl& impl = *service->impl_;
  metrics::AddProcessMetrics(impl.registry);
  metrics::AddMemoryMetrics(impl.registry, spec.memory_budget, &impl.pool);

  session::SessionOptions options;
  options.coordinator = spec.coordinator;
  options.hello.role = static_cast<std::uint32_t>(wire::Role::kAggregator);
  options.hello.instance = instance.str();
  options.hello.version = config::Version();
  TRIBUTARY_ASSIGN(impl.session, session::WorkerSession::Start(impl.context, options, impl.metered));
  metrics::ServerSpec server{spec.metrics_address, &impl.registry};
  server.ready = [&impl]() -> Status {
    if (impl.session->Connected()) return Ok();
    return MakeError(Code::kUnavailable, "no word from the coordinator at {}", impl.spec.coordinator);
  };
  TRIBUTARY_ASSIGN(impl.metrics_server, metrics::MetricsServer::Start(std::move(server)));
  log::Info("aggregator {} works for the coordinator at {}", spec.instance, spec.coordinator);
  return service;
}

Result<bool> AggregatorService::Wait(Duration limit) {
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

void AggregatorService::Stop() {
  if (!impl_) return;
  impl_->metrics_server.reset();
  if (impl_->session) impl_->session->Stop();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->changed.notify_all();
}

std::uint16_t AggregatorService::metrics_port() const {
  return impl_->metrics_server ? impl_->metrics_server->port() : std::uint16_t{0};
}

}  // namespace tributary::aggregator
