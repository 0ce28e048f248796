#include "tributary/federation/federation.h"

#include <algorithm>

#include "machine.h"
#include "tributary/base/names.h"

namespace tributary::federation {
namespace {

constexpr std::size_t kMaxJobText = 48u << 10;
// A worker silent for this long is forgotten; it says Hello when it comes back.
constexpr Duration kForget{120'000};
constexpr std::size_t kMaxWorkers = 20'000;
// What a Hello may list: kept for as long as the worker is known.
constexpr std::size_t kMaxDataNames = 64;
constexpr std::size_t kMaxEncodings = 16;

Status CheckLists(const wire::Hello& hello) {
  if (hello.data.size() > kMaxDataNames) {
    return MakeError(Code::kInvalidArgument, "a Hello with {} names of data: at most {}; name fewer with --data",
                     hello.data.size(), kMaxDataNames);
  }
  for (const std::string& name : hello.data) TRIBUTARY_TRY(CheckSegment(name, "name of data"));
  if (hello.encodings.size() > kMaxEncodings) {
    return MakeError(Code::kInvalidArgument, "a Hello with {} encodings: at most {}; install the same release of both",
                     hello.encodings.size(), kMaxEncodings);
  }
  return Ok();
}

}  // namespace

Federation::Machine::Machine(Limits l, JobParser p, State restored, Time t)
    : limits(l), parser(std::move(p)), state(std::move(restored)), now(t), started(t.steady) {
  restored_orders = NextOrder();
  for (const auto& [key, seat] : state.seats) seat_of[HolderOf(seat)] = key;
  Advance();
}

void Federation::Machine::Record(Decision decision) {
  // Who is affected must be told; cheap over-approximation, TakeChanged compares.
  if (const auto* task = std::get_if<TaskRow>(&decision)) {
    if (const auto old = state.tasks.find(KeyOf(*task)); old != state.tasks.end()) Touch(old->second.holder);
    Touch(task->holder);
  } else if (const auto* seat = std::get_if<SeatRow>(&decision)) {
    if (const auto old = state.seats.find({seat->job, seat->ordinal}); old != state.seats.end()) {
      Touch(HolderOf(old->second));
    }
    Touch(HolderOf(*seat));
  } else if (!std::holds_alternative<CloseRound>(decision)) {
    TouchAll();
  }
  state.Apply(decision);
  decisions.push_back(std::move(decision));
}

void Federation::Machine::TouchAll() {
  for (const auto& [key, worker] : workers) dirty.insert(key);
}

std::vector<std::string> Federation::Machine::TakeChanged() {
  std::vector<std::string> changed;
  for (const std::string& key : std::exchange(dirty, {})) {
    const auto it = workers.find(key);
    if (it != workers.end() && it->second.connected && Fingerprint(key) != it->second.told) changed.push_back(key);
  }
  return changed;
}

const job::Job* Federation::Machine::Spec(const std::string& job) {
  const auto known = specs.find(job);
  if (known != specs.end()) return &known->second;
  const auto row = state.jobs.find(job);
  if (row == state.jobs.end() || Finished(row->second.state)) return nullptr;
  auto parsed = parser(row->second.text, job);
  if (!parsed.ok()) return nullptr;
  return &specs.emplace(job, std::move(*parsed)).first->second;
}

const RoundRow* Federation::Machine::Current(const std::string& job) const {
  auto it = state.rounds.upper_bound({job, UINT32_MAX});
  if (it == state.rounds.begin()) return nullptr;
  --it;
  return it->first.first == job ? &it->second : nullptr;
}

std::vector<const TaskRow*> Federation::Machine::Tasks(const std::string& job, std::uint32_t round,
                                                       wire::TaskKind kind) const {
  std::vector<const TaskRow*> rows;
  for (auto it = state.tasks.lower_bound({job, round, kind, 0}); it != state.tasks.end(); ++it) {
    const TaskRow& row = it->second;
    if (row.job != job || row.round != round || row.kind != kind) break;
    rows.push_back(&row);
  }
  return rows;
}

const TaskRow* Federation::Machine::Find(const std::string& job, std::uint32_t round, wire::TaskKind kind,
                                         std::uint32_t index) const {
  const auto it = state.tasks.find({job, round, kind, index});
  return it == state.tasks.end() ? nullptr : &it->second;
}

std::string WorkerKey(const wire::Hello& hello) {
  return hello.role == static_cast<std::uint32_t>(wire::Role::kTrainer) ? hello.site + "/" + hello.instance : hello.instance;
}

Result<std::string> Federation::Machine::Connect(const wire::Hello& hello, Time t) {
  now = t;
  Worker worker;
  TRIBUTARY_TRY(InstanceName::Parse(hello.instance).status());
  if (hello.role == static_cast<std::uint32_t>(wire::Role::kTrainer)) {
    TRIBUTARY_TRY(SiteName::Parse(hello.site).status());
    worker.role = wire::Role::kTrainer;
    worker.key = WorkerKey(hello);
  } else if (hello.role == static_cast<std::uint32_t>(wire::Role::kAggregator)) {
    worker.role = wire::Role::kAggregator;
    worker.key = WorkerKey(hello);
  } else {
    return MakeError(Code::kInvalidArgument, "a Hello of role {}; expected 1 (trainer) or 2 (aggregator)", hello.role);
  }
  TRIBUTARY_TRY(CheckLists(hello));
  const auto old = workers.find(worker.key);
  if (old == workers.end() && workers.size() >= kMaxWorkers) {
    return MakeError(Code::kResourceExhausted, "{} workers are connected already; start fewer", workers.size());
  }
  worker.site = hello.site;
  worker.instance = hello.instance;
  worker.wish = hello.ordinal;
  worker.data = hello.data;
  worker.encodings = hello.encodings;
  worker.heard = now.steady;
  worker.arrival = old != workers.end() ? old->second.arrival : ++arrivals;
  const std::string key = worker.key;
  Say(Note::Level::kInfo, "", fmt::format("{} {} {}", worker.role == wire::Role::kTrainer ? "trainer" : "aggregator", key,
                                      old == workers.end() ? "connects" : "connects again"));
  workers[key] = std::move(worker);
  Touch(key);
  Advance();
  return key;
}

void Federation::Machine::Disconnect(const std::string& worker) {
  const auto it = workers.find(worker);
  if (it != workers.end()) it->second.connected = false;
}

Result<wire::Submitted> Federation::Machine::Submit(const wire::Submit& submit, Time t) {
  now = t;
  TRIBUTARY_TRY(JobId::Parse(submit.name).status());
  if (submit.text.size() > kMaxJobText) {
    return MakeError(Code::kInvalidArgument, "the job file is larger than 48 KiB: {} bytes", submit.text.size());
  }
  const auto known = state.jobs.find(submit.name);
  if (known != state.jobs.end()) {
    const bool same = known->second.text == submit.text;
    if (submit.resume && (same || Finished(known->second.state))) return wire::Submitted{submit.name, true};
    return MakeError(Code::kAlreadyExists, "job {} exists ({}){}; submit it under another name", submit.name,
                     JobStateName(known->second.state), submit.resume ? " with another text" : "");
  }
  TRIBUTARY_TRY(CheckQueue());
  TRIBUTARY_ASSIGN(job::Job spec, parser(submit.text, submit.name));
  if (spec.participants.min > spec.data.count || spec.participants.quorum > spec.data.count) {
    return MakeError(Code::kInvalidArgument,
                     "job {}: participants.min {} and quorum {} must not be above data.partition.count {}", submit.name,
                     spec.participants.min, spec.participants.quorum, spec.data.count);
  }
  JobRow row;
  row.job = submit.name;
  row.text = submit.text;
  row.rounds = spec.rounds;
  row.order = NextOrder();
  specs[submit.name] = std::move(spec);
  Record(row);
  Say(Note::Level::kInfo, row.job, fmt::format("job {} is queued: {} rounds", row.job, row.rounds));
  Advance();
  return wire::Submitted{submit.name, false};
}

Result<wire::Stopped> Federation::Machine::Stop(const std::string& job, Time t) {
  now = t;
  const auto known = state.jobs.find(job);
  if (known == state.jobs.end()) return MakeError(Code::kNotFound, "no job {} here", job);
  if (known->second.state == JobState::kRunning) {
    EndJob(job, JobState::kStopped, "stopped on request");
  } else if (known->second.state == JobState::kQueued) {
    JobRow row = known->second;
    row.state = JobState::kStopped;
    row.message = "stopped on request before it began";
    row.ended_ms = now.wall_ms;
    if (row.started_ms == 0) row.started_ms = now.wall_ms;
    specs.erase(job);
    Record(row);
  }
  Advance();
  return wire::Stopped{job, JobStateName(state.jobs.at(job).state)};
}

void Federation::Machine::Tick(Time t) {
  now = t;
  for (auto it = workers.begin(); it != workers.end();) {
    if (now.steady - it->second.heard > std::max({kForget, limits.seat_timeout, limits.lease_timeout})) {
      it = workers.erase(it);
    } else {
      ++it;
    }
  }
  ExpireRetries();
  for (const std::string& job : Running()) {
    if (!StopAtStalledFetch(job)) ExpireTasks(job);
  }
  Advance();
}

Federation::Federation(Limits limits, JobParser parser, State restored, Time now)
    : machine_(std::make_unique<Machine>(limits, std::move(parser), std::move(restored), now)) {}
Federation::~Federation() = default;
Federation::Federation(Federation&&) noexcept = default;

Result<std::string> Federation::Connect(const wire::Hello& hello, Time now) { return machine_->Connect(hello, now); }
void Federation::Disconnect(const std::string& worker) { machine_->Disconnect(worker); }
bool Federation::Report(const std::string& worker, const wire::Report& report, Time now) {
  return machine_->Report(worker, report, now);
}
void Federation::Tick(Time now) { machine_->Tick(now); }
Result<wire::Submitted> Federation::Submit(const wire::Submit& submit, Time now) {
  return machine_->Submit(submit, now);
}
Result<wire::Stopped> Federation::Stop(const std::string& job, Time now) { return machine_->Stop(job, now); }
Result<wire::Resumed> Federation::Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, std::optional<RoundRow> from, Time now) {
  return machine_->Resume(std::move(stored), std::move(newest), std::move(updates), std::move(from), now);
}
std::vector<Decision> Federation::TakeDecisions() { return std::exchange(machine_->decisions, {}); }
std::vector<std::string> Federation::TakeChanged() { return machine_->TakeChanged(); }
std::vector<Note> Federation::TakeNotes() { return std::exchange(machine_->notes, {}); }
wire::Assignment Federation::AssignmentOf(const std::string& worker) { return machine_->AssignmentOf(worker); }
std::vector<std::string> Federation::ImportsOf(const std::string& job) {
  std::vector<std::string> imports;
  const job::Job* const spec = machine_->Spec(job);
  if (spec == nullptr) return imports;
  for (const std::string& object : {spec->model.object, spec->model.tokenizer_object, spec->adapter.object}) {
    if (!object.empty()) imports.push_back(object.substr(0, object.find('@')));
  }
  return imports;
}
Result<std::string> Federation::JobText(const std::string& job) const {
  const auto it = machine_->state.jobs.find(job);
  if (it == machine_->state.jobs.end() || Finished(it->second.state)) {
    return MakeError(Code::kNotFound, "no unfinished job {} here", job);
  }
  return it->second.text;
}
Result<wire::JobStatus> Federation::StatusOf(const std::string& job, Time now) const {
  return machine_->StatusOf(job, now);
}
wire::JobList Federation::Jobs() const { return machine_->Jobs(); }
const State& Federation::state() const { return machine_->state; }
Federation::Census Federation::Count() const { return machine_->Count(); }
Vitals Federation::Watch(Time now) const { return machine_->Watch(now); }

}  // namespace tributary::federation
