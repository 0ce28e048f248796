// A TaskRunner that counts and times what another one does.
//
// tributary_tasks_total{kind, outcome="done"|"failed"|"stopped"}, tributary_task_seconds{kind}, and tributary_tasks_running{kind}, which is what a pod waits for before it
// is stopped (helm/tributary/files/scripts/drain.sh); and the phases that tasks tell of are those of the process's memory (memory/phases.h), before the first of them
// the task's kind. Both the inner runner and the registry outlive it. Threads as TaskRunner.
#pragma once


#include "tributary/metrics/metrics.h"
#include "tributary/session/worker.h"

namespace tributary::session {

inline constexpr const char* kTasksRunning = "tributary_tasks_running";

// "train", "aggregate" ...; "unknown" for a number outside the set.
const char* TaskKindName(std::uint32_t kind);

class MeteredRunner final : public TaskRunner {
 public:
  // `kinds`: those that this worker runs.
  MeteredRunner(TaskRunner& inner, metrics::Registry& registry, const std::vector<wire::TaskKind>& kinds);
  Result<TaskResult> Run(const TaskContext& context) override;
  std::map<std::string, double> Samples() override { return inner_.Samples(); }
  void OnSeat(const std::string& seat) override { inner_.OnSeat(seat); }

 private:
  struct Series {
    metrics::Counter done;
    metrics::Counter failed;
    metrics::Counter stopped;
    metrics::Gauge running;
    metrics::Histogram seconds;
  };
  TaskRunner& inner_;
  std::map<std::uint32_t, Series> series_;
};

}  // namespace tributary::session
