// The coordinator behind its socket, with scripted workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "libs/base/testing/sanitized.h"
#include "libs/base/testing/temp_directory.h"
#include "services/coordinator/coordinator_service.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"

namespace tributary::service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Duration kPatience{10'000};

// One peer: sends a request, waits for the answer; assignments that come by themselves are kept.
class Peer {
 public:
  explicit Peer(const std::string& endpoint, std::size_t max_frame = wire::kMaxControlFrame)
      : context_(std::make_shared<transport::Context>()) {
    transport::ClientOptions options;
    options.endpoint = endpoint;
    options.max_frame_bytes = max_frame;
    auto client = transport::FrameClient::Connect(context_, options);
    EXPECT_TRUE(client.ok());
    client_ = *std::move(client);
  }

  template <class Answer, class Message>
  Result<Answer> Ask(const Message& message) {
    return AskFrame<Answer>(wire::EncodeFrame(++id_, message));
  }
  template <class Answer>
  Result<Answer> AskFrame(std::string frame) {
    TRIBUTARY_TRY(client_->Send({std::move(frame), nullptr}));
    for (;;) {
      TRIBUTARY_ASSIGN(auto received, client_->Receive(kPatience));
      if (received.event != transport::Event::kFrame) return Error(Code::kDeadline, "no answer");
      const auto& view = received.frame.view();
      if (view.id == id_) return wire::Expect<Answer>(view);
      Pushed(view);
    }
  }
  void Pushed(const wire::FrameView& view) {
    if (auto assignment = wire::Expect<wire::Assignment>(view); assignment.ok()) {
      assignment_ = *std::move(assignment);
      ++pushes_;
    }
  }
  // Waits for an assignment that nobody asked for.
  bool WaitForPush() {
    for (const int before = pushes_; pushes_ == before;) {
      auto received = client_->Receive(kPatience);
      if (!received.ok() || received->event != transport::Event::kFrame) return false;
      Pushed(received->frame.view());
    }
    return true;
  }
  bool WaitForLoss() {
    for (;;) {
      auto received = client_->Receive(kPatience);
      if (received.ok() && received->event == transport::Event::kLost) return true;
      if (!received.ok() || received->event == transport::Event::kTimeout) return false;
    }
  }

  Status Hello(wire::Role role, const std::string& instance, const std::string& life = {}, std::uint64_t memory_budget = 0) {
    wire::Hello hello;
    hello.memory_budget = memory_budget;
    hello.role = static_cast<std::uint32_t>(role);
    hello.site = "site";
    hello.instance = instance;
    hello.life = life;
    TRIBUTARY_ASSIGN(welcome_, Ask<wire::Welcome>(hello));
    return Ok();
  }
  void Use(const std::string& session) { welcome_.session = session; }
  Status Report(std::vector<wire::TaskReport> tasks = {}, bool leaving = false) {
    wire::Report report;
    report.session = welcome_.session;
    report.tasks = std::move(tasks);
    report.leaving = leaving;
    report.samples = {{"process_resident_memory_bytes", 5}};
    TRIBUTARY_ASSIGN(assignment_, Ask<wire::Assignment>(report));
    return Ok();
  }
  // Reports every assigned task as done.
  Status Work() {
    std::vector<wire::TaskReport> done;
    for (const auto& task : assignment_.tasks) {
      wire::TaskReport report;
      report.task = task.task;
      report.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
      report.digest = std::string(64, static_cast<char>('0' + task.round));
      report.slots = 3;
      report.metrics = {{"samples", 4}, {"train_loss", 2}, {"val_loss", 1}, {"val_targets", 10}};
      report.bytes_up = 100;
      done.push_back(report);
    }
    return Report(std::move(done));
  }
  const wire::Assignment& assignment() const { return assignment_; }
  const wire::Welcome& welcome() const { return welcome_; }
  std::uint64_t NextId() { return ++id_; }
  transport::FrameClient& client() { return *client_; }

