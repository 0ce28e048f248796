#include "tributary/metrics/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

namespace tributary::metrics {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// One request over a connection of its own; the whole answer, headers too.
std::string Ask(std::uint16_t port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<std::size_t>(n));
  close(fd);
  return answer;
}
std::string Get(std::uint16_t port, const std::string& path) {
  return Ask(port, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

class MetricsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    registry_.AddGauge("answer", Unit::kNone, "An answer").Set(42);
    ServerSpec spec;
    spec.address = "127.0.0.1:0";
    spec.registry = &registry_;
    spec.ready = [this]() -> Status {
      if (ready_) return Ok();
      return MakeError(Code::kUnavailable, "no coordinator yet");
    };
    spec.live = [this]() -> Status {
      if (live_) return Ok();
      return MakeError(Code::kInternal, "the loop stands still");
    };
    auto server = MetricsServer::Start(spec);
    ASSERT_TRUE(server.ok()) << server.error().message();
    server_ = std::move(server).value();
  }

  Registry registry_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> live_ = true;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesMetricsOnAPortOfItsOwn) {
  EXPECT_GT(server_->port(), 0);
  const std::string answer = Get(server_->port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\ntributary_answer 42\n"));
}

TEST_F(MetricsServerTest, ReadinessAndLivenessFollowTheirFunctions) {
  EXPECT_THAT(Get(server_->port(), "/readyz"), AllOf(StartsWith("HTTP/1.1 503"), EndsWith("no coordinator yet\n")));
  EXPECT_THAT(Get(server_->port(), "/healthz"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("ok\n")));
  ready_ = true;
  live_ = false;
  EXPECT_THAT(Get(server_->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(server_->port(), "/healthz"), AllOf(StartsWith("HTTP/1.1 503"), EndsWith("stands still\n")));
}

TEST_F(MetricsServerTest, OtherPathsAndMethodsAreRefused) {
  EXPECT_THAT(Get(server_->port(), "/"), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("/healthz")));
  EXPECT_THAT(Get(server_->port(), "/metrics/more"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get(server_->port(), "/../etc/passwd"), Not(HasSubstr("root:")));
  EXPECT_THAT(Ask(server_->port(), "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
  const std::string head = Ask(server_->port(), "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(head, AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n")));
}

TEST_F(MetricsServerTest, GarbageDoesNotEndIt) {
  Ask(server_->port(), "\r\n\r\n");
  Ask(server_->port(), "GET\r\n\r\n");
  Ask(server_->port(), "GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\n\r\n");
  EXPECT_THAT(Get(server_->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(MetricsServerTest, PortInUseNamesAddressAndFlag) {
  ServerSpec spec;
  spec.address = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = MetricsServer::Start(spec);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kIo);
  EXPECT_THAT(second.error().message(), AllOf(HasSubstr("--metrics-address " + spec.address), HasSubstr("off")));
  RecordProperty("message", second.error().message());
}

TEST(MetricsServer, WithoutARegistryItTellsHealthAlone) {
  ServerSpec spec;
  spec.address = "127.0.0.1:0";
  const auto server = MetricsServer::Start(spec);
  ASSERT_TRUE(server.ok()) << server.error().message();
  EXPECT_THAT(Get((*server)->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get((*server)->port(), "/metrics"), StartsWith("HTTP/1.1 404"));
}

TEST(MetricsServer, TellsTheFamiliesThatItIsGivenAlone) {
  Registry registry;
  registry.AddGauge("answer", Unit::kNone, "An answer", {{"kind", "a"}}).Set(42);
  registry.AddGauge("answer_also", Unit::kNone, "Another").Set(43);
  registry.AddCollector([]() -> std::vector<Reading> { return {{"process_threads", "Threads", false, {}, 3}, {"tributary_answer", "", false, {{"kind", "b"}}, 44}}; });
  ServerSpec spec;
  spec.address = "127.0.0.1:0";
  spec.registry = &registry;
  spec.families = {"tributary_answer"};
  const auto server = MetricsServer::Start(spec);
  ASSERT_TRUE(server.ok());
  EXPECT_THAT(Get((*server)->port(), "/metrics"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\ntributary_answer{kind=\"a\"} 42\n"), HasSubstr("\ntributary_answer{kind=\"b\"} 44\n"),
                                                        Not(HasSubstr("answer_also")), Not(HasSubstr("process_threads"))));
  EXPECT_THAT(registry.Text(), AllOf(HasSubstr("answer_also"), HasSubstr("process_threads"))) << "whoever asks for all gets all";
}

TEST(MetricsServer, OffServesNothing) {
  ServerSpec spec;
  spec.address = "off";
  const auto server = MetricsServer::Start(spec);
  ASSERT_TRUE(server.ok());
  EXPECT_EQ((*server)->port(), 0);
}

TEST(MetricsServer, AddressOfAnotherMachineIsAnError) {
  ServerSpec spec;
  spec.address = "203.0.113.7:0";
  spec.flag = "--health-address";
  const auto server = MetricsServer::Start(spec);
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.error().message(), HasSubstr("--health-address 203.0.113.7:0"));
}

TEST(MetricsServer, WithoutFunctionsIsLiveAndReady) {
  ServerSpec spec;
  spec.address = "127.0.0.1:0";
  const auto server = MetricsServer::Start(spec);
  ASSERT_TRUE(server.ok());
  EXPECT_THAT(Get((*server)->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get((*server)->port(), "/metrics"), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("served elsewhere"))) << "without a registry";
}

}  // namespace
}  // namespace tributary::metrics
