#include "tributary/federation/decisions.h"

namespace tributary::federation {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

void EraseTasks(State& state, const std::string& job, bool all_rounds, std::uint32_t round) {
  std::erase_if(state.tasks, [&](const auto& entry) {
    const TaskRow& row = entry.second;
    return row.job == job && row.kind != wire::TaskKind::kRemove && (all_rounds || row.round == round);
  });
}

void ApplyJob(State& state, const JobRow& row) {
  JobRow& kept = state.jobs[row.job];
  kept = row;
  if (!Finished(row.state)) return;
  kept.text.clear();
  std::erase_if(state.rounds, [&](const auto& entry) { return entry.first.first == row.job; });
  std::erase_if(state.seats, [&](const auto& entry) { return entry.first.first == row.job; });
  EraseTasks(state, row.job, true, 0);
}

void ApplyRound(State& state, const RoundRow& row) {
  state.rounds[{row.job, row.round}] = row;
  if (row.state != RoundState::kDone) return;
  // The done round is the base of the next; older ones are only history.
  std::erase_if(state.rounds, [&](const auto& entry) {
    return entry.first.first == row.job && entry.first.second < row.round;
  });
}

}  // namespace

const char* JobStateName(JobState state) {
  switch (state) {
    case JobState::kQueued: return "queued";
    case JobState::kRunning: return "running";
    case JobState::kCompleted: return "completed";
    case JobState::kFailed: return "failed";
    case JobState::kStopped: return "stopped";
  }
  return "unknown";
}

const char* RoundStateName(RoundState state) {
  switch (state) {
    case RoundState::kInit: return "init";
    case RoundState::kTrain: return "train";
    case RoundState::kAggregate: return "aggregate";
    case RoundState::kSeal: return "seal";
    case RoundState::kValidate: return "validate";
    case RoundState::kDone: return "done";
  }
  return "unknown";
}

void State::Apply(const Decision& decision) {
  std::visit(Overloaded{
                 [this](const JobRow& row) { ApplyJob(*this, row); },
                 [this](const RoundRow& row) { ApplyRound(*this, row); },
                 [this](const SeatRow& row) {
                   if (row.instance.empty()) {
                     seats.erase({row.job, row.ordinal});
                   } else {
                     seats[{row.job, row.ordinal}] = row;
                   }
                 },
                 [this](const TaskRow& row) {
                   if (row.kind == wire::TaskKind::kRemove && row.state != RowState::kPending) {
                     tasks.erase(KeyOf(row));
                   } else {
                     tasks[KeyOf(row)] = row;
                   }
                 },
                 [this](const CloseRound& close) { EraseTasks(*this, close.job, false, close.round); },
                 [this](const AbandonRound& round) {
                   std::erase_if(rounds, [&](const auto& entry) { return entry.first.first == round.job && entry.first.second >= round.round; });
                   std::erase_if(tasks, [&](const auto& entry) {
                     const TaskRow& row = entry.second;
                     return row.job == round.job && row.kind != wire::TaskKind::kRemove && row.round >= round.round;
                   });
                 },
             },
             decision);
}

}  // namespace tributary::federation
