#include "services/coordinator/control.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "services/coordinator/status_frame.h"
#include "services/coordinator/task_grants.h"
#include "tributary/base/clock.h"
#include "tributary/base/log.h"
#include "tributary/base/random.h"
#include "tributary/config/options.h"
#include "tributary/job/needs.h"
#include "tributary/wire/codec.h"

namespace tributary::service {
namespace {

constexpr std::uint32_t kMaxRoundsRead = 64;
constexpr std::size_t kMaxLife = 64;
// A process that was not heard for this long is gone, or out of reach: its name is free.
constexpr Duration kRivalSilence{10'000};
constexpr Duration kSessionEnd{300'000};  // silence after which a session is forgotten
constexpr Duration kWatch{500};  // between looks at all seats for the metrics

federation::Time Now() {
  federation::Time time;
  time.steady = std::chrono::duration_cast<Duration>(Clock::Steady().Now().time_since_epoch());
  time.wall_ms = std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()).count();
  return time;
}

}  // namespace

Control::Control(ControlOptions options, federation::State restored, journal::Journal& journal, Telemetry& telemetry,
                 std::function<void(Error)> on_failure)
    : options_(std::move(options)),
      journal_(journal),
      telemetry_(telemetry),
      on_failure_(std::move(on_failure)),
      federation_(options_.limits, options_.parser, std::move(restored), Now()),
      life_(NewLife()),
      retrievals_(options_.retrievals, life_, options_.blob_stores) {}

void Control::Attach(transport::FrameServer& server) {
  server_ = &server;
  attached_.count_down();
}

template <class Message>
void Control::Reply(const transport::PeerId& peer, std::uint64_t id, const Message& message) {
  transport::OutFrame frame = transport::MakeFrame(id, message);
  if (frame.header.size() > wire::kMaxControlFrame) {
    // The peer's socket would cut the connection; say what happened instead.
    ReplyError(peer, id, MakeError(Code::kInternal, "the {} message for this peer does not fit a control frame: {} bytes",
                                   wire::TypeName(Message::kType), frame.header.size()));
    log::LogError("a {} message of {} bytes does not fit a control frame", wire::TypeName(Message::kType),
                  frame.header.size());
    return;
  }
  server_->Send(peer, std::move(frame));
}

void Control::ReplyError(const transport::PeerId& peer, std::uint64_t id, const Error& error) {
  server_->Send(peer, {wire::EncodeError(id, error), nullptr});
}

bool Control::Commit() {
  const auto decisions = federation_.TakeDecisions();
  const auto notes = federation_.TakeNotes();
  if (const Status status = journal_.Append(decisions, notes); !status.ok()) {
    failed_ = true;
    log::LogError("the coordinator ends: {}", status.error().message());
    on_failure_(status.error());
    return false;
  }
  for (const auto& note : notes) {
    log::Write(note.level == federation::Note::Level::kWarning ? log::Level::kWarning : log::Level::kInfo, note.text);
  }
  telemetry_.Decided(decisions);
  return true;
}

void Control::Push() {
  std::set<std::string> changed = retrievals_.TakeChanged();
  for (std::string& worker : federation_.TakeChanged()) changed.insert(std::move(worker));
  for (const std::string& worker : changed) {
    const auto session = session_of_.find(worker);
    if (session == session_of_.end()) continue;
    const Session& known = sessions_.at(session->second);
    Reply(known.peer, 0, GrantedTo(known));
  }
}

wire::Assignment Control::AssignmentOf(const std::string& worker) {
  wire::Assignment assignment = federation_.AssignmentOf(worker);
  retrievals_.AddTasks(worker, assignment);
  return assignment;
}

wire::Assignment Control::GrantedTo(const Session& session) {
  wire::Assignment assignment = AssignmentOf(session.worker);
  if (!options_.grants || !session.trainer || !session.owner) return assignment;
  const std::int64_t now = Now().wall_ms / 1000;
  for (wire::TaskSpec& task : assignment.tasks) {
    auto grant = options_.grants->Sign(GrantOf(task, *session.owner, federation_.ImportsOf(task.job), now));
    if (grant.ok()) {
      task.grant = *std::move(grant);
    } else {
      log::LogError("{}", grant.error().message());  // the blob-store refuses the task, and says why
    }
  }
  return assignment;
}

void Control::OnFrame(const transport::PeerId& peer, transport::InFrame frame) {
  attached_.wait();
  if (failed_) return;
  const Status status = Dispatch(peer, frame.view(), frame.sender());
  if (failed_) return;
  if (!status.ok()) {
    if (status.error().code() == Code::kPermission) {
      telemetry_.Forbidden();
      server_->Complain(peer, status.error().message());
    }
    log::Debug("peer {}: {}", peer.str(), status.error().message());
    ReplyError(peer, frame.view().id, status.error());
  }
  if (Commit()) Push();
}

void Control::OnTick() {
  attached_.wait();
  if (failed_) return;
  const auto now = Now();
  federation_.Tick(now);
  retrievals_.Tick(now.steady);
  std::vector<std::string> silent;
  for (const auto& [name, session] : sessions_) {
    if (now.steady - session.heard > kSessionEnd) silent.push_back(name);
  }
  for (const std::string& name : silent) {
    retrievals_.Forget(sessions_.at(name).worker, now.steady);
    EndSession(name);
  }
  if (!Commit()) return;
  Push();
  telemetry_.Count(federation_.Count(), sessions_.size());
  if (now.steady - watched_ < kWatch) return;
  watched_ = now.steady;
  telemetry_.Watch(federation_.Watch(now));
}

void Control::OnGone(const transport::PeerId& peer) {
  for (auto& [name, session] : sessions_) {
    if (session.peer != peer) continue;
    session.gone = true;
    federation_.Disconnect(session.worker);
    retrievals_.Disconnect(session.worker, Now().steady);
  }
}

void Control::EndSession(const std::string& name) {
  const auto session = sessions_.find(name);
  if (session == sessions_.end()) return;
  telemetry_.Forget(session->second.worker);
  session_of_.erase(session->second.worker);
  sessions_.erase(session);
}

Status Control::CheckRole(const transport::Identity& sender, wire::Type type) {
  using transport::PeerRole;
  using wire::Type;
  bool allowed = false;
  switch (type) {
    case Type::kPing: return Ok();
    case Type::kHello:
    case Type::kReport:
    case Type::kGetJobText: allowed = sender.role == PeerRole::kTrainer || sender.role == PeerRole::kAggregator; break;
    default: allowed = sender.role == PeerRole::kOperator; break;
  }
  if (allowed || (type == Type::kGetJobText && sender.role == PeerRole::kOperator)) return Ok();
  return MakeError(Code::kPermission, "{} may not send {} messages", sender.str(), wire::TypeName(type));
}

bool Control::WorksFor(const transport::Identity& sender, const std::string& job) {
  for (const auto& [name, session] : sessions_) {
    if (session.owner != sender) continue;
    const wire::Assignment assignment = AssignmentOf(session.worker);
    if (std::ranges::any_of(assignment.tasks, [&](const wire::TaskSpec& task) { return task.job == job; })) return true;
  }
  return false;
}

Status Control::Dispatch(const transport::PeerId& peer, const wire::FrameView& frame, const transport::Identity* sender) {
  using wire::Type;
  if (frame.protocol != wire::kProtocol) {
    std::string who = "peer";
    if (const auto hello = wire::DecodeBody<wire::Hello>(frame.body); frame.type == Type::kHello && hello.ok()) {
      if (hello->role == static_cast<std::uint32_t>(wire::Role::kTrainer)) who = "trainer";
      if (hello->role == static_cast<std::uint32_t>(wire::Role::kAggregator)) who = "aggregator";
    }
    const Error error = MakeError(Code::kProtocol,
                                  "coordinator speaks protocol {}, this {} speaks {}: install the same release of both",
                                  wire::kProtocol, who, frame.protocol);
    server_->Complain(peer, error.message());
    return error;
  }
  if (sender != nullptr) TRIBUTARY_TRY(CheckRole(*sender, frame.type));
  const auto now = Now();
  switch (frame.type) {
    case Type::kPing:
      Reply(peer, frame.id, wire::Pong{"coordinator", std::string(config::Version())});
      return Ok();
    case Type::kHello: {
      TRIBUTARY_ASSIGN(const auto hello, wire::DecodeBody<wire::Hello>(frame.body));
      return OnHello(peer, frame.id, hello, sender);
    }
    case Type::kReport: {
      TRIBUTARY_ASSIGN(auto report, wire::DecodeBody<wire::Report>(frame.body));
      return OnReport(peer, frame.id, std::move(report), sender);
    }
    case Type::kGetJobText: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::GetJobText>(frame.body));
      return OnGetJobText(peer, frame.id, request, sender);
    }
    case Type::kSubmit: {
      TRIBUTARY_ASSIGN(const auto submit, wire::DecodeBody<wire::Submit>(frame.body));
      return OnSubmit(peer, frame.id, submit);
    }
    case Type::kGetStatus: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::GetStatus>(frame.body));
      return OnGetStatus(peer, frame.id, request);
    }
    case Type::kListJobs: {
      wire::JobList list = federation_.Jobs();
      std::size_t bytes = 0;
      std::size_t fit = 0;
      for (; fit < list.jobs.size(); ++fit) {
        bytes += list.jobs[fit].job.size() + 60;
        if (bytes > wire::kMaxControlFrame - 1024) break;
      }
      list.jobs.resize(fit);
      Reply(peer, frame.id, list);
      return Ok();
    }
    case Type::kStopJob: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::StopJob>(frame.body));
      TRIBUTARY_ASSIGN(const auto stopped, federation_.Stop(request.job, now));
      if (Commit()) Reply(peer, frame.id, stopped);
      return Ok();
    }
    case Type::kGetLog: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::GetLog>(frame.body));
      TRIBUTARY_ASSIGN(const auto log, LogOf(request));
      Reply(peer, frame.id, log);
      return Ok();
    }
    case Type::kResumeJob: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::ResumeJob>(frame.body));
      TRIBUTARY_ASSIGN(const auto resumed, Resume(request, now));
      if (Commit()) Reply(peer, frame.id, resumed);
      return Ok();
    }
    case Type::kListOffers: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::ListOffers>(frame.body));
      Reply(peer, frame.id, retrievals_.Offers(request.site, now.steady));
      return Ok();
    }
    case Type::kRetrieve: {
      TRIBUTARY_ASSIGN(const auto request, wire::DecodeBody<wire::Retrieve>(frame.body));
      TRIBUTARY_ASSIGN(const auto answer, retrievals_.Ask(request, now.steady));
      Reply(peer, frame.id, answer);
      return Ok();
    }
    default:
      return MakeError(Code::kProtocol, "a coordinator takes no {} message; is this the address of a coordinator?",
                       wire::TypeName(frame.type));
  }
}

