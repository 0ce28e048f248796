// What each worker should do: a function of the rows.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

constexpr std::size_t kInputsBesideRemovals = 64;

}  // namespace

std::vector<const TaskRow*> Federation::Machine::WantedOf(const std::string& worker) const {
  std::vector<const TaskRow*> rows;
  const auto add = [&](const TaskRow* row) {
    if (row != nullptr && Unfinished(row->state) && row->holder == worker &&
        not_before.count(KeyOf(*row)) == 0) {
      rows.push_back(row);
    }
  };
  const auto known = workers.find(worker);
  if (known == workers.end()) return rows;
  if (known->second.role == wire::Role::kAggregator) {
    for (const std::string& job : Running()) {
      const RoundRow* round = Current(job);
      if (round == nullptr) continue;
      for (const auto kind : {wire::TaskKind::kInit, wire::TaskKind::kAggregate, wire::TaskKind::kSeal}) {
        // The seal of an earlier generation is no longer meant.
        if (kind == wire::TaskKind::kSeal && round->state != RoundState::kSeal) continue;
        for (const TaskRow* row : Tasks(job, round->round, kind)) add(row);
      }
    }
  } else if (const auto seat = seat_of.find(worker); seat != seat_of.end()) {
    // A former holder that comes back has the row's name no longer once its seat went to another.
    const auto& [job, ordinal] = seat->second;
    if (const RoundRow* round = Current(job)) {
      add(Find(job, round->round, wire::TaskKind::kInit, 0));
      add(Find(job, round->round, wire::TaskKind::kTrain, ordinal));
      add(Find(job, round->round, wire::TaskKind::kValidate, ordinal));
    }
  }
  // Beside a thousand inputs nothing else fits the frame. Where there is room a removal is finished before the next aggregation, which now
  // lasts as long as the round: else every round would leave its updates on the disk.
  const auto many_inputs = [&](const TaskRow* row) {
    return (row->kind == wire::TaskKind::kAggregate || row->kind == wire::TaskKind::kSeal) &&
           Tasks(row->job, row->round, wire::TaskKind::kTrain).size() > kInputsBesideRemovals;
  };
  if (known->second.role == wire::Role::kAggregator && std::none_of(rows.begin(), rows.end(), many_inputs)) {
    for (const auto& [key, row] : state.tasks) {
      if (row.kind == wire::TaskKind::kRemove) add(&row);
    }
  }
  return rows;
}

std::string Federation::Machine::Fingerprint(const std::string& worker) const {
  std::string text;
  if (const SeatRow* seat = SeatOf(worker)) text = seat->job + ":" + SeatName(seat->job, seat->ordinal);
  for (const TaskRow* row : WantedOf(worker)) text += "\n" + TaskNameOf(*row);
  return text;
}

wire::TaskSpec Federation::Machine::SpecOf(const TaskRow& row) {
  wire::TaskSpec task;
  task.task = TaskNameOf(row);
  task.kind = static_cast<std::uint32_t>(row.kind);
  task.job = row.job;
  task.round = row.round;
  if (row.kind == wire::TaskKind::kRemove) {
    task.objects = row.objects;
    return task;
  }
  const job::Job& spec = *Spec(row.job);
  const RoundRow& round = state.rounds.at({row.job, row.round});
  task.generation = std::max<std::uint64_t>(round.generation, 1);
  task.encoding = static_cast<std::uint32_t>(spec.transfer.encoding);
  if (HeldByTrainer(row)) {
    const auto seat = seat_of.find(row.holder);
    task.ordinal = seat != seat_of.end() && seat->second.first == row.job ? seat->second.second : row.index;
    task.seat = SeatName(row.job, task.ordinal);
  }
  // What a trainer reads of a round's model.
  const auto give = [&](const RoundRow& of) {
    const bool encoded = !of.broadcast_digest.empty();
    task.base = encoded ? BroadcastObject(row.job, of.round) : ModelObject(row.job, of.round);
    task.base_digest = encoded ? of.broadcast_digest : of.digest;
  };
  if (row.kind == wire::TaskKind::kValidate) {
    give(round);
    return task;
  }
  if (row.kind != wire::TaskKind::kTrain && HasBroadcast(spec, row.round)) task.broadcast = BroadcastObject(row.job, row.round);
  if (row.kind == wire::TaskKind::kInit) {
    task.output = ModelObject(row.job, 0);
    return task;
  }
  const RoundRow& before = state.rounds.at({row.job, row.round - 1});
  if (row.kind == wire::TaskKind::kTrain) {
    give(before);
  } else {
    task.base = ModelObject(row.job, row.round - 1);
    task.base_digest = before.digest;
    task.trained_from = before.broadcast_digest;
  }
  task.output = row.kind == wire::TaskKind::kTrain ? row.objects.front() : ModelObject(row.job, row.round);
  if (row.kind == wire::TaskKind::kTrain) return task;
  task.first_slot = row.first_slot;
  task.end_slot = row.kind == wire::TaskKind::kSeal ? round.slots : row.end_slot;

  std::vector<const TaskRow*> updates;
  for (const TaskRow* train : Tasks(row.job, row.round, wire::TaskKind::kTrain)) {
    if (Averaged(*train)) updates.push_back(train);
  }
  // The order of names is the order of the sum: the same whoever finished first.
  std::sort(updates.begin(), updates.end(),
            [](const auto* a, const auto* b) { return a->objects.front() < b->objects.front(); });
  std::vector<double> samples;
  for (const TaskRow* update : updates) samples.push_back(update->metrics.at("samples"));
  const auto weights = Weights(samples, spec.strategy.weights_by_samples);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    task.inputs.push_back({updates[i]->objects.front(), weights[i], updates[i]->digest});
  }
  return task;
}

wire::Assignment Federation::Machine::AssignmentOf(const std::string& worker) {
  wire::Assignment assignment;
  const auto known = workers.find(worker);
  if (known == workers.end()) return assignment;
  if (const SeatRow* seat = SeatOf(worker)) assignment.seat = SeatName(seat->job, seat->ordinal);
  for (const TaskRow* row : WantedOf(worker)) assignment.tasks.push_back(SpecOf(*row));
  known->second.told = Fingerprint(worker);
  return assignment;
}

}  // namespace tributary::federation
