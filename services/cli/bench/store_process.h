// A blob-store of a benchmark's own: the real binary on a free port of this machine, killed when this goes.
//
// Used by the thread that started it. Bytes, seconds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "services/cli/bench/bench.h"
#include "tributary/base/result.h"
#include "tributary/transport/keyring.h"

namespace tributary::cli {

class StoreProcess {
 public:
  // `name` tells several of one scratch directory apart.
  static Result<StoreProcess> Start(const Scratch& scratch, const std::string& name, std::uint64_t memory_budget, std::uint64_t max_message,
                                    const std::optional<transport::Keyring>& keyring = std::nullopt);
  StoreProcess(StoreProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), endpoint_(std::move(other.endpoint_)), log_(std::move(other.log_)) {}
  StoreProcess& operator=(StoreProcess&&) = delete;
  ~StoreProcess();

  const std::string& endpoint() const { return endpoint_; }
  // Since its start. kUnavailable, with the end of its log, when it has ended.
  Result<std::uint64_t> Peak() const;
  Result<double> CpuSeconds() const;

 private:
  StoreProcess(pid_t pid, std::string endpoint, std::string log) : pid_(pid), endpoint_(std::move(endpoint)), log_(std::move(log)) {}
  pid_t pid_;
  std::string endpoint_;
  std::string log_;
};

}  // namespace tributary::cli
