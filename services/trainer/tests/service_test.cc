#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/trainer/trainer.h"
#include "tributary/config/health.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/control.h"

namespace tributary::trainer {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

// Remembers the first words of a trainer; welcomes or refuses it.
class Coordinator final : public transport::Handler {
 public:
  explicit Coordinator(bool refuse) : refuse_(refuse) {
    auto started = transport::FrameServer::Start(std::make_shared<transport::Context>(), {.endpoint = "tcp://127.0.0.1:0"}, *this);
    EXPECT_TRUE(started.ok());
    server = std::move(*started);
  }
  ~Coordinator() override { server->Stop(); }
  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override {
    const auto id = frame.view().id;
    const std::lock_guard lock(mutex);
    if (frame.view().type == wire::Type::kReport) {
      report = *wire::DecodeBody<wire::Report>(frame.view().body);
      server->Send(peer, transport::MakeFrame(id, wire::Assignment{}));
    } else if (refuse_) {
      server->Send(peer, {wire::EncodeError(id, Error(Code::kPermission, "site 'x' may not join")), nullptr});
    } else {
      hello = *wire::DecodeBody<wire::Hello>(frame.view().body);
      server->Send(peer, transport::MakeFrame(id, wire::Welcome{"s", 50, {}, 1}));
    }
    changed.notify_all();
  }
  bool WaitForReport() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return !report.session.empty(); });
  }
  std::mutex mutex;
  std::condition_variable changed;
  wire::Hello hello;
  wire::Report report;
  std::unique_ptr<transport::FrameServer> server;

 private:
  bool refuse_;
};

// What a trainer on this machine answers to a scrape, headers too.
std::string Scrape(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<std::size_t>(n));
  close(fd);
  return answer;
}

TEST(TrainerService, SaysWhoItIsAndRelaysItsMemory) {
  Coordinator coordinator(false);
  TrainerSpec spec;
  spec.coordinator = coordinator.server->endpoint();
  spec.identity.site = "hospital-a";
  spec.identity.data = {{"imdb", "/srv/imdb"}};
  spec.instance = "trainer-1";
  spec.ordinal = 1;
  auto service = TrainerService::Start(spec);
  ASSERT_TRUE(service.ok()) << service.error().message();
  ASSERT_TRUE(coordinator.WaitForReport());
  (*service)->Stop();
  const std::lock_guard lock(coordinator.mutex);
  EXPECT_EQ(coordinator.hello.site, "hospital-a");
  EXPECT_EQ(coordinator.hello.instance, "trainer-1");
  EXPECT_EQ(coordinator.hello.ordinal, 1);
  EXPECT_EQ(coordinator.hello.role, static_cast<std::uint32_t>(wire::Role::kTrainer));
  EXPECT_EQ(coordinator.hello.data, std::vector<std::string>{"imdb"});  // the name, never the path
  for (const char* name : {"process_resident_memory_bytes", "process_cpu_seconds_total", "tributary_memory_rss_peak_bytes", "tributary_memory_base_bytes",
                           "tributary_memory_budget_bytes", "tributary_memory_pool_peak_bytes"}) {
    EXPECT_THAT(coordinator.report.samples, Contains(Key(name)));
  }
}

TEST(TrainerService, IsScrapedOrRelayedNeverBoth) {
  Coordinator coordinator(false);
  TrainerSpec spec;
  spec.coordinator = coordinator.server->endpoint();
  spec.instance = "trainer-1";
  spec.metrics_address = "127.0.0.1:0";
  auto service = TrainerService::Start(spec);
  ASSERT_TRUE(service.ok()) << service.error().message();
  EXPECT_GT((*service)->metrics_port(), 0);
  ASSERT_TRUE(coordinator.WaitForReport());
  (*service)->Stop();
  EXPECT_TRUE(coordinator.report.samples.empty());
}

TEST(TrainerService, OneThatIsRelayedTellsItsHealthAndWhatRunsAllTheSame) {
  Coordinator coordinator(false);
  TrainerSpec spec;
  spec.coordinator = coordinator.server->endpoint();
  spec.instance = "trainer-1";
  spec.metrics_address = "127.0.0.1:0";
  spec.relay = true;
  auto service = TrainerService::Start(spec);
  ASSERT_TRUE(service.ok()) << service.error().message();
  ASSERT_TRUE(coordinator.WaitForReport());
  const Status health = config::AskHealth(fmt::format("127.0.0.1:{}", (*service)->metrics_port()));
  EXPECT_TRUE(health.ok()) << health.error().message();
  // What a pod waits for before it is stopped, and nothing that would be told twice.
  const std::string told = Scrape((*service)->metrics_port());
  EXPECT_THAT(told, HasSubstr("\ntributary_tasks_running{kind=\"train\"} 0\n"));
  EXPECT_THAT(told, Not(AnyOf(HasSubstr("process_"), HasSubstr("memory_"), HasSubstr("trainer_info"))));
  (*service)->Stop();
  EXPECT_FALSE(coordinator.report.samples.empty());
}

TEST(TrainerService, EndsWhenTheCoordinatorRefusesIt) {
  Coordinator coordinator(true);
  TrainerSpec spec;
  spec.coordinator = coordinator.server->endpoint();
  spec.instance = "trainer-1";
  auto service = TrainerService::Start(spec);
  ASSERT_TRUE(service.ok());
  const auto over = (*service)->Wait(Duration(20'000));
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code(), Code::kPermission);
  EXPECT_THAT(over.error().message(), HasSubstr("may not join"));
}

TEST(TrainerService, RefusesNamesThatAreNone) {
  TrainerSpec spec;
  spec.instance = "a/b";
  EXPECT_FALSE(TrainerService::Start(spec).ok());
  spec.instance = "a";
  spec.identity.site = "..";
  EXPECT_THAT(TrainerService::Start(spec).error().message(), HasSubstr("site name"));
}

}  // namespace
}  // namespace tributary::trainer
