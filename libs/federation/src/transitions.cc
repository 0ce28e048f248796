// The table of transitions: from which phase, under which guard, to what.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

constexpr std::size_t kObjectsPerRemoval = 64;
// What the list of inputs of one aggregation may take of a control frame; the rest is for the other fields.
constexpr std::size_t kMaxInputBytes = 56u << 10;
constexpr std::size_t kInputOverhead = 32;  // keys, weight and lengths of one input

bool Settled(const std::vector<const TaskRow*>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const TaskRow* row) { return row->state != RowState::kPending; });
}

std::size_t DoneCount(const std::vector<const TaskRow*>& rows) {
  return std::count_if(rows.begin(), rows.end(), [](const TaskRow* row) { return row->state == RowState::kDone; });
}

double Get(const Metrics& metrics, const char* name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0 : it->second;
}

double Seconds(std::int64_t from_ms, std::int64_t to_ms) {
  // The wall clock may have been set back meanwhile.
  return static_cast<double>(std::max<std::int64_t>(to_ms - from_ms, 0)) / 1000;
}

}  // namespace

void Federation::Machine::Advance() {
  enum class Phase { kIdle, kWait, kInit, kTrain, kAggregate, kSeal, kValidate, kDone };
  const auto phase = [this] {
    const JobRow* job = Running();
    if (job == nullptr) return Phase::kIdle;
    const RoundRow* round = Current(job->job);
    if (round == nullptr) return Phase::kWait;
    switch (round->state) {
      case RoundState::kInit: return Phase::kInit;
      case RoundState::kTrain: return Phase::kTrain;
      case RoundState::kAggregate: return Phase::kAggregate;
      case RoundState::kSeal: return Phase::kSeal;
      case RoundState::kValidate: return Phase::kValidate;
      case RoundState::kDone: return Phase::kDone;
    }
    return Phase::kIdle;
  };
  const auto settled = [](wire::TaskKind kind) {
    return [kind](Machine& m) {
      const RoundRow* round = m.Current(m.Running()->job);
      return Settled(m.Tasks(round->job, round->round, kind));
    };
  };
  struct Row {
    Phase in;
    std::function<bool(Machine&)> guard;
    std::function<void(Machine&)> act;
  };
  static const std::vector<Row> kTable = {
      // One job at a time, oldest first: seats and memory of all workers belong to it.
      {Phase::kIdle, [](Machine& m) { return m.NextJob() != nullptr; }, [](Machine& m) { m.StartJob(); }},
      // Nothing is made before the seats are there: a job that cannot start leaves no objects behind.
      {Phase::kWait, [](Machine& m) { return m.Waiting().empty(); }, [](Machine& m) { m.BeginInit(); }},
      // The first model is sealed before any trainer may read it: its digest goes into the train tasks.
      {Phase::kInit, settled(wire::TaskKind::kInit), [](Machine& m) { m.FinishInit(); }},
      // Weights need all sample counts, so the set of participants is fixed before the first slot is reduced.
      {Phase::kTrain, settled(wire::TaskKind::kTrain),
       [](Machine& m) { m.BeginAggregate(*m.Current(m.Running()->job)); }},
      // A seal makes the object immutable: every range must have been written with this generation.
      {Phase::kAggregate, settled(wire::TaskKind::kAggregate), [](Machine& m) { m.BeginSeal(); }},
      // Updates go only after the seal is journaled: until then a lost part can be recomputed from them.
      {Phase::kSeal, settled(wire::TaskKind::kSeal), [](Machine& m) { m.FinishSeal(); }},
      // The round's metrics are complete before it is told as finished.
      {Phase::kValidate, settled(wire::TaskKind::kValidate), [](Machine& m) { m.FinishRound(); }},
      // Completion is decided before waiting: the last round needs nobody any more.
      {Phase::kDone, [](Machine& m) { return m.LastRoundDone(); },
       [](Machine& m) { m.EndJob(JobState::kCompleted, ""); }},
      // A round begins only when its quorum has seats; with fewer it could only fail.
      {Phase::kDone, [](Machine& m) { return m.Waiting().empty(); }, [](Machine& m) { m.BeginRound(); }},
  };

  for (bool fired = true; fired;) {
    AssignSeats();
    fired = false;
    const Phase in = phase();
    for (const Row& row : kTable) {
      if (row.in != in || !row.guard(*this)) continue;
      row.act(*this);
      fired = true;
      break;
    }
  }
  AssignLeases();

  const std::string waiting = Waiting();
  if (waiting.empty()) {
    waiting_since.reset();
    waiting_told.clear();
  } else {
    if (!waiting_since) waiting_since = now.steady;
    if (now.steady - *waiting_since >= limits.wait_notice && waiting != waiting_told) {
      waiting_told = waiting;
      Say(Note::Level::kWarning, fmt::format("job {} is {}", Running()->job, waiting));
    }
  }
}

