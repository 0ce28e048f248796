// The table of transitions: from which phase, under which guard, to what.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

bool Settled(const std::vector<const TaskRow*>& rows) {
  return std::none_of(rows.begin(), rows.end(), [](const TaskRow* row) { return Unfinished(row->state); });
}

bool AnyPending(const std::vector<const TaskRow*>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const TaskRow* row) { return row->state == RowState::kPending; });
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
  const auto untrained = [](Machine& m) {
    const RoundRow* round = m.Current(m.Running()->job);
    return AnyPending(m.Tasks(round->job, round->round, wire::TaskKind::kTrain));
  };
  const auto averaged = [settled](Machine& m) {
    return settled(wire::TaskKind::kTrain)(m) && settled(wire::TaskKind::kAggregate)(m);
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
      // Weights need all sample counts, which come with the opened updates; their slots are reduced as they come.
      {Phase::kTrain, [=](Machine& m) { return !untrained(m); }, [](Machine& m) { m.BeginAggregate(*m.Current(m.Running()->job)); }},
      // An update was begun anew: nothing is known of it until it is open again.
      {Phase::kAggregate, untrained, [](Machine& m) { m.WaitForUpdates(); }},
      // A seat fell out after slots of it were used: all are made again without it, from what is staged.
      {Phase::kAggregate, [](Machine& m) { const RoundRow* round = m.Current(m.Running()->job); return m.Averaged(*round) != round->participants; },
       [](Machine& m) { m.BeginAggregate(*m.Current(m.Running()->job)); }},
      // A seal makes the object immutable: every range must have been written with this generation.
      {Phase::kAggregate, averaged, [](Machine& m) { m.BeginSeal(); }},
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
      Say(Note::Level::kWarning, Running()->job, fmt::format("job {} is {}", Running()->job, waiting));
    }
  }
}

const JobRow* Federation::Machine::NextJob() const {
  const JobRow* next = nullptr;
  for (const auto& [id, row] : state.jobs) {
    // A resumed job makes objects of the names that its end has removed: not before they are gone.
    if (row.state == JobState::kQueued && (next == nullptr || row.order < next->order) && !Removing(id)) next = &row;
  }
  return next;
}

void Federation::Machine::StartJob() {
  JobRow row = *NextJob();
  row.state = JobState::kRunning;
  if (row.started_ms == 0) row.started_ms = now.wall_ms;  // a resumed one keeps its first start
  const std::string job = row.job;
  seat_of.clear();
  Record(std::move(row));
  Say(Note::Level::kInfo, job, fmt::format("job {} {}", job, state.jobs.at(job).resumes == 0 ? "starts" : "goes on"));
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
      text += fmt::format("; trainer {} cannot join: ", key);
      if (!Knows(worker, spec->transfer.encoding)) {
        text += fmt::format("it cannot send updates as {} (transfer.encoding); install this release there",
                            tensor::EncodingName(spec->transfer.encoding));
      } else if (!Knows(worker, spec->transfer.broadcast)) {
        text += fmt::format("it cannot read models as {} (transfer.broadcast); install this release there",
                            tensor::EncodingName(spec->transfer.broadcast));
      } else {
        text += fmt::format("it has no data named '{}' (start it with --data {}=PATH)", spec->data.name, spec->data.name);
      }
      break;
    }
  }
  return text;
}

bool Federation::Machine::LastRoundDone() {
  const JobRow* running = Running();
  return Current(running->job)->round >= running->rounds;
}

}  // namespace tributary::federation
