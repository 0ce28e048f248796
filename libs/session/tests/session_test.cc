#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "fake_coordinator.h"
#include "tributary/memory/phases.h"
#include "tributary/metrics/metrics.h"
#include "tributary/session/metered_runner.h"
#include "tributary/session/worker.h"

namespace tributary::session {
namespace {

using testing::HasSubstr;
using Seen = FakeCoordinator::Seen;

constexpr auto kDone = static_cast<std::uint32_t>(wire::TaskState::kDone);
constexpr auto kFailed = static_cast<std::uint32_t>(wire::TaskState::kFailed);
constexpr auto kRunning = static_cast<std::uint32_t>(wire::TaskState::kRunning);

class ScriptedRunner final : public TaskRunner {
 public:
  using Script = std::function<Result<TaskResult>(const TaskContext&)>;
  explicit ScriptedRunner(Script script) : script_(std::move(script)) {}
  Result<TaskResult> Run(const TaskContext& context) override {
    ++runs;
    return script_(context);
  }
  std::map<std::string, double> Samples() override { return {{"rss", 42}}; }
  void OnSeat(const std::string& seat) override {
    const std::lock_guard lock(mutex);
    seats.push_back(seat);
  }
  std::atomic<int> runs{0};
  std::mutex mutex;
  std::vector<std::string> seats;

 private:
  Script script_;
};

Result<TaskResult> UntilStopped(const TaskContext& context) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, context.stop, [] { return false; });
  return MakeError(Code::kCancelled, "stopped");
}

wire::TaskSpec Task(const std::string& name, const std::string& job = "job-1",
                    wire::TaskKind kind = wire::TaskKind::kTrain) {
  wire::TaskSpec spec;
  spec.task = name;
  spec.job = job;
  spec.kind = static_cast<std::uint32_t>(kind);
  return spec;
}

SessionOptions Options(const std::string& endpoint) {
  SessionOptions options;
  options.coordinator = endpoint;
  options.hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
  options.hello.site = "site";
  options.hello.instance = "trainer-0";
  return options;
}

std::unique_ptr<WorkerSession> Begin(const std::string& endpoint, TaskRunner& runner) {
  auto session = WorkerSession::Start(std::make_shared<transport::Context>(), Options(endpoint), runner);
  EXPECT_TRUE(session.ok());
  return std::move(*session);
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

bool InState(const Seen& seen, const std::string& task, std::uint32_t state) {
  const auto it = seen.tasks.find(task);
  return it != seen.tasks.end() && it->second.state == state;
}

TEST(WorkerSession, RunsTasksOfSomeKindsBesideTheOthers) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "text");
  coordinator.Assign({Task("train"), Task("offer-1", "", wire::TaskKind::kOffer), Task("offer-2", "", wire::TaskKind::kOffer)});
  std::atomic<int> offers{0};
  std::atomic<int> offers_at_once{0};
  ScriptedRunner runner([&](const TaskContext& context) -> Result<TaskResult> {
    if (context.spec.kind != static_cast<std::uint32_t>(wire::TaskKind::kOffer)) return UntilStopped(context);
    EXPECT_EQ(++offers_at_once, 1);
    ++offers;
    --offers_at_once;
    return TaskResult{};
  });
  auto options = Options(coordinator.endpoint());
  options.beside = {wire::TaskKind::kOffer};
  const auto session = *WorkerSession::Start(std::make_shared<transport::Context>(), options, runner);
  // Both are done while the training goes on.
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return InState(seen, "offer-1", kDone) && InState(seen, "offer-2", kDone) && InState(seen, "train", kRunning);
  }));
  EXPECT_EQ(offers, 2);
  // One that is withdrawn leaves the other lane alone.
  coordinator.Assign({Task("offer-1", "", wire::TaskKind::kOffer), Task("train")});
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.last_report.tasks.size() == 2; }));
  EXPECT_EQ(coordinator.seen().tasks["train"].state, kRunning);
  session->Stop();
}

