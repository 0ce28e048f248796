// `tributary train JOB.yaml`: the job's training without a federation, in this process, on all of its data.
//
// The same plan, batches, model and options as a federation of one seat; rounds are the points at which it validates and saves. What it leaves
// in the work directory: model/ (newest), summary.json, and model-best/ where checkpoint.best asks for it.
#pragma once

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
};

// SIGINT and SIGTERM end it with kCancelled at the next step, batch or megabyte of text; their earlier handlers are back when it returns.
// One at a time in a process.
Status TrainAlone(const TrainCommandSpec& spec, const LoadModule& load);

// argv[0] is "train". The exit code.
int TrainMain(int argc, char** argv);

}  // namespace tributary::trainer
