// `tributary run`, after its words are parsed: start the services, submit, watch, export, stop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/cli/work_dir.h"
#include "tributary/base/result.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/directory.h"

namespace tributary::cli {

struct RunSpec {
  job::Job job;
  std::uint32_t trainers = 1;
  std::uint32_t aggregators = 1;
  std::uint32_t shards = 1;  // of the blob-store, a process each
  std::uint64_t memory_budget = 0;
  std::string log_level;
  std::map<std::string, std::string> data;
  std::optional<modeldir::ModelDirectory> source;  // that the first model is made from
  std::optional<modeldir::AdapterDirectory> adapters;  // that the job starts from
  bool resume = false;           // a job that had ended goes on
  std::uint32_t from_round = 0;  // behind this round; 0: the newest
  bool progress = true;
  bool metrics = false;  // each service serves its metrics on this machine, and metrics.json in the work directory says where
};

// The exit code: 0 completed, 1 not. What went wrong has been said on stderr.
int RunJob(const RunSpec& spec, const WorkDir& dir);

}  // namespace tributary::cli
