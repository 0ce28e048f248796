// What is told to metrics.
#include "tributary/federation/vitals.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "machine.h"

namespace tributary::federation {
namespace {

// A trainer's word becomes a label's value: only these do.
std::string KnownPhase(const std::string& told) {
  constexpr std::array<std::string_view, 10> kKnown = {"queued", "run",    "init", "base",     "download",
                                                       "train",  "upload", "seal", "validate", "tokenize"};
  if (told.empty()) return "run";
  return std::find(kKnown.begin(), kKnown.end(), told) == kKnown.end() ? "other" : told;
}

}  // namespace

const char* RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kFailed: return "failed";
    case Refusal::kInvalid: return "invalid";
    case Refusal::kLate: return "late";
    case Refusal::kMissing: return "missing";
    case Refusal::kDamaged: return "damaged";
  }
  return "unknown";
}

Refusal RefusalOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kProtocol: return Refusal::kInvalid;
    case Code::kNotFound: return Refusal::kMissing;
    case Code::kDataLoss: return Refusal::kDamaged;
    default: return Refusal::kFailed;
  }
}

Vitals Federation::Machine::Watch(Time t) {
  now = t;
  Vitals vitals;
  for (const auto& [id, row] : state.jobs) ++vitals.jobs[row.state];
  vitals.refused = refused;
  for (const std::string& job : Running()) {
    if (const job::Job* spec = Spec(job)) vitals.running.push_back(WatchJob(state.jobs.at(job), *spec));
  }
  return vitals;
}

JobVitals Federation::Machine::WatchJob(const JobRow& job, const job::Job& spec) {
  JobVitals vitals;
  vitals.job = job.job;
  vitals.rounds = job.rounds;
  vitals.round_deadline = spec.participants.round_deadline;
  vitals.round_size = RoundSize(spec.participants, spec.data.count);
  vitals.seats_taken = TakenSeats(job.job).size();
  vitals.seats_free = spec.data.count - std::min<std::uint64_t>(vitals.seats_taken, spec.data.count);

  const RoundRow* const round = Current(job.job);
  const bool between = round == nullptr || round->state == RoundState::kDone;
  vitals.phase = between ? "wait" : RoundStateName(round->state);
  if (round == nullptr) return vitals;
  vitals.round = round->round;
  vitals.model_bytes = round->slots * spec.transfer.chunk_bytes;
  if (between) return vitals;
  vitals.round_started_ms = round->started_ms;
  for (const TaskRow* row : Tasks(job.job, round->round, wire::TaskKind::kTrain)) {
    switch (row->state) {
      case RowState::kPending: ++vitals.training; break;
      case RowState::kOpen: ++vitals.sending; break;
      case RowState::kDone: ++vitals.done; break;
      case RowState::kDropped: ++vitals.left_out; break;
    }
  }
  for (const TaskRow* part : Tasks(job.job, round->round, wire::TaskKind::kAggregate)) {
    const std::uint64_t size = part->end_slot - part->first_slot;
    std::uint64_t made = part->state == RowState::kDone ? size : 0;
    if (part->state == RowState::kDone) {
      ++vitals.parts_done;
    } else if (part->state == RowState::kPending) {
      ++(part->holder.empty() ? vitals.parts_waiting : vitals.parts_leased);
      if (const auto p = progress.find(KeyOf(*part)); p != progress.end() && p->second.last.unit == "slots") {
        made = std::min(size, p->second.last.done);
      }
    }
    vitals.slots_done += made;
    vitals.slots_left += size - made;
  }
  for (const auto kind : {wire::TaskKind::kTrain, wire::TaskKind::kValidate}) {
    for (const TaskRow* row : Tasks(job.job, round->round, kind)) {
      if (!Unfinished(row->state)) continue;
      SeatAge seat{SeatName(job.job, row->index), "run", Duration(0)};
      if (const auto p = progress.find(KeyOf(*row)); p != progress.end()) {
        seat.phase = KnownPhase(p->second.last.phase);
        seat.unchanged = std::max(now.steady - p->second.renewed, Duration(0));
      }
      vitals.seats.push_back(std::move(seat));
    }
  }
  return vitals;
}

}  // namespace tributary::federation