 private:
  std::shared_ptr<transport::Context> context_;
  std::unique_ptr<transport::FrameClient> client_;
  std::uint64_t id_ = 0;
  int pushes_ = 0;
  wire::Welcome welcome_;
  wire::Assignment assignment_;
};

class CoordinatorTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { service.reset(); }

  CoordinatorService::Spec Spec() {
    CoordinatorService::Spec spec;
    spec.listen = "tcp://127.0.0.1:0";
    spec.state_dir = directory.File("state");
    spec.blob_stores = {"tcp://store:7710"};
    spec.parser = [](const std::string& text, const std::string& file) -> Result<job::Job> {
      if (text == "bad") return MakeError(Code::kInvalidArgument, "{}: line 1: what is this", file);
      job::Job job;
      job.rounds = 2;
      // "seats 1000": that many; else two.
      const std::uint32_t seats = text.rfind("seats ", 0) == 0 ? std::stoul(text.substr(6)) : 2;
      job.participants.min = job.participants.quorum = job.data.count = seats;
      job.model.family = "synthetic";
      job.validate = true;
      // "regular N": a model of N MiB in one message.
      if (text.rfind("regular ", 0) == 0) {
        job.transfer.mode = "regular";
        job.model.synthetic.bytes = std::stoul(text.substr(8)) << 20;
      }
      return job;
    };
    return spec;
  }
  void Start() {
    auto started = CoordinatorService::Start(Spec());
    ASSERT_TRUE(started.ok()) << started.error().message();
    service = *std::move(started);
  }
  std::unique_ptr<Peer> Connect(wire::Role role, const std::string& instance) {
    auto peer = std::make_unique<Peer>(service->endpoint());
    const Status status = peer->Hello(role, instance);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message());
    return peer;
  }
  Result<wire::JobStatus> JobStatus(Peer& client, std::uint32_t since = 0) {
    wire::GetStatus request;
    request.job = "job";
    request.since_round = since;
    return client.Ask<wire::JobStatus>(request);
  }
  // Everybody works until the job has ended or `rounds` are sealed.
  void WorkUntil(std::vector<Peer*> peers, Peer& client, const std::string& phase, std::uint32_t round) {
    for (int i = 0; i < 100; ++i) {
      for (Peer* peer : peers) {
        const auto status = JobStatus(client);
        ASSERT_TRUE(status.ok()) << status.error().message();
        if (status->phase == phase && status->round == round) return;
        ASSERT_TRUE(peer->Report().ok());
        ASSERT_TRUE(peer->Work().ok());
      }
    }
    FAIL() << "the job never came to " << phase;
  }

  const TempDirectory directory;
  std::unique_ptr<CoordinatorService> service;
};

TEST_F(CoordinatorTest, RunsAJobToItsEnd) {
  Peer client(service->endpoint());
  ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).ok());
  auto agg = Connect(wire::Role::kAggregator, "agg-0");
  EXPECT_EQ(agg->welcome().blob_stores, std::vector<std::string>{"tcp://store:7710"});
  auto a = Connect(wire::Role::kTrainer, "a");
  auto b = Connect(wire::Role::kTrainer, "b");
  WorkUntil({agg.get(), a.get(), b.get()}, client, "done", 2);
  const auto status = JobStatus(client);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->state, "completed");
  ASSERT_EQ(status->finished.size(), 2u);
  EXPECT_EQ(status->finished[0].participants, (std::vector<std::string>{"site/0", "site/1"}));
  EXPECT_DOUBLE_EQ(status->finished[0].metrics.at("train_loss"), 2);
  EXPECT_DOUBLE_EQ(status->finished[0].metrics.at("val_loss"), 1);
  EXPECT_EQ(status->finished[1].digest, status->model_digest);
  EXPECT_EQ(JobStatus(client, 1)->finished.size(), 1u);
  const auto text = client.Ask<wire::JobText>(wire::GetJobText{"job"});
  EXPECT_EQ(text->text, "text");
  const auto list = client.Ask<wire::JobList>(wire::ListJobs{});
  ASSERT_EQ(list->jobs.size(), 1u);
  EXPECT_EQ(list->jobs[0].state, "completed");
}