TEST(WorkerSession, RunsATaskAndReportsItUntilItIsDropped) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "name: job-1");
  coordinator.Assign({Task("t1")}, "site/0");
  std::string text;
  std::vector<std::string> stores;
  ScriptedRunner runner([&](const TaskContext& context) -> Result<TaskResult> {
    text = context.job_text;
    stores = context.blob_stores;
    context.progress.Phase("train", 10, "steps");
    context.progress.Done(10);
    context.progress.Metric("train_loss", 1.5);
    context.progress.Bytes(7, 8);
    return TaskResult{{{"samples", 3}}, "d1", 5};
  });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return InState(seen, "t1", kDone); }));
  EXPECT_TRUE(Eventually([&] { return session->Connected(); }));
  const auto report = coordinator.seen().tasks["t1"];
  EXPECT_EQ(text, "name: job-1");
  EXPECT_EQ(stores, std::vector<std::string>{"tcp://store:1"});
  EXPECT_EQ(report.digest, "d1");
  EXPECT_EQ(report.slots, 5u);
  EXPECT_EQ(report.done, 10u);
  EXPECT_EQ(report.unit, "steps");
  EXPECT_EQ(report.bytes_up, 7u);
  EXPECT_EQ(report.bytes_down, 8u);
  EXPECT_EQ(report.metrics.at("train_loss"), 1.5);
  EXPECT_EQ(report.metrics.at("samples"), 3);
  EXPECT_EQ(coordinator.seen().last_report.samples.at("rss"), 42);
  // Still told with every heartbeat while the coordinator names it ...
  const int reports = coordinator.seen().reports;
  ASSERT_TRUE(coordinator.WaitFor([&](const Seen& seen) {
    return seen.reports > reports + 2 && seen.last_report.tasks.size() == 1;
  }));
  // ... and no longer.
  coordinator.Assign({}, "site/0");
  EXPECT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.last_report.tasks.empty(); }));
  EXPECT_EQ(runner.runs, 1);
  EXPECT_EQ(coordinator.seen().hello.site, "site");
  const std::lock_guard lock(runner.mutex);
  EXPECT_EQ(runner.seats, std::vector<std::string>{"site/0"});
}

TEST(WorkerSession, RunsTasksOneAfterAnotherAndFetchesAJobTextOnce) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "text");
  coordinator.Assign({Task("t1"), Task("t2"), Task("t3")});
  std::atomic<int> at_once{0};
  std::atomic<bool> overlapped{false};
  ScriptedRunner runner([&](const TaskContext&) -> Result<TaskResult> {
    if (++at_once > 1) overlapped = true;
    --at_once;
    return TaskResult{};
  });
  const auto session = Begin(coordinator.endpoint(), runner);
  EXPECT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return InState(seen, "t1", kDone) && InState(seen, "t2", kDone) && InState(seen, "t3", kDone);
  }));
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(coordinator.seen().job_text_requests, 1);
}

TEST(WorkerSession, AFailedTaskTellsCodeAndMessage) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "text");
  coordinator.Assign({Task("t1"), Task("t2")});
  ScriptedRunner runner([](const TaskContext& context) -> Result<TaskResult> {
    if (context.spec.task == "t2") throw std::runtime_error("thrown");
    return MakeError(Code::kDataLoss, "slot 7 is broken");
  });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return InState(seen, "t1", kFailed) && InState(seen, "t2", kFailed);
  }));
  auto seen = coordinator.seen();
  EXPECT_EQ(seen.tasks["t1"].code, static_cast<int>(Code::kDataLoss));
  EXPECT_EQ(seen.tasks["t1"].message, "slot 7 is broken");
  EXPECT_EQ(seen.tasks["t2"].code, static_cast<int>(Code::kInternal));
  EXPECT_THAT(seen.tasks["t2"].message, HasSubstr("thrown"));
}

TEST(WorkerSession, ATaskOfAnUnknownJobFails) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.Assign({Task("t1", "nowhere"), Task("t2", "nowhere", wire::TaskKind::kRemove)});
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  // Removing needs no job's text.
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return InState(seen, "t1", kFailed) && InState(seen, "t2", kDone);
  }));
  EXPECT_THAT(coordinator.seen().tasks["t1"].message, HasSubstr("fetching the job's text: no job nowhere"));
  EXPECT_EQ(runner.runs, 1);
}