// Whoever was displaced and comes back is alive beside the one that displaced it.
Status Control::CheckRival(const wire::Hello& hello, federation::Time now) const {
  const auto current = session_of_.find(federation::WorkerKey(hello));
  if (current == session_of_.end() || hello.life.empty()) return Ok();
  const Session& session = sessions_.at(current->second);
  const Duration silence = std::max(kRivalSilence, 3 * options_.heartbeat);
  if (session.displaced != hello.life || session.gone || now.steady - session.heard >= silence) return Ok();
  return MakeError(Code::kAlreadyExists, "another process works as {}; end one of them or give it another --instance", session.worker);
}

Status Control::OnHello(const transport::PeerId& peer, std::uint64_t id, const wire::Hello& hello, const transport::Identity* sender) {
  if (sender != nullptr) {
    const bool trainer = sender->role == transport::PeerRole::kTrainer;
    const auto role = trainer ? wire::Role::kTrainer : wire::Role::kAggregator;
    if (hello.role != static_cast<std::uint32_t>(role)) return MakeError(Code::kPermission, "{} may not work as another role", sender->str());
    if (trainer && hello.site != sender->name) {
      return MakeError(Code::kPermission, "{} may not work for site '{}': start it with --site {}, or with the key of that site", sender->str(), hello.site.substr(0, 63), sender->name);
    }
  }
  const auto now = Now();
  if (hello.life.size() > kMaxLife) return MakeError(Code::kInvalidArgument, "a Hello whose life has {} bytes", hello.life.size());
  TRIBUTARY_TRY(Retrievals::Check(hello));
  TRIBUTARY_TRY(CheckRival(hello, now));
  TRIBUTARY_ASSIGN(const std::string worker, federation_.Connect(hello, now));
  if (!Commit()) return Ok();
  std::string displaced;
  if (const auto old = session_of_.find(worker); old != session_of_.end()) {
    const Session& session = sessions_.at(old->second);
    displaced = session.life == hello.life ? session.displaced : session.life;
    EndSession(std::string(old->second));
  }
  const std::string name = fmt::format("{}.{}", life_, ++session_count_);
  sessions_[name] = {worker, peer, hello.role == static_cast<std::uint32_t>(wire::Role::kTrainer), now.steady, hello.life, displaced, false, hello.memory_budget,
                     sender != nullptr ? std::optional(*sender) : std::nullopt};
  session_of_[worker] = name;
  retrievals_.Connect(worker, hello, now.steady);
  wire::Welcome welcome;
  welcome.session = name;
  welcome.heartbeat_ms = static_cast<std::uint64_t>(options_.heartbeat.count());
  welcome.blob_stores = options_.blob_stores;
  welcome.blob_store_shards = std::max<std::size_t>(options_.blob_stores.size(), 1);
  Reply(peer, id, welcome);
  return Ok();
}