const JobRow* Federation::Machine::NextJob() const {
  const JobRow* next = nullptr;
  for (const auto& [id, row] : state.jobs) {
    if (row.state == JobState::kQueued && (next == nullptr || row.order < next->order)) next = &row;
  }
  return next;
}

void Federation::Machine::StartJob() {
  JobRow row = *NextJob();
  row.state = JobState::kRunning;
  row.started_ms = now.wall_ms;
  const std::string job = row.job;
  seat_of.clear();
  Record(std::move(row));
  Say(Note::Level::kInfo, fmt::format("job {} starts", job));
  if (Spec(job) == nullptr) {
    const auto parsed = parser(state.jobs.at(job).text, job);
    EndJob(JobState::kFailed, parsed.ok() ? "its text cannot be read" : parsed.error().message());
  }
}

std::string Federation::Machine::Waiting() {
  const JobRow* running = Running();
  if (running == nullptr) return "";
  const job::Job* spec = Spec(running->job);
  if (spec == nullptr) return "";
  const RoundRow* round = Current(running->job);
  const bool first = round == nullptr;
  const bool between = round != nullptr && round->state == RoundState::kDone;
  const bool aggregates = round != nullptr && (round->state == RoundState::kAggregate ||
                                               round->state == RoundState::kSeal ||
                                               (round->state == RoundState::kInit && spec->synthetic()));
  if ((first || aggregates) && LiveAggregators().empty()) {
    return "waiting for an aggregator: none is connected; start tributary-aggregator";
  }
  if (!first && !between) return "";

  std::size_t taken = 0;
  for (const std::uint32_t ordinal : TakenSeats(running->job)) {
    if (between || Alive(HolderOf(state.seats.at({running->job, ordinal})), limits.seat_timeout)) ++taken;
  }
  const std::size_t needed = std::max<std::size_t>(first ? spec->participants.min : spec->participants.quorum, 1);
  if (taken >= needed) return "";
  std::string text = fmt::format("waiting for {} more trainer{} ({} of {} seats taken)", needed - taken,
                                 needed - taken == 1 ? "" : "s", taken, needed);
  for (const auto& [key, worker] : workers) {
    if (worker.role == wire::Role::kTrainer && !Eligible(worker, *spec)) {
      text += fmt::format("; trainer {} cannot join: it has no data named '{}' (start it with --data {}=PATH) or lacks "
                          "the encoding of transfer.encoding",
                          key, spec->data.name, spec->data.name);
      break;
    }
  }
  return text;
}

void Federation::Machine::EnterRound(RoundRow row, RoundState next) {
  row.metrics[fmt::format("seconds_{}", RoundStateName(row.state))] += Seconds(row.phase_ms, now.wall_ms);
  row.state = next;
  row.phase_ms = now.wall_ms;
  Say(Note::Level::kInfo, fmt::format("job {} round {}: {}", row.job, row.round, RoundStateName(next)));
  Record(std::move(row));
}

void Federation::Machine::BeginInit() {
  const std::string job = Running()->job;
  RoundRow round;
  round.job = job;
  round.state = RoundState::kInit;
  round.generation = 1;
  round.started_ms = round.phase_ms = now.wall_ms;
  Record(round);
  TaskRow task;
  task.job = job;
  task.kind = wire::TaskKind::kInit;
  task.objects = {ModelObject(job, 0)};
  Record(task);
  Say(Note::Level::kInfo, fmt::format("job {}: the first model is made", job));
}

