// The knobs that every service has: metrics address, memory budget, log level and format.
//
// Declare with AddServiceOptions, parse, then read them with GetServiceSettings. Values; no threads, no I/O.
// Sizes in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/log.h"
#include "tributary/base/result.h"
#include "tributary/config/options.h"

namespace tributary::config {

constexpr std::uint64_t kDefaultMemoryBudget = 64_MiB;
constexpr std::uint64_t kMinMemoryBudget = 8_MiB;
constexpr std::uint64_t kMaxMemoryBudget = 1024_GiB;

struct ServiceSettings {
  std::string metrics_address;  // "HOST:PORT" or "off"
  std::uint64_t memory_budget = kDefaultMemoryBudget;
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kText;
};

// Declares --metrics-address, --memory-budget, --log-level, --log-format and the question --health (health.h).
void AddServiceOptions(Options& options, std::string metrics_address);
// REQUIRES: options was parsed with kRun.
ServiceSettings GetServiceSettings(const Options& options);

// Declares --key, --peers and --insecure. A server's --peers is its allow-list, others take the servers' keys out of theirs.
void AddKeyOptions(Options& options, bool server);
struct KeySettings {
  std::string key;    // file; empty: none
  std::string peers;  // file; empty: none
  bool insecure = false;
};
KeySettings GetKeySettings(const Options& options);

// Declares --blob-store, once for each shard in their order, and --connections. `fallback`: of the first; empty: as the coordinator tells it.
void AddStoreOptions(Options& options, std::string fallback);
struct StoreAddress {
  std::vector<std::string> endpoints;  // empty: as the coordinator tells it
  std::uint32_t connections = 1;       // to each
};
// REQUIRES: options was parsed with kRun.
StoreAddress GetStoreAddress(const Options& options);

// Checks for AddString. HostPort: "127.0.0.1:7700", "[::1]:0", "name:7700".
Status CheckHostPort(const std::string& value);
Status CheckHostPortOrOff(const std::string& value);
// "tcp://HOST:PORT" ("tcp://*:PORT" too) or "ipc://PATH".
Status CheckEndpoint(const std::string& value);
// One path segment, as sites and instances are called (base/names.h).
Status CheckName(const std::string& value);

}  // namespace tributary::config
