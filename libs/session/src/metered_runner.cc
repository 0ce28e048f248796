#include "tributary/session/metered_runner.h"

#include <chrono>

#include "tributary/memory/phases.h"

namespace tributary::session {

const char* TaskKindName(std::uint32_t kind) {
  switch (static_cast<wire::TaskKind>(kind)) {
    case wire::TaskKind::kInit: return "init";
    case wire::TaskKind::kTrain: return "train";
    case wire::TaskKind::kValidate: return "validate";
    case wire::TaskKind::kAggregate: return "aggregate";
    case wire::TaskKind::kSeal: return "seal";
    case wire::TaskKind::kRemove: return "remove";
    case wire::TaskKind::kOffer: return "offer";
  }
  return "unknown";
}

namespace {

// Passes on what a task tells, and keeps the book of memory by phase.
class PhasedProgress final : public TaskProgress {
 public:
  PhasedProgress(TaskProgress& inner, const char* kind) : inner_(inner), phase_(kind) {}
  void Phase(const std::string& phase, std::uint64_t total, const std::string& unit) override {
    phase_.Change(phase);
    inner_.Phase(phase, total, unit);
  }
  void Done(std::uint64_t done) override { inner_.Done(done); }
  void Metric(const std::string& name, double value) override { inner_.Metric(name, value); }
  void Bytes(std::uint64_t up, std::uint64_t down) override { inner_.Bytes(up, down); }

 private:
  TaskProgress& inner_;
  memory::Phase phase_;
};

// One more while it lives.
class Running {
 public:
  explicit Running(metrics::Gauge* gauge) : gauge_(gauge) { Add(1); }
  ~Running() { Add(-1); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  void Add(double amount) {
    if (gauge_ != nullptr) gauge_->Add(amount);
  }
  metrics::Gauge* const gauge_;
};

}  // namespace

MeteredRunner::MeteredRunner(TaskRunner& inner, metrics::Registry& registry, const std::vector<wire::TaskKind>& kinds)
    : inner_(inner) {
  const auto count = [&](const std::string& kind, const std::string& outcome) {
    return registry.AddCounter("tasks", metrics::Unit::kNone, "Tasks of the coordinator that ended here.",
                               {{"kind", kind}, {"outcome", outcome}});
  };
  for (const wire::TaskKind number : kinds) {
    const std::string kind = TaskKindName(static_cast<std::uint32_t>(number));
    series_[static_cast<std::uint32_t>(number)] = {
        count(kind, "done"), count(kind, "failed"), count(kind, "stopped"),
        registry.AddGauge("tasks_running", metrics::Unit::kNone, "Tasks of the coordinator that run here now.", {{"kind", kind}}),
        registry.AddHistogram("task", metrics::Unit::kSeconds, "How long a task took here.", metrics::DurationBounds(),
                              {{"kind", kind}})};
  }
}

Result<TaskResult> MeteredRunner::Run(const TaskContext& context) {
  const auto counted = series_.find(context.spec.kind);
  const Running running(counted == series_.end() ? nullptr : &counted->second.running);
  const auto begin = std::chrono::steady_clock::now();
  PhasedProgress progress(context.progress, TaskKindName(context.spec.kind));
  auto result = inner_.Run({context.spec, context.job_text, context.blob_stores, progress, context.stop});
  if (const auto it = series_.find(context.spec.kind); it != series_.end()) {
    Series& series = it->second;
    series.seconds.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    (result.ok() ? series.done : context.stop.stop_requested() ? series.stopped : series.failed).Add();
  }
  return result;
}

}  // namespace tributary::session
