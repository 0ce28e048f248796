// Leases: which worker runs init, aggregation parts, seals and removals; and what happens when nobody makes progress.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {

std::vector<const Worker*> Federation::Machine::LiveAggregators() const {
  std::vector<const Worker*> live;
  for (const auto& [key, worker] : workers) {
    if (worker.role == wire::Role::kAggregator && now.steady - worker.heard < limits.lease_timeout) {
      live.push_back(&worker);
    }
  }
  std::sort(live.begin(), live.end(), [](const auto* a, const auto* b) { return a->arrival < b->arrival; });
  return live;
}

bool Federation::Machine::HeldByTrainer(const TaskRow& row) {
  if (row.kind == wire::TaskKind::kTrain || row.kind == wire::TaskKind::kValidate) return true;
  if (row.kind != wire::TaskKind::kInit) return false;
  const job::Job* spec = Spec(row.job);
  return spec != nullptr && !spec->synthetic();
}

Progress& Federation::Machine::ProgressOf(const TaskRow& row) {
  const auto [it, fresh] = progress.try_emplace(KeyOf(row));
  if (fresh) it->second.renewed = now.steady;
  return it->second;
}

void Federation::Machine::AssignLeases() {
  std::vector<TaskRow> wanted;  // copies: Record changes the map
  std::set<std::string> busy;
  std::set<std::string> removing;
  for (const auto& [key, row] : state.tasks) {
    if (row.state != RowState::kPending || row.kind == wire::TaskKind::kTrain ||
        row.kind == wire::TaskKind::kValidate) {
      continue;
    }
    const bool by_trainer = HeldByTrainer(row);
    const auto seat = by_trainer ? seat_of.find(row.holder) : seat_of.end();
    // Whoever has a seat of another job by now is not told of it any more.
    const bool told = !by_trainer || (seat != seat_of.end() && seat->second.first == row.job);
    if (!row.holder.empty() && told && Alive(row.holder, by_trainer ? limits.seat_timeout : limits.lease_timeout)) {
      (row.kind == wire::TaskKind::kRemove ? removing : busy).insert(row.holder);
    } else if (not_before.count(key) == 0) {  // what waits for its retry keeps nobody from other work
      wanted.push_back(row);
    }
  }
  if (wanted.empty()) return;

  std::vector<std::string> aggregators;
  for (const Worker* worker : LiveAggregators()) aggregators.push_back(worker->key);
  std::map<std::string, std::vector<std::string>> trainers;  // of each job, in order of seat
  for (const auto& [seat, row] : state.seats) {
    const std::string key = HolderOf(row);
    if (workers.count(key) != 0 && Alive(key, limits.seat_timeout)) trainers[seat.first].push_back(key);
  }
  // Whose phase began first goes first: no job's rounds keep another waiting for ever.
  std::ranges::stable_sort(wanted, {}, [&](const TaskRow& row) {
    const auto round = state.rounds.find({row.job, row.round});
    return std::pair(round == state.rounds.end() ? 0 : round->second.phase_ms, state.jobs.at(row.job).order);
  });

  for (TaskRow& row : wanted) {
    // One task of weight at a time per worker: a lease that nobody works on helps nobody, and two lists of a thousand
    // inputs do not fit one frame.
    std::set<std::string>& taken = row.kind == wire::TaskKind::kRemove ? removing : busy;
    const auto& candidates = HeldByTrainer(row) ? trainers[row.job] : aggregators;
    const auto next = std::find_if(candidates.begin(), candidates.end(),
                                   [&](const std::string& key) { return taken.count(key) == 0; });
    if (next == candidates.end()) continue;
    if (!row.holder.empty()) {
      ++row.attempt;
      Say(Note::Level::kWarning, row.job, fmt::format("task {} moves from {}, which is silent, to {}", TaskNameOf(row),
                                             row.holder, *next));
    }
    row.holder = *next;
    taken.insert(*next);
    Record(row);
    ProgressOf(row).renewed = now.steady;
  }
}

void Federation::Machine::ReleaseLeases(const std::string& worker) {
  std::vector<TaskRow> held;
  for (const auto& [key, row] : state.tasks) {
    if (row.state == RowState::kPending && row.holder == worker && row.kind != wire::TaskKind::kTrain &&
        row.kind != wire::TaskKind::kValidate) {
      held.push_back(row);
    }
  }
  for (TaskRow& row : held) {
    row.holder.clear();
    ++row.attempt;
    Record(row);
  }
}

