// Starts the services of a run, restarts what dies and says so, stops them in reverse order.
//
// One thread (the one that lives as long as the process). A child that keeps ending within seconds of its start is given up: Poll
// then says the end of its log and returns an error of one line that names the log. Children end with this process, however it ends.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "services/cli/memory_log.h"
#include "services/cli/process.h"
#include "tributary/base/result.h"

namespace tributary::cli {

struct ServiceProcess {
  std::string service;   // "aggregator"
  std::string instance;  // "aggregator-0"
  ProcessSpec spec;
};

class Supervisor {
 public:
  using Say = std::function<void(const std::string&)>;
  Supervisor(MemoryLog& memory, Say say) : memory_(memory), say_(std::move(say)) {}
  ~Supervisor() { StopAll(); }

  Status Start(ServiceProcess process);
  // Reaps what ended, restarts what is due.
  Status Poll();
  // SIGTERM in reverse order of start, SIGKILL to what is left after `grace`.
  void StopAll(std::chrono::seconds grace = std::chrono::seconds(10));

  struct Child {
    ServiceProcess process;
    pid_t pid = 0;  // 0: waits for its restart
    std::chrono::steady_clock::time_point started;
    std::chrono::steady_clock::time_point restart_at;
    int quick_deaths = 0;
    int restarts = 0;
  };
  const std::vector<Child>& children() const { return children_; }

 private:
  Status Launch(Child& child);

  MemoryLog& memory_;
  Say say_;
  std::vector<Child> children_;
};

}  // namespace tributary::cli