void Federation::Machine::FinishInit() {
  const JobRow* running = Running();
  const TaskRow task = *Find(running->job, 0, wire::TaskKind::kInit, 0);
  RoundRow round = *Current(running->job);
  round.digest = task.digest;
  round.slots = task.end_slot;
  round.seconds = Seconds(round.started_ms, now.wall_ms);
  JobRow job = *running;
  job.digest = task.digest;
  EnterRound(std::move(round), RoundState::kDone);
  Record(CloseRound{task.job, 0});
  Record(std::move(job));
}

bool Federation::Machine::LastRoundDone() {
  const JobRow* running = Running();
  return Current(running->job)->round >= running->rounds;
}

void Federation::Machine::BeginRound() {
  const std::string job = Running()->job;
  const job::Job& spec = *Spec(job);
  const RoundRow& base = *Current(job);
  RoundRow round;
  round.job = job;
  round.round = base.round + 1;
  round.state = RoundState::kTrain;
  round.generation = 0;
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
    task.holder = HolderOf(seat);
    task.objects = {UpdateObject(job, round.round, seat.site, ordinal, 0)};
    input_bytes += task.objects.front().size() + kInputOverhead;
    tasks.push_back(std::move(task));
  }
  if (input_bytes > kMaxInputBytes) {
    EndJob(JobState::kFailed,
           fmt::format("the names of the {} updates of a round do not fit one control frame; lower "
                       "participants.fraction, or use shorter names of job and sites ({} of {} bytes)",
                       tasks.size(), input_bytes, kMaxInputBytes));
    return;
  }
  Say(Note::Level::kInfo,
      fmt::format("job {} round {} of {}: train, {} seats", job, round.round, spec.rounds, tasks.size()));
  Record(std::move(round));
  for (TaskRow& task : tasks) {
    Record(task);
    ProgressOf(task).renewed = now.steady;
  }
}

