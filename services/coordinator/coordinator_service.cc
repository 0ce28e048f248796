#include "services/coordinator/coordinator_service.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "services/coordinator/control.h"
#include "tributary/base/log.h"
#include "tributary/job/job.h"
#include "tributary/journal/journal.h"
#include "tributary/metrics/server.h"
#include "tributary/transport/context.h"
#include "tributary/transport/frame_server.h"

namespace tributary::service {
namespace {

// A worker is told little; one that lets this much wait does not read.
constexpr int kSendHighWater = 64;

}  // namespace

// Destroyed from the last to the first: the server's thread ends before what it uses.
struct CoordinatorService::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;        // protected by mutex
  bool stopped = false;         // protected by mutex
  std::optional<Error> failed;  // protected by mutex

  metrics::Registry registry;
  std::unique_ptr<Telemetry> telemetry;
  std::unique_ptr<journal::Journal> journal;
  std::unique_ptr<Control> control;
  std::shared_ptr<transport::Context> context;
  std::unique_ptr<transport::FrameServer> server;
  std::unique_ptr<metrics::MetricsServer> metrics_server;
  std::string endpoint;
};

CoordinatorService::CoordinatorService() = default;

Result<std::unique_ptr<CoordinatorService>> CoordinatorService::Start(Spec spec) {
  std::unique_ptr<CoordinatorService> service(new CoordinatorService());
  service->state_ = std::make_unique<State>();
  State& state = *service->state_;

  std::error_code error;
  std::filesystem::create_directories(spec.state_dir, error);
  if (error) return ErrnoError(error.value(), fmt::format("--state-dir {} cannot be made", spec.state_dir.string()));
  // The journal first: its lock keeps a second coordinator from taking the first one's socket.
  TRIBUTARY_ASSIGN(state.journal, journal::Journal::Open((spec.state_dir / "coordinator.db").string()));
  TRIBUTARY_ASSIGN(federation::State restored, state.journal->Load());
  if (!restored.jobs.empty()) log::Info("the journal knows {} jobs", restored.jobs.size());

  ControlOptions options;
  options.heartbeat = spec.heartbeat;
  options.blob_stores = spec.blob_stores;
  options.limits = spec.limits;
  options.retrievals = spec.retrievals;
  options.retrievals.away_after = spec.limits.seat_timeout;
  options.parser = spec.parser != nullptr ? spec.parser : [](const std::string& text, const std::string& file) {
    return job::ParseJob(text, file);
  };
  if (spec.keyring) {
    auto signer = transport::GrantSigner::Make(*spec.keyring);
    if (!signer.ok()) return signer.error().Wrap("--peers");
    options.grants = *std::move(signer);
    if (!options.grants) log::Warning("--peers names no blob-store: trainers get no grants, and may neither read nor write there");
  }
  state.telemetry = std::make_unique<Telemetry>(state.registry, spec.memory_budget);
  state.control = std::make_unique<Control>(std::move(options), std::move(restored), *state.journal, *state.telemetry,
                                            [&state](Error why) {
                                              const std::lock_guard lock(state.mutex);
                                              state.failed = std::move(why);
                                              state.changed.notify_all();
                                            });
  state.context = std::make_shared<transport::Context>(1, spec.keyring);
  transport::ServerOptions server;
  server.endpoint = spec.listen;
  server.send_high_water = kSendHighWater;
  server.most_memory = spec.most_memory;
  auto started = transport::FrameServer::Start(state.context, server, *state.control);
  if (!started.ok()) return started.error().Wrap("--listen");
  state.server = *std::move(started);
  state.control->Attach(*state.server);
  state.endpoint = state.server->endpoint();

  state.registry.AddCollector([&state] {
    const transport::ServerCounters c = state.server->counters();
    const std::string refused = "Connections that were refused or cut off, by reason.";
    std::vector<metrics::Reading> readings = {{"tributary_connections", "Connections now.", false, {}, static_cast<double>(c.connections)},
                                              {"tributary_socket_renewals_total", "Times that the socket was opened anew, for memory that connections had left.", true, {}, static_cast<double>(c.renewals)}};
    for (const auto& [reason, count] : c.Refused()) {
      readings.push_back({"tributary_connections_refused_total", refused, true, {{"reason", std::string(reason)}}, static_cast<double>(count)});
    }
    return readings;
  });
  metrics::ServerSpec metrics;
  metrics.address = spec.metrics_address;
  metrics.registry = &state.registry;
  metrics.ready = [&state]() -> Status {
    const std::lock_guard lock(state.mutex);
    if (state.failed) return *state.failed;
    return Ok();
  };
  TRIBUTARY_ASSIGN(state.metrics_server, metrics::MetricsServer::Start(std::move(metrics)));
  log::Info("serving at {}, state in {}", state.endpoint, spec.state_dir.string());
  return service;
}

CoordinatorService::~CoordinatorService() {
  if (state_) Stop();
}

void CoordinatorService::Stop() {
  State& state = *state_;
  {
    std::unique_lock lock(state.mutex);
    if (std::exchange(state.stopping, true)) {
      state.changed.wait(lock, [&] { return state.stopped; });
      return;
    }
  }
  if (state.server) state.server->Stop();
  // Last, and told under the lock: who waits may destroy the service at once.
  const std::lock_guard lock(state.mutex);
  state.stopped = true;
  state.changed.notify_all();
}

Result<bool> CoordinatorService::Wait(Duration limit) {
  std::unique_lock lock(state_->mutex);
  const auto over = [&] { return state_->stopped || state_->failed; };
  if (limit.count() > 0) {
    state_->changed.wait_for(lock, limit, over);
  } else {
    state_->changed.wait(lock, over);
  }
  if (state_->failed) return *state_->failed;
  return state_->stopped;
}

const std::string& CoordinatorService::endpoint() const { return state_->endpoint; }

std::uint16_t CoordinatorService::metrics_port() const {
  return state_->metrics_server ? state_->metrics_server->port() : std::uint16_t{0};
}

}  // namespace tributary::service
