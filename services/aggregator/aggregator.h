// The aggregator service: a stateless worker that leases slot ranges from the coordinator and reduces them.
//
// Start connects and returns at once; the coordinator and the store may come later or go and come back. Wait returns when Stop was
// called (ok) or the coordinator refused this worker for good (the error). Peak memory is the process's base plus the budget.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/config/service.h"
#include "tributary/transport/keyring.h"

namespace tributary::aggregator {

struct AggregatorSpec {
  std::string coordinator = "tcp://localhost:7700";
  std::vector<std::string> blob_stores;  // by shard; empty: where the coordinator says
  std::string instance;    // the same after a restart
  std::uint64_t memory_budget = config::kDefaultMemoryBudget;
  std::string metrics_address = "off";
  std::uint32_t connections = 1;  // to each shard of the blob-store
  std::optional<transport::Keyring> keyring = {};  // none: nothing is encrypted
};

class AggregatorService {
 public:
  static Result<std::unique_ptr<AggregatorService>> Start(const AggregatorSpec& spec);
  ~AggregatorService();

  // Waits this long at most (zero: for ever). True once there is nothing to wait for any more.
  Result<bool> Wait(Duration limit);
  void Stop();
  std::uint16_t metrics_port() const;

 private:
  AggregatorService();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::aggregator
