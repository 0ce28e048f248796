// Private: the one task that runs, on its own thread, and what it tells of itself.
//
// Thread-safe. Start gives it a task while it is idle; TakeFinished collects the result. `wake` is called (from the task's
// thread) when something should be told at once: a new phase, the end.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tributary/session/worker.h"

namespace tributary::session {

struct TaskInput {
  wire::TaskSpec spec;
  std::string job_text;
  std::vector<std::string> blob_stores;
};

class TaskSlot final : private TaskProgress {
 public:
  TaskSlot(TaskRunner& runner, std::function<void()> wake);
  ~TaskSlot() override { Stop(); }

  // REQUIRES: Idle().
  void Start(TaskInput input);
  bool Idle() const;
  void RequestStop();
  // What the running task has told; `changed` since the last call.
  wire::TaskReport Current(bool* changed);
  // The report of a task that has ended, once; the slot is idle afterwards.
  std::optional<wire::TaskReport> TakeFinished();
  // Stops the task and joins the thread.
  void Stop();

 private:
  void Phase(const std::string& phase, std::uint64_t total, const std::string& unit) override;
  void Done(std::uint64_t done) override;
  void Metric(const std::string& name, double value) override;
  void Bytes(std::uint64_t up, std::uint64_t down) override;

  void Loop();
  Result<TaskResult> RunGuarded(const TaskInput& input, std::stop_token stop);

  TaskRunner& runner_;
  const std::function<void()> wake_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // State below is protected by mutex_.
  enum class State { kIdle, kGiven, kRunning, kFinished } state_ = State::kIdle;
  bool ending_ = false;
  TaskInput input_;
  std::stop_source stop_;
  wire::TaskReport report_;
  bool dirty_ = false;

  std::thread thread_;
};

}  // namespace tributary::session