TEST(WorkerSession, ATaskThatIsWithdrawnIsStoppedAndForgotten) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "text");
  coordinator.Assign({Task("t1"), Task("queued")});
  std::atomic<bool> stopped{false};
  ScriptedRunner runner([&](const TaskContext& context) -> Result<TaskResult> {
    if (context.spec.task != "t1") return TaskResult{};
    auto result = UntilStopped(context);
    stopped = true;
    return result;
  });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return InState(seen, "t1", kRunning) && seen.tasks.contains("queued") && seen.tasks.at("queued").phase == "queued";
  }));
  coordinator.Assign({Task("t2")});
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return InState(seen, "t2", kDone); }));
  EXPECT_TRUE(stopped);
  const auto seen = coordinator.seen();
  EXPECT_EQ(seen.last_report.tasks.size(), 1u);
  EXPECT_FALSE(InState(seen, "t1", kFailed));
  EXPECT_EQ(runner.runs, 2);
}

TEST(WorkerSession, ACoordinatorThatRestartsFindsTheTaskStillRunning) {
  const std::string endpoint =
      "ipc://" + (std::filesystem::temp_directory_path() / ("tributary-session-" + std::to_string(getpid()))).string();
  auto coordinator = std::make_unique<FakeCoordinator>(endpoint, "before");
  coordinator->SetJobText("job-1", "text");
  coordinator->Assign({Task("t1")});
  std::atomic<bool> finish{false};
  ScriptedRunner runner([&](const TaskContext& context) -> Result<TaskResult> {
    context.progress.Phase("train", 2, "steps");
    if (!Eventually([&] { return finish || context.stop.stop_requested(); })) return MakeError(Code::kDeadline, "test");
    if (context.stop.stop_requested()) return MakeError(Code::kCancelled, "stopped");
    return TaskResult{{}, "digest", 1};
  });
  const auto session = Begin(endpoint, runner);
  ASSERT_TRUE(coordinator->WaitFor([](const Seen& seen) {
    return seen.tasks.contains("t1") && seen.tasks.at("t1").phase == "train";
  }));
  coordinator.reset();
  EXPECT_TRUE(Eventually([&] { return !session->Connected(); }));
  coordinator = std::make_unique<FakeCoordinator>(endpoint, "after");
  coordinator->Assign({Task("t1")});
  ASSERT_TRUE(coordinator->WaitFor([](const Seen& seen) {
    return seen.hellos > 0 && InState(seen, "t1", kRunning) && seen.last_report.session == "after";
  }));
  finish = true;
  EXPECT_TRUE(coordinator->WaitFor([](const Seen& seen) { return InState(seen, "t1", kDone); }));
  EXPECT_EQ(runner.runs, 1);
}

TEST(WorkerSession, AForgottenSessionBeginsAgain) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.reports > 0; }));
  coordinator.ForgetSession("s2");
  EXPECT_TRUE(coordinator.WaitFor([](const Seen& seen) {
    return seen.hellos == 2 && seen.last_report.session == "s2";
  }));
}

TEST(WorkerSession, AnotherProtocolIsRefusedForGood) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.RefuseHellos(Error(Code::kProtocol, "protocol 1: this coordinator speaks 2"));
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(Eventually([&] { return session->Refused().has_value(); }));
  EXPECT_EQ(session->Refused()->code(), Code::kProtocol);
  EXPECT_THAT(session->Refused()->message(), HasSubstr("this coordinator speaks 2"));
  EXPECT_THAT(session->Refused()->message(), HasSubstr(coordinator.endpoint()));
  EXPECT_FALSE(session->Connected());
}

TEST(WorkerSession, AnAnswerOfAnotherProtocolIsRefusedForGood) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SpeakProtocol(9);
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(Eventually([&] { return session->Refused().has_value(); }));
  EXPECT_THAT(session->Refused()->message(), HasSubstr("speaks protocol 9, this program 1"));
}

TEST(WorkerSession, ANameThatAnotherProcessHasIsRefusedForGood) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.RefuseHellos(Error(Code::kAlreadyExists, "another process works as site/trainer-0"));
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(Eventually([&] { return session->Refused().has_value(); }));
  EXPECT_THAT(session->Refused()->message(), HasSubstr("another process works"));
}

TEST(WorkerSession, EachSessionHasALifeOfItsOwn) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  std::set<std::string> lives;
  for (int i = 0; i < 2; ++i) {
    const auto session = Begin(coordinator.endpoint(), runner);
    ASSERT_TRUE(Eventually([&] { return session->Connected(); }));
    lives.insert(coordinator.seen().hello.life);
  }
  EXPECT_EQ(lives.size(), 2u);
  EXPECT_FALSE(lives.contains(""));
}

