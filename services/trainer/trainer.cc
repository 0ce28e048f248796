#include "services/trainer/trainer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "services/trainer/tasks.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/memory/pool.h"
#include "tributary/memory/process_memory.h"
#include "tributary/metrics/metrics.h"
#include "tributary/metrics/server.h"
#include "tributary/metrics/standard.h"
#include "tributary/session/metered_runner.h"
#include "tributary/session/worker.h"
#include "tributary/task_store/task_store.h"

namespace tributary::trainer {
namespace {

// What rides on heartbeats where nobody can scrape: the metrics' own names, so that they mean the same wherever they are served.
class RelayingRunner final : public session::TaskRunner {
 public:
  RelayingRunner(session::TaskRunner& inner, const memory::Pool& pool, bool relay) : inner_(inner), pool_(pool), relay_(relay) {}
  Result<session::TaskResult> Run(const session::TaskContext& context) override { return inner_.Run(context); }
  void OnSeat(const std::string& seat) override {
    log::Info("{}", seat.empty() ? "no seat: waiting as a spare" : "seat: " + seat);
  }
  std::map<std::string, double> Samples() override {
    if (!relay_) return {};
    const auto use = pool_.Use();
    std::map<std::string, double> samples{{"tributary_memory_budget_bytes", static_cast<double>(use.budget)},
                                          {"tributary_memory_pool_peak_bytes", static_cast<double>(use.peak)}};
    if (const auto memory = memory::ReadProcessMemory(); memory.ok()) {
      samples["process_resident_memory_bytes"] = static_cast<double>(memory->rss);
      samples["tributary_memory_rss_peak_bytes"] = static_cast<double>(memory->rss_peak);
    }
    if (const auto cpu = memory::ReadCpuSeconds(); cpu.ok()) samples["process_cpu_seconds_total"] = *cpu;
    return samples;
  }

 private:
  session::TaskRunner& inner_;
  const memory::Pool& pool_;
  const bool relay_;
};

}  // namespace

struct TrainerService::Impl {
  explicit Impl(const TrainerSpec& s)
      : spec(s),
        pool(s.memory_budget),
        context(std::make_shared<transport::Context>()),
        received(registry.AddCounter("received", metrics::Unit::kBytes, "Payload bytes read from the blob-store.")),
        sent(registry.AddCounter("sent", metrics::Unit::kBytes, "Payload bytes written to the blob-store.")),
        tasks(spec.identity,
              [this](const session::TaskContext& task) { return OpenRemote(task); },
              s.load_module ? s.load_module : LoadModule([] { return train::LoadTrainModule(); })),
        metered(tasks, registry, {wire::TaskKind::kInit, wire::TaskKind::kTrain, wire::TaskKind::kValidate}),
        relaying(metered, pool, s.metrics_address == "off") {}

  Result<std::shared_ptr<blob::BlobStore>> OpenRemote(const session::TaskContext& task) {
    TRIBUTARY_ASSIGN(auto remote, task_store::OpenTaskStore(context, pool, {spec.instance, spec.blob_store}, task));
    return std::shared_ptr<blob::BlobStore>(remote.release(), [this](blob::BlobStore* store) {
      const auto counters = static_cast<blob_client::RemoteStore*>(store)->counters();
      received.Add(static_cast<double>(counters.bytes_read));
      sent.Add(static_cast<double>(counters.bytes_written));
      delete store;
    });
  }

  const TrainerSpec spec;
  metrics::Registry registry;
  memory::Pool pool;
  std::shared_ptr<transport::Context> context;
  metrics::Counter received;
  metrics::Counter sent;
  TrainerTasks tasks;
  session::MeteredRunner metered;
  RelayingRunner relaying;
  std::unique_ptr<session::WorkerSession> session;
  std::unique_ptr<metrics::MetricsServer> metrics_server;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;  // protected by mutex
};

TrainerService::TrainerService() = default;
TrainerService::~TrainerService() { Stop(); }

Result<std::unique_ptr<TrainerService>> TrainerService::Start(const TrainerSpec& spec) {
  TRIBUTARY_ASSIGN(const auto instance, InstanceName::Parse(spec.instance));
  TRIBUTARY_ASSIGN(const auto site, SiteName::Parse(spec.identity.site));
  std::unique_ptr<TrainerService> service(new TrainerService());
  service->impl_ = std::make_unique<Impl>(spec);
  Impl& impl = *service->impl_;
  metrics::AddProcessMetrics(impl.registry);
  metrics::AddMemoryMetrics(impl.registry, spec.memory_budget, &impl.pool);

  session::SessionOptions options;
  options.coordinator = spec.coordinator;
  options.hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
  options.hello.site = site.str();
  options.hello.instance = instance.str();
  options.hello.ordinal = spec.ordinal;
  options.hello.version = config::Version();
  for (const auto& [name, path] : spec.identity.data) options.hello.data.push_back(name);
  options.hello.encodings = {static_cast<std::uint32_t>(tensor::Encoding::kNative)};
  TRIBUTARY_ASSIGN(impl.session, session::WorkerSession::Start(impl.context, options, impl.relaying));
  metrics::ServerSpec server{spec.metrics_address, &impl.registry};
  server.ready = [&impl]() -> Status {
    if (impl.session->Connected()) return Ok();
    return MakeError(Code::kUnavailable, "no word from the coordinator at {}", impl.spec.coordinator);
  };
  TRIBUTARY_ASSIGN(impl.metrics_server, metrics::MetricsServer::Start(std::move(server)));
  log::Info("trainer {} of site {} works for the coordinator at {}", spec.instance, site.str(), spec.coordinator);
  return service;
}

Result<bool> TrainerService::Wait(Duration limit) {
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

void TrainerService::Stop() {
  if (!impl_) return;
  impl_->metrics_server.reset();
  if (impl_->session) impl_->session->Stop();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->changed.notify_all();
}

std::uint16_t TrainerService::metrics_port() const {
  return impl_->metrics_server ? impl_->metrics_server->port() : std::uint16_t{0};
}

}  // namespace tributary::trainer
