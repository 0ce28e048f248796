#include "tributary/session/metered_runner.h"

#include <chrono>

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
        registry.AddHistogram("task", metrics::Unit::kSeconds, "How long a task took here.", metrics::DurationBounds(),
                              {{"kind", kind}})};
  }
}

Result<TaskResult> MeteredRunner::Run(const TaskContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = inner_.Run(context);
  if (const auto it = series_.find(context.spec.kind); it != series_.end()) {
    Series& series = it->second;
    series.seconds.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    (result.ok() ? series.done : context.stop.stop_requested() ? series.stopped : series.failed).Add();
  }
  return result;
}

}  // namespace tributary::session
