// What a report tells, wherever it comes from: the work directory of `tributary run`, or a coordinator's status.
//
// Plain values. Texts in it may come from anybody. Bytes and seconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/cli/report/memory_history.h"
#include "tributary/base/result.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

struct ReportService {
  std::string service;
  std::string instance;
  double peak_rss_bytes = 0;
  double cpu_seconds = 0;
  double restarts = 0;
  std::map<std::string, double> phase_peaks;
};

struct ReportData {
  std::string source;  // "the work directory /srv/run", "the coordinator at tcp://…"
  std::string made;    // when the page was made
  std::string job;
  std::string state;   // "completed", "running" …; empty: not known
  std::string message;
  double seconds = 0;
  std::uint32_t rounds_wanted = 0;  // 0: not known
  std::vector<wire::RoundStatus> rounds;
  std::vector<wire::SeatStatus> seats;  // of a job that runs
  std::string model;
  std::string model_digest;
  // Of a work directory alone.
  bool from_work_dir = false;
  double memory_budget = 0;  // 0: not known
  std::vector<ReportService> services;
  std::optional<MemoryHistory> memory;
  std::vector<std::string> missing;  // what could not be read, and why
};

// Is there something of a run in `path`? Then a report of it is meant, not a job of that name.
bool IsWorkDir(const std::string& path);
// A run that has not ended has no summary.json; its memory is told all the same. kInvalidArgument for a summary.json that is none.
Result<ReportData> ReadWorkDir(const std::string& path);
ReportData ReportOfStatus(const wire::JobStatus& status, const std::string& coordinator);

}  // namespace tributary::cli
