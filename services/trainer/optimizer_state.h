// The optimizer's state between a seat's local trainings (train.optimizer_state: kept): on this trainer's disk, or in memory.
//
// On disk: one file per job, seat and round, ORDINAL.rROUND, written under a temporary name, synced and renamed, so that it is whole or
// not there. A round reads the newest file of an earlier round, which stays until the round after: a round that is repeated after
// SIGKILL begins from the same state. A file that is missing, broken or of another job or layout means a fresh state, and a log line
// says so. What other jobs left is removed when a round begins. Neither class is shared by threads. Failures: kIo,
// kResourceExhausted (the disk is full).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

struct OptimizerStateOptions {
  std::string directory;  // made if absent
  std::string job;
  std::string job_text;   // a file of the same job id and another text is another job's
  std::vector<tensor::TensorSpec> tensors;  // what travels
  std::uint32_t ordinal = 0;
  std::uint32_t round = 0;
};

class DiskOptimizerState final : public train::OptimizerStore {
 public:
  static Result<std::unique_ptr<DiskOptimizerState>> Open(const OptimizerStateOptions& options);

  Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) override;
  Status Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) override;
  // The job's last update is sealed: nothing is asked for again.
  void Remove();

 private:
  DiskOptimizerState() = default;
  Result<std::uint64_t> Read(int file, const std::vector<std::span<float>>& moments) const;

  std::string folder_;
  std::string who_;     // for log lines
  std::string before_;  // the newest earlier round's file; empty: there is none
  std::string path_;
  std::vector<std::byte> key_;
  std::uint32_t round_ = 0;
};

// For rounds in one process.
class MemoryOptimizerState final : public train::OptimizerStore {
 public:
  Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) override;
  Status Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) override;

 private:
  std::vector<std::vector<float>> moments_;
  std::uint64_t steps_ = 0;
};

}  // namespace tributary::trainer