Status Control::OnReport(const transport::PeerId& peer, std::uint64_t id, wire::Report report, const transport::Identity* sender) {
  const auto found = sessions_.find(report.session);
  if (found == sessions_.end()) {
    return Error(Code::kNotFound, "the coordinator does not know this session; say Hello again");
  }
  Session& session = found->second;
  if (sender != nullptr && session.owner != *sender) return MakeError(Code::kPermission, "{} may not report in the session of another", sender->str());
  const auto now = Now();
  // The federation forgets a worker sooner than its session ends; then it must say Hello again.
  session.peer = peer;
  session.gone = false;
  session.heard = now.steady;
  retrievals_.TakeReports(session.worker, report.tasks, now.steady);
  if (!federation_.Report(session.worker, report, now)) {
    retrievals_.Forget(session.worker, now.steady);
    EndSession(report.session);
    return Error(Code::kNotFound, "the coordinator was not told of this worker for too long; say Hello again");
  }
  if (!Commit()) return Ok();
  if (session.trainer && !report.samples.empty()) telemetry_.Relay(session.worker, report.samples);
  // A worker that left is known no longer; it gets an empty assignment.
  if (report.leaving) retrievals_.Forget(session.worker, now.steady);
  Reply(peer, id, GrantedTo(session));
  if (report.leaving) EndSession(report.session);
  return Ok();
}

