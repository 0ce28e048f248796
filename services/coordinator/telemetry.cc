#include "services/coordinator/telemetry.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>

#include "tributary/config/options.h"
#include "tributary/metrics/standard.h"

namespace tributary::service {
namespace {

constexpr std::size_t kMaxSamples = 48;  // of one trainer
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxSeats = 256;  // that are told one by one: those that stand still longest

// A tenth of a second to a day: rounds and their phases.
const std::vector<double> kRoundBounds = {0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400};

// Names that a trainer may use as they are: the same as when it is scraped, so that one dashboard shows both.
constexpr std::string_view kShared[] = {"process_", "tributary_memory_", "tributary_trainer_"};

// Peaks by phase have a label, which a sample has no place for but in its name: "tributary_memory_phase_peak_bytes.train".
constexpr std::string_view kPhasePeak = "tributary_memory_phase_peak_bytes";

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

// "a" or, of peaks by phase, "a.b".
bool IsSample(const std::string& name) {
  const auto dot = name.find('.');
  if (dot == std::string::npos) return name != kPhasePeak && IsMetricName(name);
  return name.compare(0, dot, kPhasePeak) == 0 && IsMetricName(name.substr(dot + 1));
}

metrics::Reading ToReading(const std::string& trainer, const std::string& name, double value) {
  metrics::Labels labels = {{"trainer", trainer}};
  const auto dot = name.find('.');
  if (dot != std::string::npos) labels.insert(labels.begin(), {"phase", name.substr(dot + 1)});
  return {name.substr(0, dot), "Told by a trainer with its heartbeat.", name.ends_with("_total"), std::move(labels), value};
}

// What a finished round's metrics are served as.
struct RoundGauge {
  const char* metric;  // as the federation calls it
  const char* name;
  const char* help;
};
constexpr RoundGauge kRoundGauges[] = {
    {"train_loss", "tributary_train_loss", "Mean training loss of a job's newest finished round, weighted as its updates are."},
    {"val_loss", "tributary_validation_loss", "Mean validation loss of a job's newest finished round's model."},
    {"val_accuracy", "tributary_validation_accuracy_ratio", "Part of the validation targets that a job's newest finished model hits."},
    {"encoding_error", "tributary_encoding_error_ratio", "Largest relative error that an update of a job's newest finished round lost to its encoding."},
};

void AddJobs(const federation::Vitals& vitals, std::vector<metrics::Reading>& readings) {
  using federation::JobState;
  for (const auto state : {JobState::kQueued, JobState::kRunning, JobState::kCompleted, JobState::kFailed, JobState::kStopped}) {
    const auto count = vitals.jobs.find(state);
    readings.push_back({"tributary_jobs", "Jobs that the journal knows, by state.", false, {{"state", federation::JobStateName(state)}},
                        count == vitals.jobs.end() ? 0 : static_cast<double>(count->second)});
  }
  for (const auto why : federation::kRefusals) {
    const auto count = vitals.refused.find(why);
    readings.push_back({"tributary_updates_refused_total", "Updates that a round went on without, by reason.", true,
                        {{"reason", federation::RefusalName(why)}}, count == vitals.refused.end() ? 0 : static_cast<double>(count->second)});
  }
}

void AddJob(const federation::JobVitals& job, std::vector<metrics::Reading>& readings) {
  const auto gauge = [&](const char* name, const char* help, double value, metrics::Labels labels = {}) {
    labels.insert(labels.begin(), {"name", job.job});
    readings.push_back({name, help, false, std::move(labels), value});
  };
  gauge("tributary_job_info", "1; names a running job. Left out, as all that is told of it, once it has ended.", 1);
  gauge("tributary_job_rounds", "Rounds that a running job has.", job.rounds);
  gauge("tributary_job_round", "Round of a running job that is under way, or was done last.", job.round);
  for (const char* phase : {"wait", "init", "train", "aggregate", "seal", "validate"}) {
    gauge("tributary_round_phase", "1 for what a running job does now, 0 for what it does not.", job.phase == phase ? 1 : 0, {{"phase", phase}});
  }
  gauge("tributary_round_size", "Trainers that a round of a running job asks for: N.", job.round_size);
  if (job.model_bytes > 0) {
    gauge("tributary_model_bytes", "Bytes of a running job's model, in whole chunks: S.", static_cast<double>(job.model_bytes));
  }
  if (job.round_deadline.count() > 0) {
    gauge("tributary_round_deadline_seconds", "participants.round_deadline: a seat without progress for so long is left out.",
          static_cast<double>(job.round_deadline.count()) / 1000);
  }
  if (job.round_started_ms > 0) {
    gauge("tributary_round_start_timestamp_seconds", "When a running job's round began, in seconds since 1970.",
          static_cast<double>(job.round_started_ms) / 1000);
  }
  const auto by_state = [&](const char* name, const char* help, std::initializer_list<std::pair<const char*, std::uint64_t>> states) {
    for (const auto& [state, count] : states) gauge(name, help, static_cast<double>(count), {{"state", state}});
  };
  by_state("tributary_job_seats", "Seats of a running job, by state: with a trainer, without one.", {{"taken", job.seats_taken}, {"free", job.seats_free}});
  by_state("tributary_round_updates", "Updates of a running job's round, by state.",
           {{"training", job.training}, {"sending", job.sending}, {"done", job.done}, {"left_out", job.left_out}});
  by_state("tributary_aggregation_parts", "Ranges of slots that a round's average is made in; 'waiting' ones have no aggregator.",
           {{"waiting", job.parts_waiting}, {"leased", job.parts_leased}, {"done", job.parts_done}});
  by_state("tributary_aggregation_slots", "Slots of a round's average.", {{"done", job.slots_done}, {"left", job.slots_left}});
  for (const auto& seat : job.seats) {
    gauge("tributary_seat_unchanged_seconds", "Time since a seat that its round waits for made progress.",
          static_cast<double>(seat.unchanged.count()) / 1000, {{"seat", seat.seat}, {"phase", seat.phase}});
  }
}

// Of all seats those that stand still longest.
void Shorten(federation::Vitals& vitals) {
  std::vector<Duration> ages;
  for (const auto& job : vitals.running) {
    for (const auto& seat : job.seats) ages.push_back(seat.unchanged);
  }
  if (ages.size() <= kMaxSeats) return;
  std::ranges::nth_element(ages, ages.begin() + kMaxSeats, std::greater<>());
  const Duration limit = ages[kMaxSeats];
  std::size_t left = kMaxSeats - static_cast<std::size_t>(std::ranges::count_if(ages, [&](Duration age) { return age > limit; }));
  for (auto& job : vitals.running) {
    std::erase_if(job.seats, [&](const auto& seat) {
      if (seat.unchanged != limit) return seat.unchanged < limit;
      if (left == 0) return true;
      --left;
      return false;
    });
  }
}

}  // namespace

Telemetry::Telemetry(metrics::Registry& registry, std::uint64_t memory_budget) : registry_(registry) {
  using metrics::Unit;
  metrics::AddProcessMetrics(registry);
  metrics::AddMemoryMetrics(registry, memory_budget, nullptr);
  metrics::AddBuildInfo(registry, "coordinator", config::Version());
  const std::string workers = "Workers that were heard lately, by role.";
  trainers_ = registry.AddGauge("workers", Unit::kNone, workers, {{"role", "trainer"}});
  aggregators_ = registry.AddGauge("workers", Unit::kNone, workers, {{"role", "aggregator"}});
  const std::string seats = "Seats of all running jobs, and trainers without one, by state.";
  seats_taken_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "taken"}});
  seats_free_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "free"}});
  spares_ = registry.AddGauge("seats", Unit::kNone, seats, {{"state", "spare"}});
  seats_wanted_ = registry.AddGauge("seats_wanted", Unit::kNone, "Trainers that all jobs can use: the seats of running ones, and of queued ones that only lack trainers. 0: there is none.");
  sessions_ = registry.AddGauge("control_sessions", Unit::kNone, "Sessions of workers.");
  rounds_ = registry.AddCounter("rounds", Unit::kNone, "Rounds that are done.");
  const std::string bytes = "Bytes that trainers moved in rounds that are done.";
  bytes_up_ = registry.AddCounter("round_transfer", Unit::kBytes, bytes, {{"direction", "up"}});
  bytes_down_ = registry.AddCounter("round_transfer", Unit::kBytes, bytes, {{"direction", "down"}});
  forbidden_ = registry.AddCounter("permission_refusals", Unit::kNone, "Requests for what the peer's role or name may not do.");
  deduplicated_ = registry.AddCounter("round_deduplicated", Unit::kBytes, "Bytes of updates in rounds that are done that were not sent: the store had them.");
  samples_ = registry.AddCounter("trained_samples", Unit::kNone, "Samples that trainers trained on in rounds that are done.");
  tokens_ = registry.AddCounter("trained_tokens", Unit::kNone, "Tokens that trainers trained on in rounds that are done.");
  round_seconds_ = registry.AddHistogram("round_duration", Unit::kSeconds, "Duration of rounds.", kRoundBounds);
  for (const char* phase : {"init", "train", "aggregate", "seal", "validate"}) {
    phases_[phase] = registry.AddHistogram("phase_duration", Unit::kSeconds, "Duration of a round's phases.",
                                           kRoundBounds, {{"phase", phase}});
  }
  registry.AddCollector([this] { return Readings(); });
}

