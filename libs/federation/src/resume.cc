// A job that had ended goes on: what stands is taken up, what was half made is made anew.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {

Result<wire::Resumed> Federation::Machine::Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, Time t) {
  now = t;
  const auto known = state.jobs.find(stored.job);
  if (known == state.jobs.end()) return MakeError(Code::kNotFound, "no job {} here", stored.job);
  if (!Finished(known->second.state)) {
    return MakeError(Code::kConflict, "job {} is {}; only one that is stopped, failed or completed is resumed", stored.job, JobStateName(known->second.state));
  }
  TRIBUTARY_TRY(CheckQueue());
  TRIBUTARY_ASSIGN(job::Job spec, parser(stored.text, stored.job));
  const bool sealed = !newest.empty() && (newest.front().state == RoundState::kDone || newest.front().state == RoundState::kValidate);
  const bool done = sealed && newest.front().state == RoundState::kDone;
  if (done && newest.front().round >= spec.rounds) {
    return MakeError(Code::kConflict, "job {} has made all its {} rounds; it goes on to more with --set rounds=N", stored.job, spec.rounds);
  }
  if (!newest.empty() && newest.front().round > spec.rounds) {
    return MakeError(Code::kConflict, "job {} was in round {}; it cannot end after {}", stored.job, newest.front().round, spec.rounds);
  }
  std::optional<std::uint32_t> abandoned;
  if (!newest.empty() && !sealed) {
    abandoned = newest.front().round;
    newest.erase(newest.begin());
  } else if (done && newest.size() > 1) {
    newest.resize(1);
  }
  if (!sealed) updates.clear();
  if (done) updates.clear();
  // What trainers downloaded of a completed job's model is removed; they read the model itself.
  if (stored.state == JobState::kCompleted && !newest.empty()) {
    newest.front().broadcast_digest.clear();
    newest.front().broadcast_error = 0;
  }

  JobRow row = std::move(stored);
  row.state = JobState::kQueued;
  row.order = NextOrder();
  row.message.clear();
  row.ended_ms = 0;
  if (newest.empty()) row.started_ms = 0;
  row.rounds = spec.rounds;
  ++row.resumes;
  specs[row.job] = std::move(spec);
  Say(Note::Level::kInfo, row.job, fmt::format("job {} is resumed behind round {}: {} rounds in all", row.job, row.round, row.rounds));
  const std::string job = row.job;
  Record(std::move(row));
  if (abandoned) Record(AbandonRound{job, *abandoned});
  std::reverse(newest.begin(), newest.end());
  for (RoundRow& round : newest) Record(std::move(round));
  // Of a round whose validation was cut short: its metrics are made of them.
  for (TaskRow& update : updates) Record(std::move(update));
  Advance();
  const JobRow& now_is = state.jobs.at(job);
  return wire::Resumed{job, JobStateName(now_is.state), now_is.round, now_is.rounds};
}

}  // namespace tributary::federation