Status Control::CheckBudgets(const wire::Submit& submit) const {
  const Session* least = nullptr;
  for (const auto& [name, session] : sessions_) {
    if (session.gone || session.memory_budget == 0) continue;
    if (least == nullptr || session.memory_budget < least->memory_budget) least = &session;
  }
  if (least == nullptr) return Ok();
  const auto job = options_.parser(submit.text, submit.name);
  if (!job.ok()) return Ok();  // the federation tells what is wrong with it
  const Status enough = job::CheckBudget(*job, least->memory_budget);
  return enough.ok() ? Ok() : Status(enough.error().Wrap(least->worker));
}

Status Control::OnSubmit(const transport::PeerId& peer, std::uint64_t id, const wire::Submit& submit) {
  const auto known = federation_.state().jobs.find(submit.name);
  if (submit.resume && known != federation_.state().jobs.end() && Finished(known->second.state)) {
    TRIBUTARY_ASSIGN(const auto row, journal_.Job(submit.name));
    if (row.text != submit.text) {
      return MakeError(Code::kAlreadyExists, "job {} exists ({}) with another text; submit it under another name",
                       submit.name, federation::JobStateName(row.state));
    }
  }
  if (known == federation_.state().jobs.end()) TRIBUTARY_TRY(CheckBudgets(submit));
  TRIBUTARY_ASSIGN(const auto submitted, federation_.Submit(submit, Now()));
  if (Commit()) Reply(peer, id, submitted);
  return Ok();
}

Status Control::OnGetStatus(const transport::PeerId& peer, std::uint64_t id, const wire::GetStatus& request) {
  TRIBUTARY_ASSIGN(auto status, federation_.StatusOf(request.job, Now()));
  TRIBUTARY_ASSIGN(const auto rounds, journal_.Rounds(request.job, request.since_round, kMaxRoundsRead));
  FitFrame(status, rounds, [&](const federation::RoundRow& round) {
    auto updates = journal_.Updates(round.job, round.round);
    return updates.ok() ? *std::move(updates) : std::vector<federation::TaskRow>();  // a status is no worse for a reason that it lacks
  });
  Reply(peer, id, status);
  return Ok();
}

Status Control::OnGetJobText(const transport::PeerId& peer, std::uint64_t id, const wire::GetJobText& request, const transport::Identity* sender) {
  if (sender != nullptr && sender->role == transport::PeerRole::kTrainer && !WorksFor(*sender, request.job)) {
    // As if there were none; a task may also have been withdrawn a moment ago.
    return MakeError(Code::kNotFound, "{} has no task of job '{}'", sender->str(), request.job.substr(0, 64));
  }
  auto text = federation_.JobText(request.job);
  if (!text.ok()) {
    // Removals of a finished job still go on.
    TRIBUTARY_ASSIGN(auto row, journal_.Job(request.job));
    text = std::move(row.text);
  }
  Reply(peer, id, wire::JobText{request.job, *text});
  return Ok();
}

}  // namespace tributary::service
