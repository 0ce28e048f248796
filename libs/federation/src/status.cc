// What is told to people: the state of one job, and the list of all.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

constexpr std::size_t kMaxJobsTold = 500;

}  // namespace

Result<wire::JobStatus> Federation::Machine::StatusOf(const std::string& id, Time t) {
  const auto known = state.jobs.find(id);
  if (known == state.jobs.end()) return MakeError(Code::kNotFound, "no job {} here", id);
  const JobRow& job = known->second;
  wire::JobStatus status;
  status.job = id;
  status.state = JobStateName(job.state);
  status.phase = job.state == JobState::kQueued ? "wait" : "done";
  status.round = job.round;
  status.rounds = job.rounds;
  status.message = job.message;
  // Objects that nobody needs are still there.
  const bool removing = Removing(id);
  if (Finished(job.state) && removing) status.phase = "remove";
  const std::int64_t end = Finished(job.state) ? job.ended_ms : t.wall_ms;
  if (job.started_ms > 0) status.seconds = static_cast<double>(std::max<std::int64_t>(end - job.started_ms, 0)) / 1000;
  if (!job.digest.empty()) {
    status.model = ModelObject(id, job.round);
    status.model_digest = job.digest;
  }
  if (job.state == JobState::kQueued) status.message = QueuedBecause(id);
  if (job.state != JobState::kRunning) return status;

  const RoundRow* round = Current(id);
  status.phase = round == nullptr || round->state == RoundState::kDone ? "wait" : RoundStateName(round->state);
  if (round != nullptr) {
    status.round = round->round;
    status.slots_total = round->slots;
    for (const TaskRow* part : Tasks(id, round->round, wire::TaskKind::kAggregate)) {
      const std::uint64_t size = part->end_slot - part->first_slot;
      if (part->state == RowState::kDone) {
        status.slots_done += size;
      } else if (const auto p = progress.find(KeyOf(*part)); p != progress.end() && p->second.last.unit == "slots") {
        status.slots_done += std::min(size, p->second.last.done);
      }
    }
  }
  if (const auto wait = waits.find(id); wait != waits.end() && t.steady - wait->second.since >= limits.wait_notice) status.message = Waiting(id);

  const job::Job* spec = Spec(id);
  const bool validates = round != nullptr && round->state == RoundState::kValidate;
  for (std::uint32_t ordinal = 0; spec != nullptr && ordinal < spec->data.count; ++ordinal) {
    wire::SeatStatus seat;
    seat.seat = SeatName(id, ordinal);
    seat.state = "free";
    const auto held = state.seats.find({id, ordinal});
    if (held != state.seats.end()) {
      seat.instance = held->second.instance;
      seat.state = Alive(HolderOf(held->second), limits.seat_timeout) ? "idle" : "lost";
    }
    const TaskRow* task =
        round == nullptr ? nullptr
                         : Find(id, round->round, validates ? wire::TaskKind::kValidate : wire::TaskKind::kTrain, ordinal);
    if (task == nullptr && round != nullptr && round->state == RoundState::kInit) {
      const TaskRow* init = Find(id, 0, wire::TaskKind::kInit, 0);
      if (init != nullptr && held != state.seats.end() && init->holder == HolderOf(held->second)) task = init;
    }
    if (task != nullptr && seat.state != "free") {
      if (task->state == RowState::kDone) {
        seat.state = "done";
        seat.metrics = task->metrics;
      } else if (task->state == RowState::kDropped) {
        seat.state = "lost";
      } else if (const auto p = progress.find(KeyOf(*task));
                 p != progress.end() && !p->second.last.phase.empty() && seat.state != "lost") {
        seat.state = p->second.last.phase;
        seat.done = p->second.last.done;
        seat.total = p->second.last.total;
        seat.unit = p->second.last.unit;
        seat.metrics = p->second.last.metrics;
      }
    }
    status.seats.push_back(std::move(seat));
  }
  return status;
}

wire::JobList Federation::Machine::Jobs() const {
  std::vector<const JobRow*> rows;
  for (const auto& [id, row] : state.jobs) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->order > b->order; });
  if (rows.size() > kMaxJobsTold) rows.resize(kMaxJobsTold);
  wire::JobList list;
  for (const JobRow* row : rows) list.jobs.push_back({row->job, JobStateName(row->state), row->round, row->rounds});
  return list;
}

Federation::Census Federation::Machine::Count() {
  Census census;
  for (const auto& [key, worker] : workers) {
    if (worker.role == wire::Role::kAggregator) {
      if (Alive(key, limits.lease_timeout)) ++census.aggregators;
    } else if (Alive(key, limits.seat_timeout)) {
      ++census.trainers;
      if (seat_of.count(key) == 0) ++census.spares;
    }
  }
  census.seats_taken = seat_of.size();
  std::size_t places = limits.jobs_at_once - std::min<std::size_t>(Running().size(), limits.jobs_at_once);
  for (const std::string& job : UnfinishedJobs()) {
    const job::Job* spec = Spec(job);
    if (spec == nullptr) continue;
    if (Runs(job)) {
      census.seats_free += spec->data.count - std::min<std::size_t>(TakenSeats(job).size(), spec->data.count);
    } else if (places > 0 && !Removing(job)) {
      --places;
      census.seats_queued += spec->data.count;
    }
  }
  return census;
}

}  // namespace tributary::federation
