// How the main of a service ends: it starts, waits for SIGTERM or SIGINT, stops in order, and says by its exit code how it went.
//
// A service has Stop() and `Result<bool> Wait(Duration)`: true once it has stopped, an error once it cannot go on. Call Serve from main
// before other threads start: it blocks the signals for all of them and takes them itself.
#pragma once

#include <signal.h>

#include <memory>
#include <optional>

#include "tributary/base/log.h"
#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/config/options.h"

namespace tributary::config {

class Signals {
 public:
  Signals();  // blocks SIGINT and SIGTERM in this thread and those that it starts
  // The name of one that has come within `limit`.
  std::optional<const char*> Take(Duration limit) const;

 private:
  sigset_t set_;
};

// `start` gives Result<std::unique_ptr<Service>>. The exit code: kExitDone, or kExitFailed with the reason in the log.
template <class Start>
int Serve(Start start) {
  const Signals signals;
  auto service = start();
  if (!service.ok()) {
    log::LogError("{}", service.error().message());
    return kExitFailed;
  }
  for (;;) {
    if (const auto signal = signals.Take(Duration(100))) {
      log::Info("stopping: {}", *signal);
      (*service)->Stop();
      return kExitDone;
    }
    if (const auto over = (*service)->Wait(Duration(1)); !over.ok()) {
      log::LogError("{}", over.error().message());
      return kExitFailed;
    } else if (*over) {
      return kExitDone;
    }
  }
}

}  // namespace tributary::config
