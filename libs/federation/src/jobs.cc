// Which jobs run: the queue, and who begins with which trainers (docs/round.md, "Jobs side by side").
#include <algorithm>

#include "machine.h"

namespace tributary::federation {
namespace {

// Each waits with its text in memory.
constexpr std::size_t kMaxQueued = 64;
// So many younger ones may begin before a job that the trainers there would suffice for.
constexpr std::ptrdiff_t kPasses = 3;

}  // namespace

Status Federation::Machine::CheckQueue() const {
  const auto queued = std::ranges::count_if(state.jobs, [](const auto& entry) { return entry.second.state == JobState::kQueued; });
  if (static_cast<std::size_t>(queued) < kMaxQueued) return Ok();
  return MakeError(Code::kResourceExhausted, "{} jobs are queued already, no more are taken; wait for one to begin, or stop one", queued);
}

std::uint64_t Federation::Machine::NextOrder() const {
  std::uint64_t order = 0;
  for (const auto& [id, job] : state.jobs) order = std::max(order, job.order + 1);
  return order;
}

bool Federation::Machine::Removing(const std::string& job) const {
  return std::ranges::any_of(state.tasks, [&](const auto& entry) { return entry.second.job == job && entry.second.kind == wire::TaskKind::kRemove; });
}

std::vector<std::string> Federation::Machine::UnfinishedJobs() const {
  std::vector<const JobRow*> rows;
  for (const auto& [id, row] : state.jobs) {
    if (!Finished(row.state)) rows.push_back(&row);
  }
  std::ranges::sort(rows, {}, [](const JobRow* row) { return row->order; });
  std::vector<std::string> ids;
  for (const JobRow* row : rows) ids.push_back(row->job);
  return ids;
}

bool Federation::Machine::Runs(const std::string& job) const {
  const auto row = state.jobs.find(job);
  return row != state.jobs.end() && row->second.state == JobState::kRunning;
}

std::vector<std::string> Federation::Machine::Running() const {
  std::vector<std::string> ids = UnfinishedJobs();
  std::erase_if(ids, [&](const std::string& job) { return !Runs(job); });
  return ids;
}

std::size_t Federation::Machine::SeatsNeeded(const std::string& job) {
  const job::Participants& participants = Spec(job)->participants;
  return std::max<std::size_t>(Current(job) == nullptr ? participants.min : participants.quorum, 1);
}

bool Federation::Machine::CanFill(const std::string& job, const std::vector<const Worker*>& free) {
  const job::Job& spec = *Spec(job);
  const auto able = std::ranges::count_if(free, [&](const Worker* worker) { return Eligible(*worker, spec); });
  return static_cast<std::size_t>(able) >= SeatsNeeded(job);
}

bool Federation::Machine::WaitedFor(const std::string& job) {
  const std::uint64_t order = state.jobs.at(job).order;
  const auto passed = std::ranges::count_if(state.jobs, [&](const auto& entry) {
    return entry.second.order > order && entry.second.state != JobState::kQueued;
  });
  if (passed < kPasses) return false;
  // After a restart nobody knows yet who is there.
  if (order < restored_orders && now.steady - started < limits.seat_timeout) return true;
  std::vector<const Worker*> there;
  for (const auto& [key, worker] : workers) {
    if (worker.role == wire::Role::kTrainer && Alive(key, limits.seat_timeout)) there.push_back(&worker);
  }
  return CanFill(job, there);
}

bool Federation::Machine::Schedule() {
  std::vector<const Worker*> free = FreeTrainers();
  const std::vector<std::string> jobs = UnfinishedJobs();
  auto running = static_cast<std::size_t>(std::ranges::count_if(jobs, [&](const std::string& job) { return Runs(job); }));
  bool begun = false;       // or ended
  bool waited_for = false;  // a job before this one is
  const auto begin = [&](const std::string& job) {
    StartJob(job);
    begun = true;
    if (!Runs(job)) return;  // it cannot be read
    ++running;
    FillSeats(job, SIZE_MAX, free);
  };
  const std::string* oldest = nullptr;
  for (const std::string& job : jobs) {
    if (Runs(job)) {
      if (Spec(job) != nullptr) {
        FillSeats(job, waited_for ? SeatsNeeded(job) : SIZE_MAX, free);
      } else {
        FailUnread(job);  // another release wrote the journal
        begun = true;
        --running;
      }
      continue;
    }
    // A resumed job makes objects of the names that its end has removed: not before they are gone.
    if (Removing(job)) continue;
    if (oldest == nullptr) oldest = &job;
    const bool readable = Spec(job) != nullptr;
    if (!waited_for && running < limits.jobs_at_once && (!readable || CanFill(job, free))) {
      begin(job);
    } else {
      waited_for = waited_for || (readable && WaitedFor(job));
    }
  }
  // Somebody has to gather trainers: whoever looks sees what it waits for.
  if (running == 0 && !begun && oldest != nullptr) begin(*oldest);
  return begun || StepBack(free);
}

bool Federation::Machine::StepBack(const std::vector<const Worker*>& free) {
  const std::vector<std::string> jobs = UnfinishedJobs();
  const auto running = static_cast<std::size_t>(std::ranges::count_if(jobs, [&](const std::string& job) { return Runs(job); }));
  if (running == jobs.size() || running > limits.jobs_at_once) return false;
  for (const auto& [id, wait] : waits) {
    const std::string job = id;
    if (!Runs(job) || Spec(job) == nullptr || now.steady - wait.changed < limits.gather) continue;
    // What it made in this life ties its seats to it: their trainers keep state from round to round.
    const RoundRow* const round = Current(job);
    if (round != nullptr && (round->state != RoundState::kDone || round->generation >= FirstAttempt(job))) continue;
    std::vector<const Worker*> holders;
    for (auto it = state.seats.lower_bound({job, 0}); it != state.seats.end() && it->first.first == job; ++it) {
      const auto worker = workers.find(HolderOf(it->second));
      if (worker != workers.end() && Alive(worker->first, limits.seat_timeout)) holders.push_back(&worker->second);
    }
    const std::size_t needed = SeatsNeeded(job);
    if (holders.size() >= needed || WaitedFor(job)) continue;  // it lacks no trainer; or younger ones must not begin
    std::vector<const Worker*> all = free;
    all.insert(all.end(), holders.begin(), holders.end());
    const auto other = std::ranges::find_if(jobs, [&](const std::string& queued) {
      return !Runs(queued) && !Removing(queued) && Spec(queued) != nullptr && CanFill(queued, all);
    });
    if (other == jobs.end()) continue;
    Say(Note::Level::kWarning, job, fmt::format("job {} goes back into the queue: it needs {} trainers and has had {} for {}; job {} can begin before it", job,
                                                needed, holders.size(), FormatDuration(limits.gather), *other));
    FreeSeats(job);
    JobRow row = state.jobs.at(job);
    row.state = JobState::kQueued;
    if (round == nullptr) row.started_ms = 0;
    waits.erase(job);
    Record(std::move(row));
    return true;
  }
  return false;
}

void Federation::Machine::StartJob(const std::string& job) {
  JobRow row = state.jobs.at(job);
  row.state = JobState::kRunning;
  if (row.started_ms == 0) row.started_ms = now.wall_ms;  // a resumed one keeps its first start
  Record(std::move(row));
  Say(Note::Level::kInfo, job, fmt::format("job {} {}", job, state.jobs.at(job).resumes == 0 ? "starts" : "goes on"));
  if (Spec(job) == nullptr) FailUnread(job);
}

void Federation::Machine::FailUnread(const std::string& job) {
  const auto parsed = parser(state.jobs.at(job).text, job);
  EndJob(job, JobState::kFailed, parsed.ok() ? "its text cannot be read" : parsed.error().message());
}

std::string Federation::Machine::QueuedBecause(const std::string& job) {
  if (Removing(job)) return "waiting until what it left is removed; that needs an aggregator";
  const std::size_t running = Running().size();
  if (running >= limits.jobs_at_once) {
    return fmt::format("waiting for one of {} running job{} to end (--jobs-at-once {})", running, running == 1 ? "" : "s", limits.jobs_at_once);
  }
  for (const std::string& before : UnfinishedJobs()) {
    if (before == job) break;
    if (!Runs(before) && !Removing(before) && Spec(before) != nullptr && WaitedFor(before)) {
      return fmt::format("waiting for job {}, which others went past often enough", before);
    }
  }
  if (Spec(job) == nullptr) return "waiting for its turn";
  const std::size_t needed = SeatsNeeded(job);
  const job::Job& spec = *Spec(job);
  const auto free = FreeTrainers();
  const auto able = std::ranges::count_if(free, [&](const Worker* worker) { return Eligible(*worker, spec); });
  return fmt::format("waiting for {} free trainer{}: {} now", needed, needed == 1 ? "" : "s", able);
}

}  // namespace tributary::federation