TEST_F(CoordinatorTest, PushesAnAssignmentWhenTasksChange) {
  Peer client(service->endpoint());
  ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).ok());
  auto a = Connect(wire::Role::kTrainer, "a");
  ASSERT_TRUE(a->WaitForPush());  // its seat
  EXPECT_EQ(a->assignment().seat, "site/0");
  auto b = Connect(wire::Role::kTrainer, "b");
  auto agg = Connect(wire::Role::kAggregator, "agg-0");
  ASSERT_TRUE(agg->WaitForPush());
  ASSERT_EQ(agg->assignment().tasks.size(), 1u);
  ASSERT_TRUE(agg->Work().ok());
  // No report of the trainer in between.
  ASSERT_TRUE(a->WaitForPush());
  ASSERT_EQ(a->assignment().tasks.size(), 1u);
  EXPECT_EQ(a->assignment().tasks[0].task, "job.r1.train.0");
}

TEST_F(CoordinatorTest, GoesOnAfterARestartInTheMiddleOfARound) {
  {
    Peer client(service->endpoint());
    ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).ok());
    auto agg = Connect(wire::Role::kAggregator, "agg-0");
    auto a = Connect(wire::Role::kTrainer, "a");
    auto b = Connect(wire::Role::kTrainer, "b");
    WorkUntil({agg.get()}, client, "train", 1);
    ASSERT_TRUE(a->Report().ok());
    ASSERT_TRUE(a->Work().ok());
  }
  service.reset();
  Start();
  Peer client(service->endpoint());
  EXPECT_EQ(JobStatus(client)->phase, "train");
  auto agg = Connect(wire::Role::kAggregator, "agg-0");
  auto a = Connect(wire::Role::kTrainer, "a");
  auto b = Connect(wire::Role::kTrainer, "b");
  ASSERT_TRUE(a->Report().ok());
  EXPECT_EQ(a->assignment().seat, "site/0");
  EXPECT_TRUE(a->assignment().tasks.empty());  // its update is done and stays done
  ASSERT_TRUE(b->Report().ok());
  ASSERT_EQ(b->assignment().tasks.size(), 1u);
  EXPECT_EQ(b->assignment().tasks[0].task, "job.r1.train.1");
  WorkUntil({agg.get(), a.get(), b.get()}, client, "done", 2);
  EXPECT_EQ(JobStatus(client)->finished.size(), 2u);
}

TEST_F(CoordinatorTest, AThousandSeatsFitItsFrames) {
  // Under a sanitizer a thousand take longer than a seat is kept for one who is silent.
  constexpr int kSeats = kSanitized ? 200 : 1000;
  Peer client(service->endpoint());
  ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", fmt::format("seats {}", kSeats), false}).ok());
  auto agg = Connect(wire::Role::kAggregator, "agg-0");
  // A session is the worker's, not the connection's: a socket speaks for 25 trainers, fewer than the frames that wait for one that does not read.
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<std::string> sessions;
  for (int i = 0; i < kSeats; ++i) {
    if (i % 25 == 0) peers.push_back(std::make_unique<Peer>(service->endpoint()));
    ASSERT_TRUE(peers.back()->Hello(wire::Role::kTrainer, fmt::format("t{}", i)).ok());
    sessions.push_back(peers.back()->welcome().session);
    if (i % 50 == 0) {
      ASSERT_TRUE(agg->Report().ok());
    }
  }
  ASSERT_TRUE(agg->Report().ok());
  ASSERT_TRUE(agg->Work().ok());
  const auto work_all = [&] {
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      Peer& many = *peers[i / 25];
      many.Use(sessions[i]);
      ASSERT_TRUE(many.Report().ok());
      ASSERT_EQ(many.assignment().tasks.size(), 1u);
      ASSERT_TRUE(many.Work().ok());
      ASSERT_TRUE(agg->Report().ok());  // its heartbeat: a thousand trainers take a while where a sanitizer looks on
    }
  };
  work_all();  // trains
  ASSERT_TRUE(agg->Report().ok());
  ASSERT_EQ(agg->assignment().tasks.size(), 1u);
  EXPECT_EQ(agg->assignment().tasks[0].inputs.size(), static_cast<std::size_t>(kSeats));
  ASSERT_TRUE(agg->Work().ok());
  ASSERT_TRUE(agg->Report().ok());
  ASSERT_TRUE(agg->Work().ok());  // seals
  const auto status = JobStatus(client);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->phase, "validate");
  EXPECT_GT(status->seats.size(), 100u);
}

