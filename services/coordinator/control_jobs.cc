// What clients ask about jobs that may have ended: their log, and that they go on.
#include "services/coordinator/control.h"

#include <optional>

#include "tributary/job/job.h"

namespace tributary::service {
namespace {

constexpr std::uint32_t kMaxLinesRead = 500;
constexpr std::size_t kMaxLine = 4096;  // why a job failed may be long

}  // namespace

Result<wire::Log> Control::LogOf(const wire::GetLog& request) {
  TRIBUTARY_ASSIGN(const auto row, journal_.Job(request.job));
  TRIBUTARY_ASSIGN(auto lines, journal_.Log(request.job, request.since, kMaxLinesRead));
  wire::Log log;
  log.job = request.job;
  log.state = federation::JobStateName(row.state);
  std::size_t bytes = log.job.size() + 200;
  for (auto& line : lines) {
    if (line.text.size() > kMaxLine) line.text.resize(kMaxLine);
    bytes += line.text.size() + 60;
    if (bytes > wire::kMaxControlFrame - 1024) break;
    log.lines.push_back({line.number, line.time_ms, line.warning, std::move(line.text)});
  }
  return log;
}

Result<wire::Resumed> Control::Resume(const wire::ResumeJob& request, federation::Time now) {
  TRIBUTARY_ASSIGN(auto row, journal_.Job(request.job));
  if (!Finished(row.state)) {
    if (request.rounds != 0 && request.rounds != row.rounds) {
      return MakeError(Code::kConflict, "job {} is {} with {} rounds; stop it before it is given another number", row.job, federation::JobStateName(row.state), row.rounds);
    }
    if (request.from_round != 0) {
      return MakeError(Code::kConflict, "job {} is {}; stop it before it goes back to round {}", row.job, federation::JobStateName(row.state), request.from_round);
    }
    return wire::Resumed{row.job, federation::JobStateName(row.state), row.round, row.rounds};
  }
  if (request.rounds != 0 && request.rounds != row.rounds) {
    const std::vector<job::Override> rounds{{"rounds", std::to_string(request.rounds)}};
    TRIBUTARY_TRY(job::ParseJob(row.text, row.job, rounds).status());
    TRIBUTARY_ASSIGN(row.text, job::MergeOverrides(row.text, row.job, rounds));
  }
  wire::Submit again;
  again.name = row.job;
  again.text = row.text;
  TRIBUTARY_TRY(CheckBudgets(again));
  TRIBUTARY_ASSIGN(auto newest, journal_.NewestRounds(row.job));
  std::vector<federation::TaskRow> updates;
  if (!newest.empty()) {
    TRIBUTARY_ASSIGN(updates, journal_.Updates(row.job, newest.front().round));
  }
  std::optional<federation::RoundRow> from;
  if (request.from_round > row.round) {
    return MakeError(Code::kNotFound, "job {} has sealed {} rounds; it cannot go on behind round {}", row.job, row.round, request.from_round);
  }
  if (request.from_round != 0 && request.from_round != row.round) {
    TRIBUTARY_ASSIGN(auto rounds, journal_.Rounds(row.job, request.from_round - 1, 1));
    if (rounds.empty() || rounds.front().round != request.from_round) {
      return MakeError(Code::kNotFound, "job {} has no finished round {}", row.job, request.from_round);
    }
    from = std::move(rounds.front());
  }
  return federation_.Resume(std::move(row), std::move(newest), std::move(updates), std::move(from), now);
}

}  // namespace tributary::service
