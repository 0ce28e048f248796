// The trainer service: local training on the site's own data, for the coordinator that it dials out to.
//
// Start connects and returns at once; the coordinator and the store may come later or go and come back. Wait returns when Stop was
// called (ok) or the coordinator refused this trainer for good (the error). Memory: a real model's training, or, for synthetic jobs,
// the process's base plus the budget.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/trainer/task_support.h"
#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/config/service.h"
#include "tributary/transport/keyring.h"

namespace tributary::trainer {

struct TrainerSpec {
  std::string coordinator = "tcp://localhost:7700";
  std::vector<std::string> blob_stores;  // by shard; empty: where the coordinator says
  std::string model_cache;     // a cache of it near here, from which models come; empty: from the blob-store itself
  std::uint32_t connections = 1;  // to each of them
  std::string model_cache_name = {};  // whose key it has, in the list of peers; empty: that of the only cache there
  Identity identity;
  std::string instance;        // the same after a restart
  std::int64_t ordinal = -1;   // the seat it would like
  std::uint64_t memory_budget = config::kDefaultMemoryBudget;
  std::string metrics_address = "off";
  bool relay = false;          // metrics go to the coordinator though there is an address, which then tells health and tasks that run alone; without an address they always do
  std::optional<transport::Keyring> keyring = {};  // none: nothing is encrypted
  LoadModule load_module;      // null: the module beside the binary
};

class TrainerService {
 public:
  static Result<std::unique_ptr<TrainerService>> Start(const TrainerSpec& spec);
  ~TrainerService();

  // Waits this long at most (zero: for ever). True once there is nothing to wait for any more.
  Result<bool> Wait(Duration limit);
  void Stop();
  std::uint16_t metrics_port() const;

 private:
  TrainerService();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::trainer
