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

bool Federation::Machine::Step(const std::string& job) {
  enum class Phase { kWait, kInit, kTrain, kAggregate, kSeal, kValidate, kDone };
  const auto phase = [&] {
    const RoundRow* round = Current(job);
    if (round == nullptr) return Phase::kWait;
    switch (round->state) {
      case RoundState::kInit: return Phase::kInit;
      case RoundState::kTrain: return Phase::kTrain;
      case RoundState::kAggregate: return Phase::kAggregate;
      case RoundState::kSeal: return Phase::kSeal;
      case RoundState::kValidate: return Phase::kValidate;
      case RoundState::kDone: return Phase::kDone;
    }
    return Phase::kWait;
  };
  using Guard = std::function<bool(Machine&, const std::string&)>;
  const auto settled = [](wire::TaskKind kind) -> Guard {
    return [kind](Machine& m, const std::string& id) { return Settled(m.Tasks(id, m.Current(id)->round, kind)); };
  };
  const Guard untrained = [](Machine& m, const std::string& id) {
    return AnyPending(m.Tasks(id, m.Current(id)->round, wire::TaskKind::kTrain));
  };
  const Guard averaged = [settled](Machine& m, const std::string& id) {
    return settled(wire::TaskKind::kTrain)(m, id) && settled(wire::TaskKind::kAggregate)(m, id);
  };
  const Guard ready = [](Machine& m, const std::string& id) { return m.Waiting(id).empty(); };
  struct Row {
    Phase in;
    Guard guard;
    std::function<void(Machine&, const std::string&)> act;
  };
  static const std::vector<Row> kTable = {
      // Nothing is made before the seats are there: a job that cannot start leaves no objects behind.
      {Phase::kWait, ready, [](Machine& m, const std::string& id) { m.BeginInit(id); }},
      // The first model is sealed before any trainer may read it: its digest goes into the train tasks.
      {Phase::kInit, settled(wire::TaskKind::kInit), [](Machine& m, const std::string& id) { m.FinishInit(id); }},
      // Weights need all sample counts, which come with the opened updates; their slots are reduced as they come.
      {Phase::kTrain, [=](Machine& m, const std::string& id) { return !untrained(m, id); },
       [](Machine& m, const std::string& id) { m.BeginAggregate(*m.Current(id)); }},
      // An update was begun anew: nothing is known of it until it is open again.
      {Phase::kAggregate, untrained, [](Machine& m, const std::string& id) { m.WaitForUpdates(id); }},
      // A seat fell out after slots of it were used: all are made again without it, from what is staged.
      {Phase::kAggregate, [](Machine& m, const std::string& id) { return m.Averaged(*m.Current(id)) != m.Current(id)->participants; },
       [](Machine& m, const std::string& id) { m.BeginAggregate(*m.Current(id)); }},
      // A seal makes the object immutable: every range must have been written with this generation.
      {Phase::kAggregate, averaged, [](Machine& m, const std::string& id) { m.BeginSeal(id); }},
      // Updates go only after the seal is journaled: until then a lost part can be recomputed from them.
      {Phase::kSeal, settled(wire::TaskKind::kSeal), [](Machine& m, const std::string& id) { m.FinishSeal(id); }},
      // The round's metrics are complete before it is told as finished.
      {Phase::kValidate, settled(wire::TaskKind::kValidate), [](Machine& m, const std::string& id) { m.FinishRound(id); }},
      // Completion is decided before waiting: the last round needs nobody any more.
      {Phase::kDone, [](Machine& m, const std::string& id) { return m.Current(id)->round >= m.state.jobs.at(id).rounds; },
       [](Machine& m, const std::string& id) { m.EndJob(id, JobState::kCompleted, ""); }},
      // A round begins only when its quorum has seats; with fewer it could only fail.
      {Phase::kDone, ready, [](Machine& m, const std::string& id) { m.BeginRound(id); }},
  };

  const Phase in = phase();
  for (const Row& row : kTable) {
    if (row.in != in || !row.guard(*this, job)) continue;
    row.act(*this, job);
    return true;
  }
  return false;
}

void Federation::Machine::Advance() {
  for (bool fired = true; fired;) {
    fired = Schedule();
    for (const std::string& job : Running()) fired = Step(job) || fired;
  }
  AssignLeases();
  NoteWaiting();
}

void Federation::Machine::NoteWaiting() {
  for (const std::string& job : Running()) {
    std::string what = Waiting(job);
    if (what.empty()) {
      waits.erase(job);
      continue;
    }
    const auto [known, fresh] = waits.try_emplace(job);
    Wait& wait = known->second;
    if (fresh) wait.since = now.steady;
    if (fresh || what != wait.what) wait.changed = now.steady;
    wait.what = std::move(what);
    if (now.steady - wait.since < limits.wait_notice || wait.what == wait.told) continue;
    wait.told = wait.what;
    Say(Note::Level::kWarning, job, fmt::format("job {} is {}", job, wait.what));
  }
}

std::string Federation::Machine::Waiting(const std::string& job) {
  const job::Job* spec = Spec(job);
  if (spec == nullptr) return "";
  const RoundRow* round = Current(job);
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
  for (const std::uint32_t ordinal : TakenSeats(job)) {
    if (between || Alive(HolderOf(state.seats.at({job, ordinal})), limits.seat_timeout)) ++taken;
  }
  const std::size_t needed = SeatsNeeded(job);
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

}  // namespace tributary::federation
