// Private: brings what this worker does in line with what the coordinator wants, level-triggered.
//
// Apply takes an Assignment's tasks; Step moves things on (collects a result, starts the next task); Reports tells the state of
// every task. Used by the control thread alone. Job texts come through a callback, once per job.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "task_slot.h"

namespace tributary::session {

class Reconciler {
 public:
  explicit Reconciler(TaskSlot& slot) : slot_(slot) {}

  void Apply(const std::vector<wire::TaskSpec>& wanted);
  // Collects a finished task and starts the next one whose job text is here. True when a state changed.
  bool Step(const std::vector<std::string>& blob_stores);

  // A job whose text the next task lacks.
  std::optional<std::string> WantedJobText() const;
  void SetJobText(const std::string& job, std::string text);
  // The task that waits for this job's text fails.
  void FailJobText(const std::string& job, const Error& error);

  // All tasks; `changed` when the running one told something new.
  std::vector<wire::TaskReport> Reports(bool* changed);
  bool Running() const { return running_.has_value(); }

 private:
  struct RunningTask {
    std::string task;
    bool withdrawn = false;  // its result is of no interest any more
  };

  TaskSlot& slot_;
  std::deque<wire::TaskSpec> queue_;
  std::optional<RunningTask> running_;
  std::map<std::string, wire::TaskReport> finished_;
  std::map<std::string, std::string> job_texts_;
};

}  // namespace tributary::session