void Federation::Machine::BeginAggregate(RoundRow round) {
  const job::Job& spec = *Spec(round.job);
  const auto trained = Tasks(round.job, round.round, wire::TaskKind::kTrain);
  const std::size_t done = DoneCount(trained);
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
    EndJob(JobState::kFailed,
           fmt::format("round {} has {} of the {} updates that participants.quorum asks for; {}. Bring these trainers "
                       "back, or lower participants.quorum or raise participants.round_deadline",
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

void Federation::Machine::BeginSeal() {
  const RoundRow round = *Current(Running()->job);
  TaskRow task;
  task.job = round.job;
  task.round = round.round;
  task.kind = wire::TaskKind::kSeal;
  task.objects = {ModelObject(round.job, round.round)};
  EnterRound(round, RoundState::kSeal);
  Record(std::move(task));
}

void Federation::Machine::FinishSeal() {
  const JobRow* running = Running();
  const std::string id = running->job;
  const job::Job& spec = *Spec(id);
  RoundRow round = *Current(id);
  const TaskRow seal = *Find(id, round.round, wire::TaskKind::kSeal, 0);
  round.digest = seal.digest;

  std::vector<std::string> useless;
  for (const TaskRow* row : Tasks(id, round.round, wire::TaskKind::kTrain)) {
    (row->state == RowState::kDone ? round.participants : round.dropped).push_back(SeatOfRow(*row));
    useless.insert(useless.end(), row->objects.begin(), row->objects.end());
  }
  for (std::uint32_t model = 0; model < round.round; ++model) {
    if (KeepsModel(spec.checkpoint, model, round.round - 1) && !KeepsModel(spec.checkpoint, model, round.round)) {
      useless.push_back(ModelObject(id, model));
    }
  }
  JobRow job = *running;
  job.round = round.round;
  job.digest = round.digest;
  Record(std::move(job));
  PlanRemovals(id, round.round, std::move(useless));
  Say(Note::Level::kInfo, fmt::format("job {} round {}: the model is sealed, {} updates", id, round.round,
                                      round.participants.size()));

  std::vector<TaskRow> validations;
  if (spec.validate) {
    for (const auto& [worker, ordinal] : seat_of) {
      if (!Alive(worker, limits.seat_timeout)) continue;
      TaskRow task;
      task.job = id;
      task.round = round.round;
      task.kind = wire::TaskKind::kValidate;
      task.index = ordinal;
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

Metrics Federation::Machine::RoundMetrics(const RoundRow& round) const {
  Metrics metrics = round.metrics;
  double weight = 0, loss = 0, with_loss = 0, tokens_per_second = 0, samples = 0, tokens = 0;
  bool by_tokens = true;
  const auto trained = Tasks(round.job, round.round, wire::TaskKind::kTrain);
  for (const TaskRow* row : trained) {
    if (row->state == RowState::kDone && Get(row->metrics, "tokens") <= 0) by_tokens = false;
  }
  for (const TaskRow* row : trained) {
    if (row->state != RowState::kDone) continue;
    samples += Get(row->metrics, "samples");
    tokens += Get(row->metrics, "tokens");
    if (const double rate = Get(row->metrics, "tokens_per_second"); rate > 0) {
      tokens_per_second += rate;
    } else if (const double seconds = Get(row->metrics, "seconds"); seconds > 0) {
      tokens_per_second += Get(row->metrics, "tokens") / seconds;
    }
    if (row->metrics.count("train_loss") == 0) continue;
    weight = Get(row->metrics, by_tokens ? "tokens" : "samples");
    loss += weight * Get(row->metrics, "train_loss");
    with_loss += weight;
  }
  metrics["samples"] = samples;
  if (tokens > 0) metrics["tokens"] = tokens;
  if (tokens_per_second > 0) metrics["tokens_per_second"] = tokens_per_second;
  if (with_loss > 0) metrics["train_loss"] = loss / with_loss;

  double val_loss = 0, targets = 0;
  for (const TaskRow* row : Tasks(round.job, round.round, wire::TaskKind::kValidate)) {
    if (row->state != RowState::kDone) continue;
    const double count = row->metrics.count("val_targets") != 0 ? Get(row->metrics, "val_targets") : 1;
    if (count <= 0) continue;
    val_loss += count * Get(row->metrics, "val_loss");
    targets += count;
  }
  if (targets > 0) metrics["val_loss"] = val_loss / targets;
  return metrics;
}

void Federation::Machine::FinishRound() {
  RoundRow round = *Current(Running()->job);
  const std::string job = round.job;
  round.metrics = RoundMetrics(round);
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

void Federation::Machine::PlanRemovals(const std::string& job, std::uint32_t round, std::vector<std::string> objects) {
  for (std::size_t i = 0; i < objects.size(); i += kObjectsPerRemoval) {
    TaskRow task;
    task.job = job;
    task.round = round;
    task.kind = wire::TaskKind::kRemove;
    task.index = static_cast<std::uint32_t>(i / kObjectsPerRemoval);
    task.objects.assign(objects.begin() + static_cast<std::ptrdiff_t>(i),
                        objects.begin() + static_cast<std::ptrdiff_t>(std::min(i + kObjectsPerRemoval, objects.size())));
    Record(std::move(task));
  }
}

void Federation::Machine::EndJob(JobState end, const std::string& message) {
  JobRow job = *Running();
  const RoundRow* round = Current(job.job);
  if (round != nullptr && round->state != RoundState::kDone && round->state != RoundState::kValidate) {
    std::vector<std::string> useless;
    for (const TaskRow* row : Tasks(job.job, round->round, wire::TaskKind::kTrain)) {
      useless.insert(useless.end(), row->objects.begin(), row->objects.end());
    }
    useless.push_back(ModelObject(job.job, round->round));
    PlanRemovals(job.job, round->round, std::move(useless));
  }
  job.state = end;
  job.message = message;
  job.ended_ms = now.wall_ms;
  specs.erase(job.job);
  seat_of.clear();
  std::erase_if(progress, [&](const auto& entry) {
    return std::get<0>(entry.first) == job.job && std::get<2>(entry.first) != wire::TaskKind::kRemove;
  });
  Say(end == JobState::kFailed ? Note::Level::kWarning : Note::Level::kInfo,
      fmt::format("job {} is {}{}{}", job.job, JobStateName(end), message.empty() ? "" : ": ", message));
  Record(std::move(job));
}

}  // namespace tributary::federation