// Whoever waits destroys the service next: neither call may return while its thread still runs.
TEST_F(CoordinatorTest, WaitAndASecondStopReturnOnlyWhenItHasStopped) {
  std::promise<void> entered, release;
  auto spec = Spec();
  spec.state_dir = directory.File("other");
  spec.parser = [&, released = release.get_future().share()](const std::string&, const std::string&) -> Result<job::Job> {
    entered.set_value();
    released.wait();
    return MakeError(Code::kInvalidArgument, "no");
  };
  auto slow = CoordinatorService::Start(std::move(spec));
  ASSERT_TRUE(slow.ok()) << slow.error().message();
  Peer client((*slow)->endpoint());
  ASSERT_TRUE(client.client().Send(transport::MakeFrame(1, wire::Submit{"job", "text", false})).ok());
  entered.get_future().wait();

  std::atomic<bool> busy{true};
  auto stop = std::async(std::launch::async, [&] { (*slow)->Stop(); });
  // Some of these begin after the first Stop.
  std::vector<std::future<bool>> early;
  for (int i = 0; i < 20; ++i) {
    early.push_back(std::async(std::launch::async, [&] {
      EXPECT_TRUE(*(*slow)->Wait());
      return busy.load();
    }));
    early.back().wait_for(std::chrono::milliseconds(5));
  }
  early.push_back(std::async(std::launch::async, [&] {
    (*slow)->Stop();
    return busy.load();
  }));
  early.back().wait_for(std::chrono::milliseconds(5));
  busy = false;
  release.set_value();
  stop.get();
  for (auto& one : early) EXPECT_FALSE(one.get());
}

