// A job that had ended goes on: what stands is taken up, what was half made is made anew.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

// Among the removals of the round that a job goes back to: after those of its seal, of a best model and of an end.
constexpr std::uint32_t kFirstAtRewind = 1u << 24;
constexpr std::size_t kNamed = 8;  // rounds that an error lists

// The round of the best model as of the newest finished one; 0: none is kept as such.
std::uint32_t BestOf(const job::Job& spec, const std::vector<RoundRow>& newest) {
  if (!spec.checkpoint.best) return 0;
  for (const RoundRow& round : newest) {
    if (round.state != RoundState::kDone) continue;
    const auto best = round.metrics.find("best_round");
    return best == round.metrics.end() ? 0 : static_cast<std::uint32_t>(best->second);
  }
  return 0;
}

// A job goes back to the model of an earlier round: `stored` and `newest` become what they were then. The objects of the rounds after it, which are to be
// removed before these are made anew.
Result<std::vector<std::string>> Rewind(const job::Job& spec, JobRow& stored, std::vector<RoundRow>& newest, RoundRow from) {
  const std::uint32_t last = stored.round;
  const std::uint32_t best = BestOf(spec, newest);
  std::vector<std::uint32_t> kept;
  for (std::uint32_t round = 1; round <= last; ++round) {
    if (round == best || KeepsModel(spec.checkpoint, round, last)) kept.push_back(round);
  }
  if (std::find(kept.begin(), kept.end(), from.round) == kept.end()) {
    std::string rounds;
    for (std::size_t i = kept.size() > kNamed ? kept.size() - kNamed : 0; i < kept.size(); ++i) rounds += fmt::format("{}{}", rounds.empty() ? "" : ", ", kept[i]);
    return MakeError(Code::kNotFound, "job {} does not keep the model of round {} any more; it has those of {}{} (checkpoint.every, checkpoint.keep and "
                     "checkpoint.best say which stay)", stored.job, from.round, kept.size() > kNamed ? "earlier rounds and of " : "", rounds);
  }
  std::vector<std::string> useless;
  for (const std::uint32_t round : kept) {
    if (round > from.round) useless.push_back(ModelObject(stored.job, round));
  }
  for (const RoundRow& round : newest) {
    // A completed job's is gone, and that of a round before its seal with the round.
    if (round.round == last && !round.broadcast_digest.empty() && stored.state != JobState::kCompleted) useless.push_back(BroadcastObject(stored.job, last));
  }
  // Trainers read the model itself: its broadcast went when the next round was sealed.
  from.broadcast_digest.clear();
  from.broadcast_error = 0;
  const auto best_then = from.metrics.find("best_round");
  if (best_then != from.metrics.end()) {
    const auto round = static_cast<std::uint32_t>(best_then->second);
    const auto loss = from.metrics.find("val_loss");
    if (std::find(kept.begin(), kept.end(), round) == kept.end() && loss != from.metrics.end()) {
      // A better one came after it and took its place: this is the best of those that are left.
      from.metrics["best_val_loss"] = loss->second;
      from.metrics["best_round"] = from.round;
    }
  }
  stored.round = from.round;
  stored.digest = from.digest;
  newest.assign(1, std::move(from));
  return useless;
}

}  // namespace

Result<wire::Resumed> Federation::Machine::Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, std::optional<RoundRow> from, Time t) {
  now = t;
  const auto known = state.jobs.find(stored.job);
  if (known == state.jobs.end()) return MakeError(Code::kNotFound, "no job {} here", stored.job);
  if (!Finished(known->second.state)) {
    return MakeError(Code::kConflict, "job {} is {}; only one that is stopped, failed or completed is resumed", stored.job, JobStateName(known->second.state));
  }
  TRIBUTARY_TRY(CheckQueue());
  TRIBUTARY_ASSIGN(job::Job spec, parser(stored.text, stored.job));
  std::optional<std::uint32_t> abandoned;
  std::vector<std::string> useless;
  if (from) {
    abandoned = from->round + 1;
    TRIBUTARY_ASSIGN(useless, Rewind(spec, stored, newest, *std::move(from)));
  }
  const bool sealed = !newest.empty() && (newest.front().state == RoundState::kDone || newest.front().state == RoundState::kValidate);
  const bool done = sealed && newest.front().state == RoundState::kDone;
  if (done && newest.front().round >= spec.rounds) {
    return MakeError(Code::kAlreadyExists, "job {} has made all its {} rounds; it goes on to more with --set rounds=N", stored.job, spec.rounds);
  }
  if (!newest.empty() && newest.front().round > spec.rounds) {
    return MakeError(Code::kAlreadyExists, "job {} was in round {}; it cannot end after {}", stored.job, newest.front().round, spec.rounds);
  }
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
  PlanRemovals(job, state.jobs.at(job).round, std::move(useless), kFirstAtRewind);
  std::reverse(newest.begin(), newest.end());
  for (RoundRow& round : newest) Record(std::move(round));
  // Of a round whose validation was cut short: its metrics are made of them.
  for (TaskRow& update : updates) Record(std::move(update));
  Advance();
  const JobRow& now_is = state.jobs.at(job);
  return wire::Resumed{job, JobStateName(now_is.state), now_is.round, now_is.rounds};
}

}  // namespace tributary::federation
