#include "services/coordinator/telemetry.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "tributary/metrics/standard.h"

namespace tributary::service {
namespace {

constexpr std::size_t kMaxSamples = 48;  // of one trainer
constexpr std::size_t kMaxName = 64;

// Names that a trainer may use as they are: the same as when it is scraped, so that one dashboard shows both.
constexpr std::string_view kShared[] = {"process_", "tributary_memory_", "tributary_trainer_"};

std::string Served(const std::string& name) {
  for (const auto prefix : kShared) {
    if (name.compare(0, prefix.size(), prefix) == 0) return name;
  }
  return "tributary_trainer_" + name;
}

bool IsMetricName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && std::isalpha(static_cast<unsigned char>(name[0])) != 0 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

}  // namespace

Telemetry::Telemetry(metrics::Registry& registry, std::uint64_t memory_budget) : registry_(registry) {
  using metrics::Unit;
  metrics::AddProcessMetrics(registry);
  metrics::AddMemoryMetrics(registry, memory_budget, nullptr);
  const std::string workers = "Workers that were heard lately, by role.";
  trainers_ = registry.AddGauge("workers", Unit::kNone, workers, {{"role", "trainer"}});
  aggregators_ = registry.AddGauge("workers", Unit::kNone, workers, {{"role", "aggregator"}});
  const std::string seats = "Seats of the running job, and trainers without one, by state.";
  seats_taken_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "taken"}});
  seats_free_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "free"}});
  spares_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "spare"}});
  sessions_ = registry.AddGauge("control_sessions", Unit::kNone, "Sessions of workers.");
  rounds_ = registry.AddCounter("rounds", Unit::kNone, "Rounds that are done.");
  const std::string bytes = "Bytes that trainers moved in rounds that are done.";
  bytes_up_ = registry.AddCounter("round_transfer", Unit::kBytes, bytes, {{"direction", "up"}});
  bytes_down_ = registry.AddCounter("round_transfer", Unit::kBytes, bytes, {{"direction", "down"}});
  forbidden_ = registry.AddCounter("permission_refusals", Unit::kNone, "Requests for what the peer's role or name may not do.");
  round_seconds_ = registry.AddHistogram("round_duration", Unit::kSeconds, "Duration of rounds.", metrics::DurationBounds());
  for (const char* phase : {"init", "train", "aggregate", "seal", "validate"}) {
    phases_[phase] = registry.AddHistogram("phase_duration", Unit::kSeconds, "Duration of a round's phases.",
                                           metrics::DurationBounds(), {{"phase", phase}});
  }
  registry.AddCollector([this] { return Readings(); });
}

void Telemetry::Count(const federation::Federation::Census& census, std::size_t sessions) {
  trainers_.Set(static_cast<double>(census.trainers));
  aggregators_.Set(static_cast<double>(census.aggregators));
  spares_.Set(static_cast<double>(census.spares));
  seats_taken_.Set(static_cast<double>(census.seats_taken));
  seats_free_.Set(static_cast<double>(census.seats_free));
  sessions_.Set(static_cast<double>(sessions));
}

void Telemetry::Decided(const std::vector<federation::Decision>& decisions) {
  for (const auto& decision : decisions) {
    const auto* round = std::get_if<federation::RoundRow>(&decision);
    if (round == nullptr || round->state != federation::RoundState::kDone) continue;
    for (auto& [phase, histogram] : phases_) {
      if (const auto it = round->metrics.find("seconds_" + phase); it != round->metrics.end()) {
        histogram.Observe(it->second);
      }
    }
    if (round->round == 0) continue;
    rounds_.Add();
    round_seconds_.Observe(round->seconds);
    bytes_up_.Add(static_cast<double>(round->bytes_up));
    bytes_down_.Add(static_cast<double>(round->bytes_down));
  }
}

void Telemetry::Relay(const std::string& trainer, const std::map<std::string, double>& samples) {
  std::map<std::string, double> kept;
  for (const auto& [name, value] : samples) {
    if (kept.size() == kMaxSamples) break;
    if (!IsMetricName(name) || !std::isfinite(value)) continue;
    kept[Served(name)] = value;
  }
  const std::lock_guard lock(mutex_);
  relayed_[trainer] = std::move(kept);
}

void Telemetry::Forget(const std::string& trainer) {
  const std::lock_guard lock(mutex_);
  relayed_.erase(trainer);
}

std::vector<metrics::Reading> Telemetry::Readings() {
  std::vector<metrics::Reading> readings;
  const std::lock_guard lock(mutex_);
  for (const auto& [trainer, samples] : relayed_) {
    for (const auto& [name, value] : samples) {
      readings.push_back({name, "Told by a trainer with its heartbeat.", name.ends_with("_total"), {{"trainer", trainer}},
                          value});
    }
  }
  return readings;
}

}  // namespace tributary::service
