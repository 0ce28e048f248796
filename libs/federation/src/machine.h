// Private: the Federation's state and helpers, implemented by topic (seats, leases, reports, transitions, assignment, status).
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

class Federation::Machine {
 public:
  Machine(Limits limits, JobParser parser, State restored, Time now);

  // federation.cc
  Result<std::string> Connect(const wire::Hello& hello, Time now);
  void Disconnect(const std::string& worker);
  Result<wire::Submitted> Submit(const wire::Submit& submit, Time now);
  Result<wire::Stopped> Stop(const std::string& job, Time now);
  Result<wire::Resumed> Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, Time now);
  void Tick(Time now);
  void Record(Decision decision);
  // `job`: whose log it belongs to; empty: of none.
  void Say(Note::Level level, std::string job, std::string text) { notes.push_back({level, std::move(text), std::move(job), now.wall_ms}); }
  void Touch(const std::string& worker) { dirty.insert(worker); }
  void TouchAll();
  std::vector<std::string> TakeChanged();

  // kResourceExhausted when no more jobs may wait.
  Status CheckQueue() const;
  std::uint64_t NextOrder() const;
  // Removals of the job's objects are not done yet.
  bool Removing(const std::string& job) const;
  // What attempts and generations of a job begin at: above those of all its earlier lives, whose late reports and slots must not count.
  std::uint32_t FirstAttempt(const std::string& job) const { return state.jobs.at(job).resumes * kAttemptsOfALife; }

  // The running job, or null. Rows are copied, changed and recorded.
  const JobRow* Running() const;
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
  void AssignSeats();
  void SetSeat(std::uint32_t ordinal, const Worker* worker, const std::string& why);
  const SeatRow* SeatOf(const std::string& worker) const;  // in the running job
  bool Eligible(const Worker& worker, const job::Job& spec) const;
  static bool Knows(const Worker& worker, tensor::Encoding encoding);
  std::string HolderOf(const SeatRow& row) const { return row.site + "/" + row.instance; }
  bool Alive(const std::string& worker, Duration timeout) const;
  std::set<std::uint32_t> TakenSeats(const std::string& job) const;

  // leases.cc
  void AssignLeases();
  void ExpireTasks();
  // Ends the job where a seat stands still while it fetches the round's model, if the job wants that. True if it did.
  bool StopAtStalledFetch();
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
  const JobRow* NextJob() const;
  void StartJob();
  bool LastRoundDone();
  // Why the running job cannot go on yet, or empty.
  std::string Waiting();

  // rounds.cc
  void BeginInit();
  void FinishInit();
  void BeginRound();
  void BeginAggregate(RoundRow row);
  void WaitForUpdates();
  void BeginSeal();
  void FinishSeal();
  void FinishRound();
  void EndJob(JobState state, const std::string& message);
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
  Census Count() const;

  // vitals.cc
  Vitals Watch(Time now);

  const Limits limits;
  const JobParser parser;
  State state;
  Time now;
  Duration started{0};  // of this process's knowledge: who was not heard since then counts from here
  std::map<std::string, Worker> workers;
  std::map<std::string, job::Job> specs;
  std::map<TaskKey, Progress> progress;
  std::map<TaskKey, Duration> not_before;  // retries wait
  std::map<std::string, std::uint32_t> seat_of;  // worker -> ordinal, of the running job
  std::set<std::string> dirty;
  std::vector<Decision> decisions;
  std::vector<Note> notes;
  std::uint64_t arrivals = 0;
  std::optional<Duration> waiting_since;
  std::string waiting_told;
  std::map<Refusal, std::uint64_t> refused;  // updates that were left out since this process began
};

// Of an update that was given up after this error.
Refusal RefusalOf(Code code);

inline std::string TaskNameOf(const TaskRow& row) {
  return TaskName(row.job, row.round, row.kind, row.index, row.attempt);
}

}  // namespace tributary::federation