bool Federation::Machine::StopAtStalledFetch(const std::string& job) {
  const job::Job* spec = Spec(job);
  const RoundRow* round = Current(job);
  if (spec == nullptr || round == nullptr || round->state != RoundState::kTrain) return false;
  const Duration limit = spec->transfer.wait_send_task_data_all_clients_timeout;
  if (limit.count() == 0) return false;
  std::string who;
  for (const TaskRow* row : Tasks(job, round->round, wire::TaskKind::kTrain)) {
    if (row->state != RowState::kPending) continue;
    const Progress& known = ProgressOf(*row);
    const std::string& phase = known.last.phase;
    const bool fetches = phase.empty() || phase == "queued" || phase == "run" || phase == "download";
    if (!fetches || now.steady - known.renewed < limit) continue;
    who += fmt::format("{}seat {} has {} of {} bytes", who.empty() ? "" : "; ", SeatOfRow(*row),
                       phase == "download" ? known.last.done : 0, phase == "download" ? known.last.total : 0);
  }
  if (who.empty()) return false;
  EndJob(job, JobState::kFailed,
         fmt::format("round {}: the model does not reach every seat: {}, and nothing came for {} "
                     "(transfer.wait_send_task_data_all_clients_timeout). Look at these trainers and their line, or set it to 0 to go on without them",
                     round->round, who, FormatDuration(limit)));
  return true;
}

void Federation::Machine::ExpireRetries() {
  for (auto it = not_before.begin(); it != not_before.end();) {
    if (now.steady < it->second) {
      ++it;
      continue;
    }
    if (const auto row = state.tasks.find(it->first); row != state.tasks.end()) Touch(row->second.holder);
    it = not_before.erase(it);
  }
}

void Federation::Machine::ExpireTasks(const std::string& job) {
  const job::Job* spec = Spec(job);
  const RoundRow* round = Current(job);
  if (spec == nullptr || round == nullptr || spec->participants.round_deadline.count() == 0) return;
  const Duration limit = spec->participants.round_deadline;

  // While updates come in, an aggregator waits for their trainers, who are looked at themselves.
  const auto trained = Tasks(job, round->round, wire::TaskKind::kTrain);
  const bool coming = std::any_of(trained.begin(), trained.end(), [](const TaskRow* row) { return Unfinished(row->state); });
  std::vector<TaskRow> late;
  for (const auto& [key, row] : state.tasks) {
    if (row.job != job || row.round != round->round || !Unfinished(row.state)) continue;
    const bool seat_task = row.kind == wire::TaskKind::kTrain || row.kind == wire::TaskKind::kValidate;
    // An unleased part waits for an aggregator, which nobody can be blamed for.
    if (row.kind == wire::TaskKind::kRemove || (!seat_task && row.holder.empty())) continue;
    if (row.kind == wire::TaskKind::kAggregate && coming) continue;
    if (now.steady - ProgressOf(row).renewed >= limit) late.push_back(row);
  }
  for (TaskRow& row : late) {
    const wire::TaskReport& last = progress[KeyOf(row)].last;
    const std::string why =
        fmt::format("no progress for {} (participants.round_deadline); last: {} {} of {} {}", FormatDuration(limit),
                    last.phase.empty() ? "not started" : last.phase, last.done, last.total, last.unit);
    if (row.kind != wire::TaskKind::kTrain && row.kind != wire::TaskKind::kValidate) {
      TaskFailed(row, Code::kDeadline, why);
      if (!Runs(job)) return;
      continue;
    }
    row.state = RowState::kDropped;
    row.message = why;
    if (row.kind == wire::TaskKind::kTrain) ++refused[Refusal::kLate];
    Say(Note::Level::kWarning, row.job, fmt::format("job {} round {}: seat {} is left out of {}: {}", job, row.round,
                                           SeatOfRow(row), KindName(row.kind), why));
    Record(row);
    // Nobody sits there: the next round must not wait for this seat again.
    const auto seat = state.seats.find({job, row.index});
    if (seat != state.seats.end() && !Alive(HolderOf(seat->second), limits.seat_timeout)) {
      SetSeat(job, row.index, nullptr, "it is silent and the deadline has passed");
    }
  }
}

}  // namespace tributary::federation
