// `tributary train JOB.yaml`: the job's training without a federation, in this process, on all of its data.
//
// The same plan, batches, model and options as a federation of one seat; rounds are the points at which it validates and saves. What it leaves
// in the work directory: model/ (of the last round), summary.json, model-best/ where checkpoint.best asks for it, model-base/ where the adapters' base is of the
// job's seed (seeded_base.h), and what it may go on from (checkpoints.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/trainer/task_support.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

struct TrainCommandSpec {
  job::Job job;
  std::string data_path;
  std::string work_dir;
  bool progress = true;
  bool resume = false;           // goes on from what an earlier one left there
  std::uint32_t from_round = 0;  // behind this round; 0: the newest whose model is there
};

// SIGINT and SIGTERM end it with kCancelled at the next step, batch or megabyte of text; their earlier handlers are back when it returns.
// One at a time in a process.
Status TrainAlone(const TrainCommandSpec& spec, const LoadModule& load);

// argv[0] is "train". The exit code.
int TrainMain(int argc, char** argv);

}  // namespace tributary::trainer
