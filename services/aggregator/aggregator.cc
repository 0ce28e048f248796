#include "services/aggregator/aggregator.h"

#include "services/aggregator/tasks.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/session/metered_runner.h"
#include "tributary/worker/host.h"

namespace tributary::aggregator {

struct AggregatorService::Impl {
  explicit Impl(const AggregatorSpec& spec)
      : host({spec.coordinator, spec.blob_stores, spec.instance, spec.memory_budget, spec.metrics_address, "", spec.connections, spec.keyring}),
        tasks([this](const session::TaskContext& task) { return host.OpenStore(task); }),
        metered(tasks, host.registry(),
                {wire::TaskKind::kInit, wire::TaskKind::kAggregate, wire::TaskKind::kSeal, wire::TaskKind::kRemove}) {}

  worker::WorkerHost host;
  AggregatorTasks tasks;
  session::MeteredRunner metered;
};

AggregatorService::AggregatorService() = default;
AggregatorService::~AggregatorService() { Stop(); }

Result<std::unique_ptr<AggregatorService>> AggregatorService::Start(const AggregatorSpec& spec) {
  TRIBUTARY_ASSIGN(const auto instance, InstanceName::Parse(spec.instance));
  std::unique_ptr<AggregatorService> service(new AggregatorService());
  service->impl_ = std::make_unique<Impl>(spec);
  wire::Hello hello;
  hello.role = static_cast<std::uint32_t>(wire::Role::kAggregator);
  hello.instance = instance.str();
  hello.version = config::Version();
  hello.memory_budget = spec.memory_budget;
  TRIBUTARY_TRY(service->impl_->host.Begin(hello, service->impl_->metered));
  log::Info("aggregator {} works for the coordinator at {}", spec.instance, spec.coordinator);
  return service;
}

Result<bool> AggregatorService::Wait(Duration limit) { return impl_->host.Wait(limit); }

// Before the tasks go, which the session may run.
void AggregatorService::Stop() {
  if (impl_) impl_->host.Stop();
}

std::uint16_t AggregatorService::metrics_port() const { return impl_->host.metrics_port(); }

}  // namespace tributary::aggregator
