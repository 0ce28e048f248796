// The end of a run: summary.json for programs, a table for people.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/cli/memory_log.h"
#include "services/cli/supervisor.h"
#include "tributary/json/json.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

struct RunOutcome {
  std::string job;
  std::string status;  // "completed", "failed", "stopped"
  std::string message;
  double seconds = 0;
  std::vector<wire::RoundStatus> rounds;
  std::string model;         // path within the work directory, or empty
  std::string model_base;    // of adapters whose base the run wrote, or empty
  std::string model_digest;  // hex SHA-256 of the manifest root
  std::uint64_t memory_budget = 0;
};

// The first of the rounds with the lowest val_loss; null where none was validated.
const wire::RoundStatus* BestRound(const std::vector<wire::RoundStatus>& rounds);
OrderedJson MakeSummary(const RunOutcome& outcome, const std::vector<Supervisor::Child>& children, const MemoryLog& memory);
// The two tables, from summary.json alone (so that a run that is complete can show them again).
std::string SummaryText(const Json& summary, const std::string& work_dir);

}  // namespace tributary::cli
