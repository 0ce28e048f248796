// The coordinator's decisions on disk: one SQLite file that survives SIGKILL and power loss.
//
// A Journal stores the rows of federation/decisions.h, and nothing of tensors. Append commits a list of decisions as one transaction, on
// disk when it returns (WAL, synchronous=FULL). One process at a time has the file: the lock ends with the process. One
// thread. Failures: kUnavailable (another coordinator runs on it), kDataLoss (not a journal, or damaged), kProtocol (of a newer
// release), kResourceExhausted (disk full), kPermission, kIo. After a failed Append the file holds what it held before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/federation/decisions.h"
#include "tributary/federation/federation.h"

namespace tributary::journal {

constexpr int kSchema = 3;
// Of a job; the oldest go.
constexpr std::uint64_t kLinesKept = 10'000;

struct LogLine {
  std::uint64_t number = 0;
  std::int64_t time_ms = 0;
  bool warning = false;
  std::string text;
};

class Journal {
 public:
  // Makes the file (not its directory) when there is none.
  static Result<std::unique_ptr<Journal>> Open(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // `notes` that belong to a job become lines of its log, in the same transaction.
  Status Append(const std::vector<federation::Decision>& decisions, const std::vector<federation::Note>& notes = {});
  // What the decisions so far amount to.
  Result<federation::State> Load();

  // kNotFound when there is no such job. With its text, finished or not.
  Result<federation::JobRow> Job(const std::string& job);
  // Done rounds with a number above `since`, ascending, `limit` at most.
  Result<std::vector<federation::RoundRow>> Rounds(const std::string& job, std::uint32_t since, std::uint32_t limit);
  // The two newest rounds, done or not, the newest first.
  Result<std::vector<federation::RoundRow>> NewestRounds(const std::string& job);
  // Lines with a number above `since`, ascending, `limit` at most.
  Result<std::vector<LogLine>> Log(const std::string& job, std::uint64_t since, std::uint32_t limit);
  // The record of a round's updates, done and dropped.
  Result<std::vector<federation::TaskRow>> Updates(const std::string& job, std::uint32_t round);

 private:
  struct Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::journal
