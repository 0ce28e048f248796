#include "services/cli/supervisor.h"

#include <signal.h>

#include <algorithm>
#include <sstream>
#include <thread>

namespace tributary::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kQuickDeath{5};
constexpr int kQuickDeathsAllowed = 5;
// A signal comes from outside (an operator, the kernel's OOM killer) more often than from a defect.
constexpr int kQuickSignalsAllowed = 30;

}  // namespace

Status Supervisor::Start(ServiceProcess process) {
  Child child;
  child.process = std::move(process);
  children_.push_back(std::move(child));
  return Launch(children_.back());
}

Status Supervisor::Launch(Child& child) {
  TRIBUTARY_ASSIGN(child.pid, Spawn(child.process.spec));
  child.started = steady_clock::now();
  memory_.OnStart(child.process.instance, child.pid);
  return Ok();
}

Status Supervisor::Poll() {
  for (Child& child : children_) {
    if (child.pid == 0) {
      if (steady_clock::now() < child.restart_at) continue;
      TRIBUTARY_TRY(Launch(child));
      ++child.restarts;
      say_(fmt::format("{} restarted (pid {})", child.process.instance, child.pid));
      continue;
    }
    const auto ending = PollEnding(child.pid);
    if (!ending) continue;
    memory_.OnEnd(child.process.instance);
    const bool quick = steady_clock::now() - child.started < kQuickDeath;
    child.quick_deaths = quick ? child.quick_deaths + 1 : 0;
    say_(fmt::format("{} (pid {}) ended: {}", child.process.instance, child.pid, ending->Text()));
    child.pid = 0;
    // A usage error will not mend itself; neither will what fails at each start.
    const bool hopeless = !ending->signalled && (ending->code == 2 || ending->code == 127);
    if (hopeless || child.quick_deaths >= (ending->signalled ? kQuickSignalsAllowed : kQuickDeathsAllowed)) {
      // The log's end is said before, so that the error stays one line: the last one that people see.
      std::istringstream tail(TailOfFile(child.process.spec.log_path, 5));
      for (std::string line; std::getline(tail, line);) say_(fmt::format("{}: {}", child.process.instance, line));
      return MakeError(Code::kUnavailable, "{} does not stay up ({}); {} tells why, and once that is mended the same command goes on",
                       child.process.instance, ending->Text(), child.process.spec.log_path);
    }
    child.restart_at = steady_clock::now() + milliseconds(100) * (1 << std::min(child.quick_deaths, 5));
  }
  return Ok();
}

void Supervisor::StopAll(seconds grace) {
  const auto deadline = steady_clock::now() + grace;
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->pid != 0) kill(child->pid, SIGTERM);
  }
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    while (child->pid != 0) {
      if (PollEnding(child->pid)) {
        memory_.OnEnd(child->process.instance);
        child->pid = 0;
      } else if (steady_clock::now() > deadline) {
        say_(fmt::format("{} (pid {}) does not stop: killed", child->process.instance, child->pid));
        kill(child->pid, SIGKILL);
        std::this_thread::sleep_for(milliseconds(50));
      } else {
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  }
}

}  // namespace tributary::cli