void Telemetry::Count(const federation::Federation::Census& census, std::size_t sessions) {
  trainers_.Set(static_cast<double>(census.trainers));
  aggregators_.Set(static_cast<double>(census.aggregators));
  spares_.Set(static_cast<double>(census.spares));
  seats_taken_.Set(static_cast<double>(census.seats_taken));
  seats_free_.Set(static_cast<double>(census.seats_free));
  seats_wanted_.Set(static_cast<double>(census.seats_taken + census.seats_free + census.seats_queued));
  sessions_.Set(static_cast<double>(sessions));
}

void Telemetry::Watch(federation::Vitals vitals) {
  Shorten(vitals);
  const std::lock_guard lock(mutex_);
  vitals_ = std::move(vitals);
}

void Telemetry::Finished(const federation::RoundRow& round) {
  const auto told = [&](const char* name) {
    const auto it = round.metrics.find(name);
    return it == round.metrics.end() ? 0.0 : it->second;
  };
  rounds_.Add();
  round_seconds_.Observe(round.seconds);
  bytes_up_.Add(static_cast<double>(round.bytes_up));
  bytes_down_.Add(static_cast<double>(round.bytes_down));
  deduplicated_.Add(told("bytes_deduplicated"));
  samples_.Add(told("samples"));
  tokens_.Add(told("tokens"));
  std::map<std::string, double> gauges;
  for (const RoundGauge& gauge : kRoundGauges) {
    if (const auto it = round.metrics.find(gauge.metric); it != round.metrics.end()) gauges[gauge.name] = it->second;
  }
  const std::lock_guard lock(mutex_);
  last_round_[round.job] = std::move(gauges);
}

