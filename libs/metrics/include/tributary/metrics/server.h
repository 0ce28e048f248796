// The HTTP endpoint of a process: /metrics, /healthz (alive) and /readyz (can take work).
//
// Two threads, answers only GET and HEAD of these three paths, closes each connection after its answer. `live` and
// `ready` are called from those threads: they must be thread-safe, quick, and outlive the server, as must the registry.
// An error they return becomes 503 with its message. Signals that the process handles must be blocked before Start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/metrics/metrics.h"

namespace tributary::metrics {

struct ServerSpec {
  std::string address;                        // "HOST:PORT"; port 0: any free one; "off": no endpoint
  const Registry* registry = nullptr;         // null: /metrics is not found
  std::vector<std::string> families = {};     // which of it /metrics tells, by their whole names; empty: all
  std::function<Status()> ready = nullptr;    // null: always
  std::function<Status()> live = nullptr;     // null: always
  std::string flag = "--metrics-address";     // named in errors
};

class MetricsServer {
 public:
  // kIo names address and flag when the port is in use or the address is not of this machine.
  static Result<std::unique_ptr<MetricsServer>> Start(ServerSpec spec);
  ~MetricsServer();  // waits for answers under way
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // The port it listens on; 0 when off.
  std::uint16_t port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tributary::metrics
