// metrics.jsonl in a trainer's work directory: one line of JSON for each finished task.
//
// Appended with one write, so that a killed process leaves whole lines. A failure is logged and does not fail the task.
#pragma once

#include <string>

#include "services/trainer/task_support.h"

namespace tributary::trainer {

void AppendMetrics(const std::string& work_dir, const wire::TaskSpec& task, const session::TaskResult& result,
                   const ByteCount& bytes);

}  // namespace tributary::trainer