void Telemetry::Note(const federation::JobRow& job) {
  if (job.state != federation::JobState::kRunning) {
    running_.erase(job.job);
    return;
  }
  if (!running_.insert(job.job).second) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(last_round_, [&](const auto& entry) { return running_.count(entry.first) == 0 || (entry.first == job.job && job.round == 0); });
}

void Telemetry::Decided(const std::vector<federation::Decision>& decisions) {
  for (const auto& decision : decisions) {
    if (const auto* job = std::get_if<federation::JobRow>(&decision)) Note(*job);
    const auto* round = std::get_if<federation::RoundRow>(&decision);
    if (round == nullptr || round->state != federation::RoundState::kDone) continue;
    for (auto& [phase, histogram] : phases_) {
      if (const auto it = round->metrics.find("seconds_" + phase); it != round->metrics.end()) {
        histogram.Observe(it->second);
      }
    }
    if (round->round > 0) Finished(*round);
  }
}

void Telemetry::Relay(const std::string& trainer, const std::map<std::string, double>& samples) {
  std::map<std::string, double> kept;
  for (const auto& [name, value] : samples) {
    if (kept.size() == kMaxSamples) break;
    if (!IsSample(name) || !std::isfinite(value)) continue;
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
  AddJobs(vitals_, readings);
  for (const auto& job : vitals_.running) AddJob(job, readings);
  for (const auto& [job, gauges] : last_round_) {
    for (const RoundGauge& gauge : kRoundGauges) {
      if (const auto it = gauges.find(gauge.name); it != gauges.end()) readings.push_back({gauge.name, gauge.help, false, {{"name", job}}, it->second});
    }
  }
  for (const auto& [trainer, samples] : relayed_) {
    readings.push_back({"tributary_trainer_info", "1; names a trainer whose metrics are relayed, and the site whose data it has.", false,
                        {{"site", trainer.substr(0, trainer.find('/'))}, {"trainer", trainer}}, 1});
    for (const auto& [name, value] : samples) readings.push_back(ToReading(trainer, name, value));
  }
  return readings;
}

}  // namespace tributary::service
