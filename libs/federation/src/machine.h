// Private: the Federation's state and helpers, implemented by topic (jobs, seats, leases, reports, transitions, assignment, status).
#pragma once

#include <deque>
#include <set>
#include <unordered_map>

#include "tributary/federation/federation.h"
#include "tributary/federation/plan.h"

namespace tributary::federation {

// More than one life of a job uses of any task.
constexpr std::uint32_t kAttemptsOfALife = 4096;

struct Worker {
  wire::Role role = wire::Role::kTrainer;
  std::string key;        // trainers "site/instance", aggregators "instance"
  std::string site;
  std::string instance;
  std::int64_t wish = -1;  // ordinal
  std::vector<std::string> data;
  std::vector<std::uint32_t> encodings;
  Duration heard{0};
  bool connected = true;
  std::uint64_t arrival = 0;
  std::string told;        // fingerprint of the assignment it was told last
};

// What a running task says of itself; forgotten at a restart.
struct Progress {
  wire::TaskReport last;
  Duration renewed{0};
};

// What a running job waits for; forgotten at a restart.
struct Wait {
  Duration since{0};
  Duration changed{0};  // when it was something else last
  std::string what;
  std::string told;     // in its log
};

class Federation::Machine {
 public:
  Machine(Limits limits, JobParser parser, State restored, Time now);

  // federation.cc
  Result<std::string> Connect(const wire::Hello& hello, Time now);
  void Disconnect(const std::string& worker);
  Result<wire::Submitted> Submit(const wire::Submit& submit, Time now);
  Result<wire::Stopped> Stop(const std::string& job, Time now);
  // resume.cc
  Result<wire::Resumed> Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, std::optional<RoundRow> from, Time now);
  void Tick(Time now);
  void Record(Decision decision);
  // `job`: whose log it belongs to; empty: of none.
  void Say(Note::Level level, std::string job, std::string text) { notes.push_back({level, std::move(text), std::move(job), now.wall_ms}); }
  void Touch(const std::string& worker) { dirty.insert(worker); }
  void TouchAll();
  std::vector<std::string> TakeChanged();

  // What attempts and generations of a job begin at: above those of all its earlier lives, whose late reports and slots must not count.
  std::uint32_t FirstAttempt(const std::string& job) const { return state.jobs.at(job).resumes * kAttemptsOfALife; }

  // jobs.cc
  // kResourceExhausted when no more jobs may wait.
  Status CheckQueue() const;
  std::uint64_t NextOrder() const;
  // Removals of the job's objects are not done yet.
  bool Removing(const std::string& job) const;
  // Ids, in order of submission: they stay what they are while rows change.
  std::vector<std::string> UnfinishedJobs() const;
  std::vector<std::string> Running() const;
  bool Runs(const std::string& job) const;
  // Gives free trainers to jobs, oldest first, and lets queued jobs begin. True if one did, or stepped back into the queue.
  bool Schedule();
  // Trainers that the job needs to go on: participants.min before its first round, then the quorum.
  std::size_t SeatsNeeded(const std::string& job);
  bool CanFill(const std::string& job, const std::vector<const Worker*>& free);
  // It was passed by younger ones often enough, and would have its trainers if they ended.
  bool WaitedFor(const std::string& job);
  bool StepBack(const std::vector<const Worker*>& free);
  void StartJob(const std::string& job);
  // Ends a job whose text is none.
  void FailUnread(const std::string& job);
  // Why a queued job does not run.
  std::string QueuedBecause(const std::string& job);

  // Rows are copied, changed and recorded.
  const job::Job* Spec(const std::string& job);
  // The newest round of the job, or null in the phase "wait" before init.
  const RoundRow* Current(const std::string& job) const;
  std::vector<const TaskRow*> Tasks(const std::string& job, std::uint32_t round, wire::TaskKind kind) const;
  const TaskRow* Find(const std::string& job, std::uint32_t round, wire::TaskKind kind, std::uint32_t index) const;
  std::string SeatName(const std::string& job, std::uint32_t ordinal) const;
  // Of the holder that worked on it, who may have lost the seat since.
  static std::string SeatOfRow(const TaskRow& row);
  // Of a train row: it counts in the mean, as far as is known now.
  static bool Averaged(const TaskRow& row) { return row.state == RowState::kDone || row.state == RowState::kOpen; }
  // The seats whose updates count, in order.
  std::vector<std::string> Averaged(const RoundRow& round) const;

