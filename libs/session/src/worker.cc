#include "tributary/session/worker.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

#include "reconciler.h"
#include "task_slot.h"
#include "tributary/base/log.h"
#include "tributary/base/random.h"
#include "tributary/base/units.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/greeting.h"

namespace tributary::session {
namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

constexpr Duration kProgressInterval{200};
constexpr Duration kHelloRetry{2'000};     // no Welcome for this long: again, on a fresh socket
constexpr Duration kRefusalRetry{1'000};   // a coordinator that cannot take us now
constexpr Duration kLeaveWait{500};
constexpr std::uint64_t kMinHeartbeatMs = 50;
constexpr std::uint64_t kMaxHeartbeatMs = 60'000;

SessionOptions WithLife(SessionOptions options) {
  options.hello.life = NewLife();
  return options;
}

class Session final : public WorkerSession {
 public:
  Session(const SessionOptions& options, TaskRunner& runner)
      : options_(WithLife(options)), runner_(runner), slot_(runner, [this] { Wake(); }), reconciler_(slot_) {
    if (!options_.beside.empty()) beside_.emplace(runner, [this] { Wake(); });
  }
  ~Session() override { Stop(); }

  Status Begin(std::shared_ptr<transport::Context> context) {
    TRIBUTARY_ASSIGN(client_, transport::FrameClient::Connect(std::move(context), {options_.coordinator}));
    thread_ = std::thread([this] { Loop(); });
    return Ok();
  }

  void Stop() override {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
    Wake();
    if (thread_.joinable()) thread_.join();
    slot_.Stop();
    if (beside_) beside_->slot.Stop();
  }

  std::optional<Error> Refused() const override {
    const std::lock_guard lock(mutex_);
    return refused_;
  }

  bool Connected() const override { return connected_; }

 private:
  // The task's thread may tell something before the socket exists.
  void Wake() {
    if (client_) client_->Interrupt();
  }

  void Loop() {
    heard_ = warned_ = SteadyClock::now();
    SendHello();
    while (!stopping_) {
      auto received = client_->Receive(UntilNext());
      if (stopping_) break;
      if (!received.ok()) {
        log::Warning("{}", received.error().message());
        Again(kRefusalRetry);
      } else if (received->event == transport::Event::kFrame) {
        OnFrame(received->frame.view());
      } else if (received->event == transport::Event::kLost) {
        const std::string trouble = client_->Trouble();
        const auto now = SteadyClock::now();
        if (trouble.empty() || trouble != trouble_ || now - warned_ >= options_.silence_warning) {
          log::Warning("the connection to the coordinator at {} is lost{}; trying again", options_.coordinator, trouble);
          warned_ = now;
        }
        trouble_ = trouble;
        // A handshake that failed will fail again until somebody does something.
        Again(trouble.empty() ? Duration(0) : kRefusalRetry);
      }
      if (Refused()) break;
      Advance();
    }
    connected_ = false;
    if (stopping_ && !session_.empty()) Leave();
    slot_.RequestStop();
    if (beside_) beside_->slot.RequestStop();
  }

  bool Running() const { return reconciler_.Running() || (beside_ && beside_->reconciler.Running()); }

  // Of all tasks; `news` when a running one told something.
  std::vector<wire::TaskReport> Reports(bool* news) {
    auto reports = reconciler_.Reports(news);
    if (!beside_) return reports;
    bool more = false;
    for (auto& report : beside_->reconciler.Reports(&more)) reports.push_back(std::move(report));
    *news = *news || more;
    return reports;
  }

  // Time until something is due though nothing comes in.
  Duration UntilNext() const {
    const TimePoint now = SteadyClock::now();
    TimePoint next = next_hello_;
    if (!session_.empty()) {
      next = last_report_ + heartbeat_;
      // Progress does not wake this thread; it is looked at now and then.
      if (Running()) next = std::min(next, now + kProgressInterval);
    }
    return std::max(std::chrono::duration_cast<Duration>(next - now) + Duration(1), Duration(0));
  }

  void Advance() {
    const TimePoint now = SteadyClock::now();
    const Duration silence = std::chrono::duration_cast<Duration>(now - heard_);
    if (options_.silence_warning.count() > 0 && now - std::max(heard_, warned_) >= options_.silence_warning) {
      const std::string trouble = client_->Trouble();
      log::Warning("no word from the coordinator at {} for {}{}", options_.coordinator, FormatDuration(silence),
                   trouble.empty() ? "; check that it runs there and that this machine may reach it" : trouble);
      warned_ = now;
    }
    bool changed = reconciler_.Step(blob_stores_);
    if (beside_) changed = beside_->reconciler.Step(blob_stores_) || changed;
    if (session_.empty()) {
      if (now >= next_hello_) {
        // A fresh socket: hellos must not pile up for a coordinator that is away.
        if (auto status = client_->Reset(); !status.ok()) log::Warning("{}", status.error().message());
        SendHello();
      }
      return;
    }
    // A dead peer behind a half-open connection is told by no event of the socket.
    if (silence >= std::max(Duration(5'000), 10 * heartbeat_)) {
      log::Warning("the coordinator at {} does not answer for {}; connecting anew", options_.coordinator,
                   FormatDuration(silence));
      Again(Duration(0));
      return;
    }
    if (silence >= std::max(Duration(3'000), 3 * heartbeat_)) connected_ = false;
    if (const auto job = reconciler_.WantedJobText(); job && asked_job_ != *job) {
      asked_job_ = *job;
      job_request_ = ++next_id_;
      Send(transport::MakeFrame(job_request_, wire::GetJobText{*job}));
    }
    bool news = false;
    auto reports = Reports(&news);
    news_ = news_ || news;
    const auto since = now - last_report_;
    if (changed || PhaseChanged(reports) || since >= heartbeat_ || (news_ && since >= kProgressInterval)) {
      SendReport(std::move(reports), false);
    }
  }

  // A task is in another phase or state than in the last report.
  bool PhaseChanged(const std::vector<wire::TaskReport>& reports) const {
    if (reports.size() != told_.size()) return true;
    for (const auto& report : reports) {
      const auto told = told_.find(report.task);
      if (told == told_.end() || told->second != std::pair(report.state, report.phase)) return true;
    }
    return false;
  }

  void SendHello() {
    session_.clear();
    connected_ = false;
    asked_job_.clear();
    next_hello_ = SteadyClock::now() + kHelloRetry;
    hello_request_ = ++next_id_;
    Send(transport::MakeFrame(hello_request_, options_.hello));
  }

  // A new session after `pause`, on a fresh socket.
  void Again(Duration pause) {
    session_.clear();
    connected_ = false;
    heard_ = SteadyClock::now();
    if (pause.count() > 0) {
      next_hello_ = SteadyClock::now() + pause;
      return;
    }
    if (auto status = client_->Reset(); !status.ok()) log::Warning("{}", status.error().message());
    SendHello();
  }

  void SendReport(std::vector<wire::TaskReport> reports, bool leaving) {
    told_.clear();
    for (const auto& report : reports) told_[report.task] = {report.state, report.phase};
    wire::Report report;
    report.session = session_;
    report.tasks = std::move(reports);
    report.samples = runner_.Samples();
    report.leaving = leaving;
    last_report_ = SteadyClock::now();
    news_ = false;
    report_request_ = ++next_id_;
    Send(transport::MakeFrame(report_request_, report));
  }

  void Send(transport::OutFrame frame) {
    // Lost frames are no harm: the next heartbeat says the same, a silent peer gets a new session.
    if (auto status = client_->Send(std::move(frame)); !status.ok()) log::Debug("{}", status.error().message());
  }

  void OnFrame(const wire::FrameView& frame) {
    heard_ = SteadyClock::now();
    Status status = wire::CheckProtocol(frame, "the coordinator at " + options_.coordinator);
    if (!status.ok()) {
      Refuse(status.error());
      return;
    }
    switch (frame.type) {
      case wire::Type::kWelcome: status = OnWelcome(frame); break;
      case wire::Type::kAssignment: status = OnAssignment(frame); break;
      case wire::Type::kJobText: status = OnJobText(frame); break;
      case wire::Type::kError: OnError(frame); break;
      default: log::Debug("the coordinator sent a {} message, which a worker does not expect", wire::TypeName(frame.type));
    }
    if (!status.ok()) log::Warning("the coordinator at {}: {}", options_.coordinator, status.error().message());
  }

  Status OnWelcome(const wire::FrameView& frame) {
    if (frame.id != hello_request_) return Ok();  // of a hello that was given up
    TRIBUTARY_ASSIGN(auto welcome, wire::DecodeBody<wire::Welcome>(frame.body));
    if (welcome.session.empty()) return MakeError(Code::kProtocol, "a welcome without a session");
    session_ = std::move(welcome.session);
    heartbeat_ = Duration(std::clamp(welcome.heartbeat_ms, kMinHeartbeatMs, kMaxHeartbeatMs));
    blob_stores_ = std::move(welcome.blob_stores);
    connected_ = true;
    log::Info("connected to the coordinator at {}", options_.coordinator);
    bool news = false;
    SendReport(Reports(&news), false);
    return Ok();
  }

  Status OnAssignment(const wire::FrameView& frame) {
    if (session_.empty()) return Ok();
    TRIBUTARY_ASSIGN(auto assignment, wire::DecodeBody<wire::Assignment>(frame.body));
    connected_ = true;
    if (assignment.seat != seat_) {
      seat_ = assignment.seat;
      runner_.OnSeat(seat_);
    }
    const auto beside = std::stable_partition(assignment.tasks.begin(), assignment.tasks.end(), [this](const wire::TaskSpec& spec) {
      return std::find(options_.beside.begin(), options_.beside.end(), static_cast<wire::TaskKind>(spec.kind)) == options_.beside.end();
    });
    if (beside_) beside_->reconciler.Apply({beside, assignment.tasks.end()});
    assignment.tasks.erase(beside, assignment.tasks.end());
    reconciler_.Apply(assignment.tasks);
    return Ok();
  }

  Status OnJobText(const wire::FrameView& frame) {
    if (frame.id != job_request_ || asked_job_.empty()) return Ok();
    const std::string job = std::exchange(asked_job_, {});
    TRIBUTARY_ASSIGN(auto text, wire::DecodeBody<wire::JobText>(frame.body));
    if (text.job != job) return MakeError(Code::kProtocol, "the text of job {} came instead of {}", text.job, job);
    reconciler_.SetJobText(job, std::move(text.text));
    return Ok();
  }

  void OnError(const wire::FrameView& frame) {
    const Error error = wire::ErrorOf(frame);
    // A hello that is wrong stays so; and another process that has the name would lose it at each hello of this one.
    const bool hello_refused = frame.id == hello_request_ &&
                               (error.code() == Code::kAlreadyExists || error.code() == Code::kInvalidArgument);
    if (error.code() == Code::kProtocol || error.code() == Code::kPermission || hello_refused) {
      Refuse(error.Wrap("the coordinator at " + options_.coordinator + " refuses this worker"));
    } else if (frame.id == job_request_ && !asked_job_.empty()) {
      reconciler_.FailJobText(std::exchange(asked_job_, {}), error.Wrap("fetching the job's text"));
    } else if (frame.id == hello_request_ && session_.empty()) {
      log::Warning("the coordinator at {} cannot take this worker now: {}", options_.coordinator, error.message());
      next_hello_ = SteadyClock::now() + kRefusalRetry;
    } else if (error.code() == Code::kNotFound && !session_.empty()) {
      log::Info("the coordinator at {} does not know this session any more; saying hello again", options_.coordinator);
      SendHello();
    } else {
      log::Warning("the coordinator at {}: {}", options_.coordinator, error.message());
    }
  }

  void Refuse(Error error) {
    const std::lock_guard lock(mutex_);
    refused_ = std::move(error);
  }

  // Waits for the answer: a socket that closes at once would drop the message.
  void Leave() {
    bool news = false;
    SendReport(Reports(&news), true);
    const TimePoint end = SteadyClock::now() + kLeaveWait;
    while (SteadyClock::now() < end) {
      auto received = client_->Receive(kLeaveWait);
      if (!received.ok() || received->event == transport::Event::kLost) return;
      if (received->event == transport::Event::kFrame && received->frame.view().id == report_request_) return;
    }
  }

  const SessionOptions options_;
  TaskRunner& runner_;
  std::unique_ptr<transport::FrameClient> client_;  // the control thread's, but for Interrupt
  std::atomic<bool> stopping_{false};
  std::atomic<bool> connected_{false};
  std::mutex stop_mutex_;

  mutable std::mutex mutex_;
  std::optional<Error> refused_;  // protected by mutex_

  TaskSlot slot_;

  // The control thread's own.
  Reconciler reconciler_;
  struct Beside {
    Beside(TaskRunner& runner, std::function<void()> wake) : slot(runner, std::move(wake)), reconciler(slot) {}
    TaskSlot slot;
    Reconciler reconciler;
  };
  std::optional<Beside> beside_;  // made with the session
  std::string session_;  // empty: no welcome yet
  std::string seat_;
  std::vector<std::string> blob_stores_;
  Duration heartbeat_{1000};
  TimePoint heard_;
  TimePoint warned_;
  std::string trouble_;  // of handshakes, as it was logged last
  TimePoint next_hello_;
  TimePoint last_report_;
  bool news_ = false;
  std::map<std::string, std::pair<std::uint32_t, std::string>> told_;
  std::uint64_t next_id_ = 0;
  std::uint64_t hello_request_ = 0;
  std::uint64_t report_request_ = 0;
  std::uint64_t job_request_ = 0;
  std::string asked_job_;

  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<WorkerSession>> WorkerSession::Start(std::shared_ptr<transport::Context> context,
                                                            const SessionOptions& options, TaskRunner& runner) {
  auto session = std::make_unique<Session>(options, runner);
  TRIBUTARY_TRY(session->Begin(std::move(context)));
  return std::unique_ptr<WorkerSession>(std::move(session));
}

}  // namespace tributary::session