TEST_F(CoordinatorTest, TheNewestProcessOfANameHasItAndTheOlderIsTold) {
  Peer older(service->endpoint());
  Peer newer(service->endpoint());
  ASSERT_TRUE(older.Hello(wire::Role::kTrainer, "t", "life-1").ok());
  ASSERT_TRUE(newer.Hello(wire::Role::kTrainer, "t", "life-2").ok());
  EXPECT_EQ(older.Report().error().code(), Code::kNotFound);
  const auto refused = older.Hello(wire::Role::kTrainer, "t", "life-1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("site/t"), HasSubstr("--instance")));
  EXPECT_TRUE(newer.Report().ok());
  {
    // One that takes the name and dies at once does not keep it from the process that lives.
    Peer brief(service->endpoint());
    ASSERT_TRUE(brief.Hello(wire::Role::kTrainer, "u", "life-1").ok());
    Peer other(service->endpoint());
    ASSERT_TRUE(other.Hello(wire::Role::kTrainer, "u", "life-2").ok());
    EXPECT_FALSE(brief.Hello(wire::Role::kTrainer, "u", "life-1").ok());
  }
  Peer survivor(service->endpoint());
  bool back = false;
  for (int i = 0; i < 500 && !back; ++i) {
    back = survivor.Hello(wire::Role::kTrainer, "u", "life-1").ok();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(back);
  // A connection that was lost: the same process says hello again.
  ASSERT_TRUE(newer.Hello(wire::Role::kTrainer, "t", "life-2").ok());
  EXPECT_FALSE(older.Hello(wire::Role::kTrainer, "t", "life-1").ok());
  // Another restart.
  ASSERT_TRUE(older.Hello(wire::Role::kTrainer, "t", "life-3").ok());
  EXPECT_FALSE(newer.Hello(wire::Role::kTrainer, "t", "life-2").ok());
}

TEST_F(CoordinatorTest, AnUnknownSessionIsToldToSayHello) {
  Peer peer(service->endpoint());
  const auto answer = peer.Ask<wire::Assignment>(wire::Report{"old-session", {}, {}, false});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Code::kNotFound);
  EXPECT_THAT(answer.error().message(), HasSubstr("Hello"));
}

TEST_F(CoordinatorTest, AnotherProtocolVersionIsRefusedWithBothNumbers) {
  Peer peer(service->endpoint());
  wire::Hello hello;
  hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
  hello.site = "site";
  hello.instance = "a";
  const auto answer = peer.AskFrame<wire::Welcome>(
      wire::MakeHeader(wire::Type::kHello, peer.NextId(), wire::EncodeBody(hello), false, 2));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Code::kProtocol);
  EXPECT_EQ(answer.error().message(),
            "coordinator speaks protocol 1, this trainer speaks 2: install the same release of both");
  // A client's request is refused as a worker's hello is, whatever it is.
  const auto jobs = peer.AskFrame<wire::JobList>(wire::MakeHeader(wire::Type::kListJobs, peer.NextId(), wire::EncodeBody(wire::ListJobs{}), false, 2));
  ASSERT_FALSE(jobs.ok());
  EXPECT_EQ(jobs.error().code(), Code::kProtocol);
}

TEST_F(CoordinatorTest, AMalformedBodyIsAnsweredAndChangesNothing) {
  Peer peer(service->endpoint());
  const auto answer =
      peer.AskFrame<wire::Submitted>(wire::MakeHeader(wire::Type::kSubmit, peer.NextId(), "\x81\xa4name\x05", false));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Code::kProtocol);
  EXPECT_TRUE(peer.Ask<wire::JobList>(wire::ListJobs{})->jobs.empty());
}

TEST_F(CoordinatorTest, AMalformedFrameIsPassedOver) {
  Peer peer(service->endpoint());
  ASSERT_TRUE(peer.client().Send({std::string("\xff\xff\xff\x7f garbage"), nullptr}).ok());
  ASSERT_TRUE(peer.client().Send({std::string(), nullptr}).ok());
  EXPECT_EQ(peer.Ask<wire::Pong>(wire::Ping{})->service, "coordinator");
}

