// The coordinator as a service: the federation's decisions behind a ROUTER socket, journaled before they are told.
//
// Start opens the journal (one coordinator at a time), binds, and serves on one thread; Stop (or destruction) ends it. Nothing has to be
// saved at the end: SIGKILL is as good. Wait returns after Stop, or with the error when the journal can no longer be
// written: the process should then end, and go on where the journal says once the cause is gone.
// Errors of Start name the flag to change. Start, Stop and Wait may be called from any thread. Times are milliseconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "services/coordinator/retrievals.h"
#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/federation/federation.h"
#include "tributary/transport/keyring.h"

namespace tributary::service {

class CoordinatorService {
 public:
  struct Spec {
    std::string listen = "tcp://0.0.0.0:7700";
    std::filesystem::path state_dir;        // made if absent; holds coordinator.db
    std::vector<std::string> blob_stores;   // endpoints, in order of shard, as workers reach them
    Duration heartbeat{1'000};              // that workers keep
    federation::Limits limits;
    RetrievalLimits retrievals;             // but for away_after, which is the seats' timeout
    std::uint64_t memory_budget = 64_MiB;   // only told in the metrics: the coordinator holds no tensor bytes
    std::uint64_t most_memory = 0;  // that the process is to stay below (transport::ServerOptions); 0 where others share it
    std::string metrics_address = "off";    // HOST:PORT
    federation::JobParser parser;           // null: job::ParseJob
    std::optional<transport::Keyring> keyring = {};  // whom it admits; none: anybody, and nothing is encrypted
  };

  static Result<std::unique_ptr<CoordinatorService>> Start(Spec spec);
  ~CoordinatorService();
  CoordinatorService(const CoordinatorService&) = delete;
  CoordinatorService& operator=(const CoordinatorService&) = delete;

  const std::string& endpoint() const;  // with the real port
  std::uint16_t metrics_port() const;   // 0 when off

  void Stop();  // idempotent; returns when the service has stopped, whoever asked first
  // Until Stop is done, or until `limit` is over (zero: for ever); true when it has stopped, an error if the journal failed.
  Result<bool> Wait(Duration limit = Duration(0));

 private:
  CoordinatorService();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary::service
