// A worker's side of the control plane: says hello, keeps its heartbeat, runs the tasks that the coordinator assigns.
//
// A WorkerSession owns one control thread (socket, heartbeats) and one task thread (runs TaskRunner::Run, one task at a time); one more of
// those for the kinds that run beside the others, if there are such, so that a long task does not hold them up.
// Level-triggered: each Assignment names all tasks that this worker should have. New ones are queued, ones no longer named
// are stopped; a finished task is reported until the coordinator no longer names it. A lost connection or an unknown session
// begins again with Hello; the running task goes on meanwhile. The runner outlives the session.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/transport/context.h"
#include "tributary/wire/control.h"

namespace tributary::session {

struct SessionOptions {
  std::string coordinator;  // endpoint
  wire::Hello hello;        // but for its life, which each session draws
  // Kinds whose tasks run beside the others, one at a time too: the runner must allow for two calls of Run at once.
  std::vector<wire::TaskKind> beside;
  // No word from the coordinator for this long is logged, with the endpoint and what to check; the session keeps trying.
  Duration silence_warning{30'000};
};

// How a running task tells what it does. Thread-safe; cheap enough to call per chunk or step.
class TaskProgress {
 public:
  virtual ~TaskProgress() = default;
  virtual void Phase(const std::string& phase, std::uint64_t total, const std::string& unit) = 0;
  virtual void Done(std::uint64_t done) = 0;
  virtual void Metric(const std::string& name, double value) = 0;
  virtual void Bytes(std::uint64_t up, std::uint64_t down) = 0;  // so far in this task
};

struct TaskResult {
  std::map<std::string, double> metrics;
  std::string digest;
  std::uint64_t slots = 0;
  std::string broadcast_digest = {};
};

// What a task may ask for while it runs.
struct TaskContext {
  const wire::TaskSpec& spec;
  const std::string& job_text;                    // YAML of the task's job
  const std::vector<std::string>& blob_stores;    // endpoints by shard, as the coordinator told them
  TaskProgress& progress;
  std::stop_token stop;
};

class TaskRunner {
 public:
  virtual ~TaskRunner() = default;
  // Runs on a task thread. An error fails the task; kCancelled when `stop` is requested.
  virtual Result<TaskResult> Run(const TaskContext& context) = 0;
  // Samples that ride on heartbeats; called from the control thread.
  virtual std::map<std::string, double> Samples() { return {}; }
  // The seat this worker holds now ("" if none); called from the control thread when it changes.
  virtual void OnSeat(const std::string&) {}
};

class WorkerSession {
 public:
  static Result<std::unique_ptr<WorkerSession>> Start(std::shared_ptr<transport::Context> context,
                                                      const SessionOptions& options, TaskRunner& runner);
  virtual ~WorkerSession() = default;
  // Tells the coordinator that this worker leaves, stops the task, joins the threads. Idempotent.
  virtual void Stop() = 0;
  // Set when the coordinator refused for good (another protocol version, a name that may not join): the process should end with this error.
  virtual std::optional<Error> Refused() const = 0;
  // Has a Welcome and a heartbeat answered lately.
  virtual bool Connected() const = 0;
};

}  // namespace tributary::session