TEST(WorkerSession, ANameThatMayNotJoinIsRefusedForGood) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.RefuseHellos(Error(Code::kPermission, "site 'site' may not join"));
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(Eventually([&] { return session->Refused().has_value(); }));
  EXPECT_EQ(session->Refused()->code(), Code::kPermission);
}

TEST(WorkerSession, ACoordinatorThatIsBusyIsAskedAgain) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.RefuseHellos(Error(Code::kUnavailable, "starting"));
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.hellos > 0; }));
  EXPECT_FALSE(session->Refused().has_value());
  coordinator.RefuseHellos(std::nullopt);
  EXPECT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.reports > 0; }));
}

TEST(WorkerSession, ASilentCoordinatorGetsANewSessionOnceItSpeaks) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  ScriptedRunner runner([](const TaskContext&) -> Result<TaskResult> { return TaskResult{}; });
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(Eventually([&] { return session->Connected(); }));
  coordinator.AnswerNothing(true);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return seen.hellos >= 2; }));
  EXPECT_FALSE(session->Connected());
  coordinator.AnswerNothing(false);
  EXPECT_TRUE(Eventually([&] { return session->Connected(); }));
}

TEST(WorkerSession, StopLeavesAndStopsTheTask) {
  FakeCoordinator coordinator("tcp://127.0.0.1:0");
  coordinator.SetJobText("job-1", "text");
  coordinator.Assign({Task("t1")});
  ScriptedRunner runner(UntilStopped);
  const auto session = Begin(coordinator.endpoint(), runner);
  ASSERT_TRUE(coordinator.WaitFor([](const Seen& seen) { return InState(seen, "t1", kRunning); }));
  session->Stop();
  session->Stop();
  EXPECT_TRUE(coordinator.seen().leaving);
}

TEST(WorkerSession, StopsThoughNobodyAnswers) {
  ScriptedRunner runner(UntilStopped);
  const auto session = Begin("ipc:///tmp/tributary-nobody-" + std::to_string(getpid()), runner);
  EXPECT_FALSE(session->Connected());
  session->Stop();
}

TEST(WorkerSession, RefusesAnEndpointThatIsNone) {
  ScriptedRunner runner(UntilStopped);
  const auto session = WorkerSession::Start(std::make_shared<transport::Context>(), Options("nonsense"), runner);
  ASSERT_FALSE(session.ok());
  EXPECT_THAT(session.error().message(), HasSubstr("nonsense"));
}

TEST(MeteredRunner, CountsTasksAndKeepsMemoryByTheirPhases) {
  class Heard final : public TaskProgress {
   public:
    void Phase(const std::string& phase, std::uint64_t total, const std::string& unit) override { text += fmt::format("{} {} {};", phase, total, unit); }
    void Done(std::uint64_t done) override { text += fmt::format("done {};", done); }
    void Metric(const std::string& name, double value) override { text += fmt::format("{} {};", name, value); }
    void Bytes(std::uint64_t up, std::uint64_t down) override { text += fmt::format("{} up {} down;", up, down); }
    std::string text;
  } heard;
  ScriptedRunner inner([](const TaskContext& context) -> Result<TaskResult> {
    EXPECT_EQ(memory::ReadPeaks().phases.count("validate"), 1u) << "until it tells of a phase, the task's kind is one";
    context.progress.Phase("scripted", 7, "steps");
    context.progress.Done(3);
    context.progress.Metric("loss", 2);
    context.progress.Bytes(4, 5);
    return MakeError(Code::kIo, "no luck");
  });
  metrics::Registry registry;
  MeteredRunner runner(inner, registry, {wire::TaskKind::kValidate});
  const auto spec = Task("t", "job-1", wire::TaskKind::kValidate);
  EXPECT_FALSE(runner.Run({spec, "", {}, heard, {}}).ok());
  EXPECT_EQ(heard.text, "scripted 7 steps;done 3;loss 2;4 up 5 down;");
  EXPECT_GT(memory::ReadPeaks().phases.at("scripted"), 0u);
  EXPECT_THAT(registry.Text(), HasSubstr("tributary_tasks_total{kind=\"validate\",outcome=\"failed\"} 1\n"));
}

}  // namespace
}  // namespace tributary::session
