// What each transition does: the rows of a round, from the first model to the end of the job.
#include <algorithm>
#include <cmath>

#include "machine.h"

namespace tributary::federation {
namespace {

constexpr std::uint32_t kRemovalOfABest = 1u << 20;  // its number among a round's removals, after all others

constexpr std::size_t kObjectsPerRemoval = 64;
// What the list of inputs of one aggregation may take of a control frame; the rest is for the other fields.
constexpr std::size_t kMaxInputBytes = wire::kMaxControlFrame - 2048;
// The numbers of removals that a job's end plans begin here, beside those of its last seal.
constexpr std::uint32_t kFirstAtEnd = 1u << 16;
constexpr std::size_t kInputOverhead = 49;  // weight, digest, lengths and a later attempt's suffix of one input

double BroadcastError(const std::vector<const TaskRow*>& rows) {
  double lost = 0, norm = 0;
  for (const TaskRow* row : rows) {
    const auto add = [&](const char* name, double& sum) {
      if (const auto it = row->metrics.find(name); it != row->metrics.end()) sum += it->second;
    };
    add("broadcast_lost", lost);
    add("broadcast_norm", norm);
  }
  return lost > 0 && norm > 0 ? std::sqrt(lost / norm) : 0;
}

double Seconds(std::int64_t from_ms, std::int64_t to_ms) {
  // The wall clock may have been set back meanwhile.
  return static_cast<double>(std::max<std::int64_t>(to_ms - from_ms, 0)) / 1000;
}

}  // namespace

void Federation::Machine::EnterRound(RoundRow row, RoundState next) {
  row.metrics[fmt::format("seconds_{}", RoundStateName(row.state))] += Seconds(row.phase_ms, now.wall_ms);
  row.state = next;
  row.phase_ms = now.wall_ms;
  Say(Note::Level::kInfo, row.job, fmt::format("job {} round {}: {}", row.job, row.round, RoundStateName(next)));
  Record(std::move(row));
}

void Federation::Machine::BeginInit(const std::string& job) {
  RoundRow round;
  round.job = job;
  round.state = RoundState::kInit;
  round.generation = FirstAttempt(job) + 1;
  round.started_ms = round.phase_ms = now.wall_ms;
  Record(round);
  TaskRow task;
  task.job = job;
  task.kind = wire::TaskKind::kInit;
  task.attempt = FirstAttempt(job);
  task.objects = {ModelObject(job, 0)};
  Record(task);
  Say(Note::Level::kInfo, job, fmt::format("job {}: the first model is made", job));
}

void Federation::Machine::FinishInit(const std::string& id) {
  const TaskRow task = *Find(id, 0, wire::TaskKind::kInit, 0);
  RoundRow round = *Current(id);
  round.digest = task.digest;
  round.slots = task.end_slot;
  round.broadcast_digest = task.broadcast_digest;
  round.broadcast_error = BroadcastError({&task});
  round.seconds = Seconds(round.started_ms, now.wall_ms);
  JobRow job = state.jobs.at(id);
  job.digest = task.digest;
  EnterRound(std::move(round), RoundState::kDone);
  Record(CloseRound{task.job, 0});
  Record(std::move(job));
}

void Federation::Machine::BeginRound(const std::string& job) {
  const job::Job& spec = *Spec(job);
  const RoundRow& base = *Current(job);
  RoundRow round;
  round.job = job;
  round.round = base.round + 1;
  round.state = RoundState::kTrain;
  round.generation = FirstAttempt(job);
  round.slots = base.slots;
  round.started_ms = round.phase_ms = now.wall_ms;

  std::vector<TaskRow> tasks;
  std::size_t input_bytes = 0;
  for (const std::uint32_t ordinal : SelectSeats(spec.participants, spec.data.count, round.round, TakenSeats(job))) {
    const SeatRow& seat = state.seats.at({job, ordinal});
    TaskRow task;
    task.job = job;
    task.round = round.round;
    task.kind = wire::TaskKind::kTrain;
    task.index = ordinal;
    task.attempt = FirstAttempt(job);
    task.holder = HolderOf(seat);
    task.objects = {UpdateObject(job, round.round, seat.site, ordinal, task.attempt)};
    // What the names have in common is told once.
    input_bytes += SeatName(job, ordinal).size() + kInputOverhead;
    tasks.push_back(std::move(task));
  }
  if (input_bytes > kMaxInputBytes) {
    EndJob(job, JobState::kFailed,
           fmt::format("the names of the {} updates of a round do not fit one control frame; lower "
                       "participants.fraction, or use shorter names of job and sites ({} of {} bytes)",
                       tasks.size(), input_bytes, kMaxInputBytes));
    return;
  }
  Say(Note::Level::kInfo, job,
      fmt::format("job {} round {} of {}: train, {} seats", job, round.round, spec.rounds, tasks.size()));
  Record(std::move(round));
  for (TaskRow& task : tasks) {
    Record(task);
    ProgressOf(task).renewed = now.steady;
  }
}

std::vector<std::string> Federation::Machine::Averaged(const RoundRow& round) const {
  std::vector<std::string> seats;
  for (const TaskRow* row : Tasks(round.job, round.round, wire::TaskKind::kTrain)) {
    if (Averaged(*row)) seats.push_back(SeatOfRow(*row));
  }
  return seats;
}

void Federation::Machine::BeginAggregate(RoundRow round) {
  const job::Job& spec = *Spec(round.job);
  const auto trained = Tasks(round.job, round.round, wire::TaskKind::kTrain);
  round.participants = Averaged(round);
  const std::size_t done = round.participants.size();
  const std::size_t quorum = std::max<std::size_t>(spec.participants.quorum, 1);
  if (done < quorum) {
    std::string who;
    std::size_t named = 0;
    for (const TaskRow* row : trained) {
      if (row->state != RowState::kDropped) continue;
      if (++named > 3) {
        who += "; ...";
        break;
      }
      who += fmt::format("{}seat {}: {}", who.empty() ? "" : "; ", SeatOfRow(*row), row->message);
    }
    EndJob(round.job, JobState::kFailed,
           fmt::format("round {} has {} of the {} updates that participants.quorum asks for; {}. Mend what is told "
                       "of these trainers, or lower participants.quorum; for slow ones raise participants.round_deadline",
                       round.round, done, quorum, who));
    return;
  }
  ++round.generation;
  const auto ranges = SplitSlots(round.slots, LiveAggregators().size());
  // Parts of an older generation, if any, are all replaced: their number is kept, so that none is left over.
  const auto old = Tasks(round.job, round.round, wire::TaskKind::kAggregate);
  const auto parts = old.empty() ? ranges : SplitSlots(round.slots, old.size());
  std::vector<TaskRow> tasks;
  for (std::uint32_t i = 0; i < parts.size(); ++i) {
    TaskRow task;
    task.attempt = FirstAttempt(round.job);
    if (i < old.size()) {
      task = *old[i];
      ++task.attempt;
      task.state = RowState::kPending;
      task.holder.clear();
      task.failures = 0;
    }
    task.job = round.job;
    task.round = round.round;
    task.kind = wire::TaskKind::kAggregate;
    task.index = i;
    task.first_slot = parts[i].begin;
    task.end_slot = parts[i].end;
    tasks.push_back(std::move(task));
  }
  EnterRound(std::move(round), RoundState::kAggregate);
  for (TaskRow& task : tasks) {
    progress.erase(KeyOf(task));
    Record(std::move(task));
  }
}

void Federation::Machine::WaitForUpdates(const std::string& job) {
  const RoundRow round = *Current(job);
  std::vector<TaskRow> parts;
  for (const TaskRow* row : Tasks(round.job, round.round, wire::TaskKind::kAggregate)) parts.push_back(*row);
  EnterRound(round, RoundState::kTrain);
  for (TaskRow& part : parts) {
    // The next generation takes them up again, under new names.
    part.state = RowState::kDropped;
    part.holder.clear();
    progress.erase(KeyOf(part));
    Record(std::move(part));
  }
}

void Federation::Machine::BeginSeal(const std::string& job) {
  const RoundRow round = *Current(job);
  TaskRow task;
  task.attempt = FirstAttempt(round.job);
  if (const TaskRow* old = Find(round.job, round.round, wire::TaskKind::kSeal, 0)) {
    // An earlier one found an update that cannot be used: its reports must not count for this one.
    task.attempt = old->attempt + 1;
    progress.erase(KeyOf(*old));
  }
  task.job = round.job;
  task.round = round.round;
  task.kind = wire::TaskKind::kSeal;
  task.objects = {ModelObject(round.job, round.round)};
  EnterRound(round, RoundState::kSeal);
  Record(std::move(task));
}

std::uint32_t Federation::Machine::BestRound(const std::string& job, std::uint32_t last) const {
  const auto round = state.rounds.find({job, last});
  if (round == state.rounds.end()) return 0;
  const auto best = round->second.metrics.find("best_round");
  return best == round->second.metrics.end() ? 0 : static_cast<std::uint32_t>(best->second);
}

void Federation::Machine::FinishSeal(const std::string& id) {
  const job::Job& spec = *Spec(id);
  RoundRow round = *Current(id);
  const TaskRow seal = *Find(id, round.round, wire::TaskKind::kSeal, 0);
  round.digest = seal.digest;
  round.broadcast_digest = seal.broadcast_digest;
  round.broadcast_error = BroadcastError(Tasks(id, round.round, wire::TaskKind::kAggregate));

  std::vector<std::string> useless;
  round.participants.clear();
  for (const TaskRow* row : Tasks(id, round.round, wire::TaskKind::kTrain)) {
    (row->state == RowState::kDone ? round.participants : round.dropped).push_back(SeatOfRow(*row));
    useless.insert(useless.end(), row->objects.begin(), row->objects.end());
  }
  // Nobody trains from it any more, whether the model is kept or not.
  if (!state.rounds.at({id, round.round - 1}).broadcast_digest.empty()) useless.push_back(BroadcastObject(id, round.round - 1));
  const std::uint32_t best = spec.checkpoint.best ? BestRound(id, round.round - 1) : 0;
  for (std::uint32_t model = 0; model < round.round; ++model) {
    if (model != 0 && model == best) continue;  // until a better one is validated
    if (KeepsModel(spec.checkpoint, model, round.round - 1) && !KeepsModel(spec.checkpoint, model, round.round)) {
      useless.push_back(ModelObject(id, model));
    }
  }
  JobRow job = state.jobs.at(id);
  job.round = round.round;
  job.digest = round.digest;
  Record(std::move(job));
  PlanRemovals(id, round.round, std::move(useless), 0);
  Say(Note::Level::kInfo, id, fmt::format("job {} round {}: the model is sealed, {} updates", id, round.round,
                                      round.participants.size()));

  std::vector<TaskRow> validations;
  if (spec.validate) {
    for (const auto& [worker, seat] : seat_of) {
      if (seat.first != id || !Alive(worker, limits.seat_timeout)) continue;
      TaskRow task;
      task.job = id;
      task.round = round.round;
      task.kind = wire::TaskKind::kValidate;
      task.attempt = FirstAttempt(id);
      task.index = seat.second;
      task.holder = worker;
      validations.push_back(std::move(task));
    }
  }
  EnterRound(std::move(round), RoundState::kValidate);
  for (TaskRow& task : validations) {
    Record(task);
    ProgressOf(task).renewed = now.steady;
  }
}

// Of the first seat that failed; else all had nothing to validate on.
std::string Federation::Machine::WhyNotValidated(const RoundRow& round) const {
  for (const TaskRow* row : Tasks(round.job, round.round, wire::TaskKind::kValidate)) {
    if (row->state == RowState::kDropped) return fmt::format("seat {}: {}", SeatOfRow(*row), row->message);
  }
  return "nothing is held out of any seat's data; raise data.validation_fraction, lower partition.count or give more data";
}

void Federation::Machine::FinishRound(const std::string& job) {
  RoundRow round = *Current(job);
  round.metrics = RoundMetrics(round);
  if (Spec(job)->checkpoint.best) RememberBest(round);
  if (const auto validated = round.metrics.find("val_seats"); validated != round.metrics.end() && validated->second == 0) {
    Say(Note::Level::kWarning, job, fmt::format("job {} round {}: no seat could validate the model: {}", job, round.round, WhyNotValidated(round)));
  }
  for (const auto kind : {wire::TaskKind::kTrain, wire::TaskKind::kValidate}) {
    for (const TaskRow* row : Tasks(job, round.round, kind)) {
      round.bytes_up += row->bytes_up;
      round.bytes_down += row->bytes_down;
    }
  }
  for (const auto kind : {wire::TaskKind::kAggregate, wire::TaskKind::kSeal}) {
    for (const TaskRow* row : Tasks(job, round.round, kind)) {
      round.metrics["aggregator_bytes_up"] += static_cast<double>(row->bytes_up);
      round.metrics["aggregator_bytes_down"] += static_cast<double>(row->bytes_down);
    }
  }
  round.seconds = Seconds(round.started_ms, now.wall_ms);
  const std::uint32_t number = round.round;
  EnterRound(std::move(round), RoundState::kDone);
  Record(CloseRound{job, number});
}

// The best so far is carried from round to round in their metrics: rows of earlier rounds are closed. The one that it displaces is removed.
void Federation::Machine::RememberBest(RoundRow& round) {
  const std::uint32_t before = BestRound(round.job, round.round - 1);
  const auto loss = round.metrics.find("val_loss");
  const RoundRow* const last = before == 0 ? nullptr : &state.rounds.at({round.job, round.round - 1});
  const bool better = loss != round.metrics.end() && (last == nullptr || loss->second < last->metrics.at("best_val_loss"));
  if (better) {
    round.metrics["best_val_loss"] = loss->second;
    round.metrics["best_round"] = round.round;
    if (before != 0 && !KeepsModel(Spec(round.job)->checkpoint, before, round.round)) {
      PlanRemovals(round.job, round.round, {ModelObject(round.job, before)}, kRemovalOfABest);
    }
  } else if (last != nullptr) {
    round.metrics["best_val_loss"] = last->metrics.at("best_val_loss");
    round.metrics["best_round"] = before;
  }
}

void Federation::Machine::PlanRemovals(const std::string& job, std::uint32_t round, std::vector<std::string> objects, std::uint32_t first) {
  for (std::size_t i = 0; i < objects.size(); i += kObjectsPerRemoval) {
    TaskRow task;
    task.job = job;
    task.round = round;
    task.kind = wire::TaskKind::kRemove;
    task.attempt = FirstAttempt(job);
    task.index = first + static_cast<std::uint32_t>(i / kObjectsPerRemoval);
    task.objects.assign(objects.begin() + static_cast<std::ptrdiff_t>(i),
                        objects.begin() + static_cast<std::ptrdiff_t>(std::min(i + kObjectsPerRemoval, objects.size())));
    Record(std::move(task));
  }
}

// The newest sealed model stays, and what trainers download of it unless the job is completed: it may be resumed.
void Federation::Machine::EndJob(const std::string& id, JobState end, const std::string& message) {
  JobRow job = state.jobs.at(id);
  const RoundRow* round = Current(job.job);
  if (round != nullptr && round->state != RoundState::kDone && round->state != RoundState::kValidate) {
    std::vector<std::string> useless;
    for (const TaskRow* row : Tasks(job.job, round->round, wire::TaskKind::kTrain)) {
      useless.insert(useless.end(), row->objects.begin(), row->objects.end());
    }
    useless.push_back(ModelObject(job.job, round->round));
    if (const job::Job* spec = Spec(job.job); spec != nullptr && spec->transfer.broadcast != tensor::Encoding::kNative) {
      useless.push_back(BroadcastObject(job.job, round->round));
    }
    PlanRemovals(job.job, round->round, std::move(useless), 0);
  } else if (end == JobState::kCompleted && round != nullptr && !round->broadcast_digest.empty()) {
    PlanRemovals(job.job, round->round, {BroadcastObject(job.job, round->round)}, kFirstAtEnd);
  }
  job.state = end;
  job.message = message;
  job.ended_ms = now.wall_ms;
  specs.erase(job.job);
  waits.erase(job.job);
  std::erase_if(seat_of, [&](const auto& entry) { return entry.second.first == job.job; });
  std::erase_if(progress, [&](const auto& entry) {
    return std::get<0>(entry.first) == job.job && std::get<2>(entry.first) != wire::TaskKind::kRemove;
  });
  Say(end == JobState::kFailed ? Note::Level::kWarning : Note::Level::kInfo, job.job,
      fmt::format("job {} is {}{}{}", job.job, JobStateName(end), message.empty() ? "" : ": ", message));
  Record(std::move(job));
}

}  // namespace tributary::federation
