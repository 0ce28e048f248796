// What encoding lost of a seat's last update, on this trainer's disk: error feedback (docs/encodings.md).
//
// One file per job, seat and round, fp32, one number for each element that is encoded. A round reads the newest complete file of an
// earlier round and writes its own; older ones are removed when it begins, and so is what other jobs left. What is written survives
// SIGKILL. A Residual owns its two files; one thread. Positions are elements. Failures: kIo, kResourceExhausted (the disk is full).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tributary/base/result.h"

namespace tributary::trainer {

struct ResidualOptions {
  std::string directory;  // made if absent
  std::string job;
  std::string job_text;   // a residual of the same job id and another text is another job's
  std::uint32_t ordinal = 0;
  std::uint32_t round = 0;
  std::uint64_t elements = 0;
};

class Residual {
 public:
  static Result<std::unique_ptr<Residual>> Open(const ResidualOptions& options);
  ~Residual();
  Residual(const Residual&) = delete;
  Residual& operator=(const Residual&) = delete;

  // This round's file was there: what an earlier try wrote counts.
  bool resumed() const { return resumed_; }
  // Of the round before; zeros where there is none.
  Status Read(std::uint64_t first, std::span<float> values) const;
  Status Write(std::uint64_t first, std::span<const float> values);
  // All is written; from now on later rounds read it.
  Status Complete();
  // The update is sealed: the round before is not asked for again, nor is this one if it is the job's last.
  void Sealed(bool last);

 private:
  Residual() = default;

  std::string path_, path_before_;
  int before_ = -1;
  int file_ = -1;
  bool resumed_ = false;
};

}  // namespace tributary::trainer