TEST_F(CoordinatorTest, AnOversizedFrameCostsThePeerItsConnectionAlone) {
  Peer other(service->endpoint());
  ASSERT_TRUE(other.Ask<wire::Pong>(wire::Ping{}).ok());
  Peer peer(service->endpoint());
  ASSERT_TRUE(peer.Ask<wire::Pong>(wire::Ping{}).ok());
  wire::Submit submit{"job", std::string(80'000, 'x'), false};
  ASSERT_TRUE(peer.client().Send({wire::EncodeFrame(9, submit), nullptr}).ok());
  EXPECT_TRUE(peer.WaitForLoss());
  EXPECT_TRUE(other.Ask<wire::JobList>(wire::ListJobs{})->jobs.empty());
}

TEST_F(CoordinatorTest, AFrameOfTheDataPlaneIsRefused) {
  Peer peer(service->endpoint());
  const auto answer = peer.AskFrame<wire::Pong>(wire::MakeHeader(wire::Type::kGetChunk, peer.NextId(), "\x80", false));
  ASSERT_FALSE(answer.ok());
  EXPECT_THAT(answer.error().message(), HasSubstr("is this the address of a coordinator?"));
}

TEST_F(CoordinatorTest, ABadJobIsRefusedWithTheParsersWords) {
  Peer client(service->endpoint());
  const auto answer = client.Ask<wire::Submitted>(wire::Submit{"job", "bad", false});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().message(), "job: line 1: what is this");
  EXPECT_EQ(JobStatus(client).error().code(), Code::kNotFound);
}

TEST_F(CoordinatorTest, AJobWhoseMessagesDoNotFitAWorkersBudgetIsRefusedWithTheBudgetThatItNeeds) {
  Peer worker(service->endpoint());
  ASSERT_TRUE(worker.Hello(wire::Role::kAggregator, "agg", {}, 64_MiB).ok());
  Peer client(service->endpoint());
  const auto answer = client.Ask<wire::Submitted>(wire::Submit{"job", "regular 32", false});
  ASSERT_FALSE(answer.ok());
  EXPECT_THAT(answer.error().message(), AllOf(HasSubstr("agg"), HasSubstr("--memory-budget"), HasSubstr("65MiB")));
  EXPECT_EQ(JobStatus(client).error().code(), Code::kNotFound);
  EXPECT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "regular 31", false}).ok());
}

TEST_F(CoordinatorTest, SubmitAgainAttachesToTheSameTextAlsoWhenFinished) {
  Peer client(service->endpoint());
  ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).ok());
  EXPECT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", true})->resumed);
  EXPECT_EQ(client.Ask<wire::Submitted>(wire::Submit{"job", "other", true}).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(client.Ask<wire::Stopped>(wire::StopJob{"job"})->state, "stopped");
  EXPECT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", true})->resumed);
  EXPECT_EQ(client.Ask<wire::Submitted>(wire::Submit{"job", "other", true}).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(JobStatus(client)->state, "stopped");
}

TEST_F(CoordinatorTest, ALeavingTrainerGivesItsSeatToASpare) {
  Peer client(service->endpoint());
  ASSERT_TRUE(client.Ask<wire::Submitted>(wire::Submit{"job", "text", false}).ok());
  auto a = Connect(wire::Role::kTrainer, "a");
  auto b = Connect(wire::Role::kTrainer, "b");
  auto spare = Connect(wire::Role::kTrainer, "spare");
  ASSERT_TRUE(spare->Report().ok());
  EXPECT_EQ(spare->assignment().seat, "");
  ASSERT_TRUE(b->Report({}, true).ok());
  EXPECT_EQ(b->Report().error().code(), Code::kNotFound);
  ASSERT_TRUE(spare->Report().ok());
  EXPECT_EQ(spare->assignment().seat, "site/1");
}

TEST_F(CoordinatorTest, APortInUseIsNamedWithItsFlag) {
  auto spec = Spec();
  spec.state_dir = directory.File("other");
  spec.listen = service->endpoint();
  const auto second = CoordinatorService::Start(spec);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(), HasSubstr("--listen"));
  EXPECT_THAT(second.error().message(), HasSubstr("in use"));
  EXPECT_THAT(second.error().message(), HasSubstr(service->endpoint()));
}

TEST_F(CoordinatorTest, ASecondCoordinatorOnTheSameStateIsRefused) {
  const auto second = CoordinatorService::Start(Spec());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(), HasSubstr("another coordinator runs"));
}

TEST_F(CoordinatorTest, AStateDirectoryThatCannotBeMadeIsNamed) {
  std::ofstream(directory.File("file")) << "x";
  auto spec = Spec();
  spec.state_dir = directory.File("file/state");
  const auto second = CoordinatorService::Start(spec);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(), HasSubstr("--state-dir"));
}

TEST_F(CoordinatorTest, StopEndsWait) {
  service->Stop();
  EXPECT_TRUE(*service->Wait());
  service->Stop();
}

}  // namespace
}  // namespace tributary::service
