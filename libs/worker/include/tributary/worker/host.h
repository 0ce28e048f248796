// What trainer and aggregator are beside their tasks: the pool, the session with the coordinator, the metrics, the end.
//
// A service makes a WorkerHost, builds its TaskRunner on it, and calls Begin. Stop (also at destruction) ends the session and so the
// runner's use: a service that owns both calls Stop before its runner goes. Thread-safe but for construction and Begin. Peak memory
// is the process's base, the budget, and what the tasks hold.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/blob/store.h"
#include "tributary/memory/pool.h"
#include "tributary/metrics/metrics.h"
#include "tributary/session/worker.h"
#include "tributary/transport/keyring.h"

namespace tributary::worker {

struct HostSpec {
  std::string coordinator;
  std::vector<std::string> blob_stores;  // endpoints by shard, as seen from this worker; empty: where the coordinator says
  std::string instance;    // for the store's log
  std::uint64_t memory_budget = 0;
  std::string metrics_address = "off";
  std::string model_cache = "";  // a cache of the blob-store near here, from which models come; empty: from the store itself
  std::uint32_t connections = 1;  // to each of them
  std::optional<transport::Keyring> keyring = {};  // none: nothing is encrypted
  bool metrics_elsewhere = false;  // metrics_address tells health and, at /metrics, tasks that run: what whoever stops this process needs to know
  std::string model_cache_name = {};  // in the list of peers; empty: the only cache there
};

class WorkerHost {
 public:
  explicit WorkerHost(const HostSpec& spec);
  ~WorkerHost();
  WorkerHost(const WorkerHost&) = delete;
  WorkerHost& operator=(const WorkerHost&) = delete;

  memory::Pool& pool();
  metrics::Registry& registry();
  // The blob-store as this task uses it, its base read from the cache if there is one: its shards, the job's timeouts; its waits end when the task is stopped. What it moves is
  // counted when it is let go. kUnavailable if neither the worker nor the coordinator names one. Must not outlive the host.
  Result<std::shared_ptr<blob::BlobStore>> OpenStore(const session::TaskContext& task);

  // Says hello and serves metrics; `runner` lives until Stop.
  // Tasks of the kinds `beside` run beside the others (session/worker.h).
  Status Begin(const wire::Hello& hello, session::TaskRunner& runner, std::vector<wire::TaskKind> beside = {});
  // Waits this long at most (zero: for ever). True once there is nothing to wait for any more; an error if the coordinator
  // refused this worker for good.
  Result<bool> Wait(Duration limit);
  void Stop();  // idempotent
  std::uint16_t metrics_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::worker
