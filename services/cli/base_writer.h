// The base below a run's adapters, where only the job's seed tells it (job::HasBaseOfSeed): model-base/ in the work directory.
//
// A trainer process of its own makes and writes it (`tributary train --write-base`), since libtorch is not in this program. Once for a run: the directory is
// whole or absent, and the same after every round. Called from the thread that lives as long as the process (process.h).
#pragma once

#include <functional>
#include <string>

#include "services/cli/memory_log.h"
#include "services/cli/work_dir.h"
#include "tributary/base/result.h"

namespace tributary::cli {

inline constexpr const char* kBaseDirectory = "model-base";

// `tend` is called all the time; its error ends the process and is passed up. kUnavailable with what the process said last, where it failed.
Status WriteRunBase(const WorkDir& dir, MemoryLog& memory, const std::function<Status()>& tend);

}  // namespace tributary::cli