  // seats.cc
  // Live trainers without a seat, in order of arrival.
  std::vector<const Worker*> FreeTrainers() const;
  // Takes trainers out of `free` for seats without one, until `most` are taken, and for those of silent ones.
  void FillSeats(const std::string& job, std::size_t most, std::vector<const Worker*>& free);
  void SetSeat(const std::string& job, std::uint32_t ordinal, const Worker* worker, const std::string& why);
  // All of a job's.
  void FreeSeats(const std::string& job);
  const SeatRow* SeatOf(const std::string& worker) const;
  bool Eligible(const Worker& worker, const job::Job& spec) const;
  static bool Knows(const Worker& worker, tensor::Encoding encoding);
  std::string HolderOf(const SeatRow& row) const { return row.site + "/" + row.instance; }
  bool Alive(const std::string& worker, Duration timeout) const;
  std::set<std::uint32_t> TakenSeats(const std::string& job) const;

  // leases.cc
  void AssignLeases();
  void ExpireRetries();
  void ExpireTasks(const std::string& job);
  // Ends the job where a seat stands still while it fetches the round's model, if the job wants that. True if it did.
  bool StopAtStalledFetch(const std::string& job);
  void ReleaseLeases(const std::string& worker);
  std::vector<const Worker*> LiveAggregators() const;
  bool HeldByTrainer(const TaskRow& row);
  Progress& ProgressOf(const TaskRow& row);

  // reports.cc
  bool Report(const std::string& worker, const wire::Report& report, Time now);
  bool TakeTaskReport(Worker& worker, const wire::TaskReport& report, bool leaving);
  // The update of a train task is open from now on. False when it was.
  bool OpenUpdate(TaskRow row, const wire::TaskReport& report);
  void TaskDone(TaskRow row, const wire::TaskReport& report);
  void TaskFailed(TaskRow row, Code code, const std::string& message);
  // Goes on without the update that `message` names, if that is what failed the aggregation.
  bool DropUpdate(const TaskRow& row, Code code, const std::string& message);

  // transitions.cc
  void Advance();
  // Goes one step, if a row of the table allows it.
  bool Step(const std::string& job);
  // Why the running job cannot go on yet, or empty.
  std::string Waiting(const std::string& job);
  void NoteWaiting();

  // rounds.cc
  void BeginInit(const std::string& job);
  void FinishInit(const std::string& job);
  void BeginRound(const std::string& job);
  void BeginAggregate(RoundRow row);
  void WaitForUpdates(const std::string& job);
  void BeginSeal(const std::string& job);
  void FinishSeal(const std::string& job);
  void FinishRound(const std::string& job);
  std::string WhyNotValidated(const RoundRow& round) const;
  void EndJob(const std::string& job, JobState state, const std::string& message);
  void EnterRound(RoundRow row, RoundState state);
  void RememberBest(RoundRow& round);
  void PlanRemovals(const std::string& job, std::uint32_t round, std::vector<std::string> objects, std::uint32_t first);

  // round_metrics.cc
  // The first of the rounds up to `last`, which is finished last, whose model was validated with the lowest loss; 0: none was.
  std::uint32_t BestRound(const std::string& job, std::uint32_t last) const;
  Metrics RoundMetrics(const RoundRow& row) const;

  // assignment.cc
  wire::Assignment AssignmentOf(const std::string& worker);
  wire::TaskSpec SpecOf(const TaskRow& row);
  std::vector<const TaskRow*> WantedOf(const std::string& worker) const;
  std::string Fingerprint(const std::string& worker) const;

  // status.cc
  Result<wire::JobStatus> StatusOf(const std::string& job, Time now);
  wire::JobList Jobs() const;
  Census Count();

  // vitals.cc
  Vitals Watch(Time now);
  JobVitals WatchJob(const JobRow& row, const job::Job& spec);

  const Limits limits;
  const JobParser parser;
  State state;
  Time now;
  Duration started{0};  // of this process's knowledge: who was not heard since then counts from here
  std::uint64_t restored_orders = 0;  // jobs of a smaller order were submitted to an earlier process
  std::map<std::string, Worker> workers;
  std::map<std::string, job::Job> specs;
  std::map<TaskKey, Progress> progress;
  std::map<TaskKey, Duration> not_before;  // retries wait
  std::map<std::string, SeatKey> seat_of;  // worker -> its one seat, of a running job
  std::set<std::string> dirty;
  std::vector<Decision> decisions;
  std::vector<Note> notes;
  std::uint64_t arrivals = 0;
  std::map<std::string, Wait> waits;  // of running jobs that cannot go on
  std::map<Refusal, std::uint64_t> refused;  // updates that were left out since this process began
};

// Of an update that was given up after this error.
Refusal RefusalOf(Code code);

inline std::string TaskNameOf(const TaskRow& row) {
  return TaskName(row.job, row.round, row.kind, row.index, row.attempt);
}

}  // namespace tributary::federation
