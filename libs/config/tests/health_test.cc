#include "tributary/config/health.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"

namespace tributary::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Listens on a free port of loopback and gives each connection one answer; an empty one is never given.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    if (!answer_.empty()) thread_ = std::jthread([this] { Serve(); });
  }
  ~OneAnswer() {
    shutdown(listener_, SHUT_RDWR);  // ends accept
    if (thread_.joinable()) thread_.join();
    close(listener_);
  }
  std::string address(const std::string& host = "127.0.0.1") const { return host + ":" + std::to_string(port_); }
  const std::string& request() const { return request_; }  // once it was answered

 private:
  void Serve() {
    for (int fd; (fd = accept(listener_, nullptr, nullptr)) >= 0; close(fd)) {
      char buffer[1024];
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      request_.assign(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
      send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  const int listener_;
  int port_ = 0;
  std::string request_;
  std::jthread thread_;
};

constexpr const char* kWell = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

std::string Why(const std::string& address, Duration limit = kHealthLimit) {
  const Status status = AskHealth(address, limit);
  EXPECT_FALSE(status.ok());
  return status.ok() ? "" : status.error().message();
}

TEST(Health, AServiceThatAnswers200IsAlive) {
  const OneAnswer service(kWell);
  EXPECT_TRUE(AskHealth(service.address()).ok());
  EXPECT_THAT(service.request(), StartsWith("GET /healthz HTTP/1.1\r\n"));
}

TEST(Health, AWildcardIsAskedAtLoopbackAndNamesAreLookedUp) {
  const OneAnswer service(kWell);
  EXPECT_TRUE(AskHealth(service.address("0.0.0.0")).ok());
  EXPECT_TRUE(AskHealth(service.address("localhost")).ok());
}

TEST(Health, AnUnwellServiceIsQuoted) {
  const OneAnswer service("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 22\r\n\r\nthe loop stands still\n");
  EXPECT_THAT(Why(service.address()), AllOf(HasSubstr(service.address()), HasSubstr("503: the loop stands still")));
}

TEST(Health, NobodyThereIsAnErrorThatNamesTheAddress) {
  std::string address;
  {
    const OneAnswer gone("");
    address = gone.address();
  }
  EXPECT_THAT(Why(address), HasSubstr("--metrics-address " + address + ": "));
}

TEST(Health, AServiceThatNeverAnswersIsGivenUp) {
  const OneAnswer silent("");
  EXPECT_THAT(Why(silent.address(), Duration(50)), HasSubstr("no answer in time"));
}

TEST(Health, AnotherProtocolIsNoHealth) {
  const OneAnswer other("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f");
  EXPECT_THAT(Why(other.address()), HasSubstr("does not speak HTTP"));
}

TEST(Health, AnAnswerWithoutEndIsCutOff) {
  const OneAnswer endless("HTTP/1.1 500 Error\r\n\r\n" + std::string(1 << 20, 'x'));
  EXPECT_LT(Why(endless.address()).size(), 5'000u);
}

TEST(Health, OffHasNoEndpointToAsk) { EXPECT_THAT(Why("off"), HasSubstr("no endpoint to ask")); }

class HealthFlag : public testing::Test {
 protected:
  HealthFlag() : options_("tributary-test", "is a test") {
    options_.AddString("state-dir", "", "a directory");
    options_.Require("state-dir");
    AddServiceOptions(options_, "127.0.0.1:1");
  }
  std::optional<int> Run(std::vector<const char*> flags, std::vector<const char*> environment = {}) {
    flags.insert(flags.begin(), "tributary-test");
    environment.push_back(nullptr);
    return options_.ParseOrExitCode(static_cast<int>(flags.size()), flags.data(), environment.data());
  }
  Options options_;
};

TEST_F(HealthFlag, AsksTheAddressOfFlagEnvironmentOrFileAndNeedsNothingElse) {
  const OneAnswer service(kWell);
  const std::string variable = "TRIBUTARY_METRICS_ADDRESS=" + service.address();
  EXPECT_EQ(Run({"--health", "--metrics-address", service.address().c_str()}), kExitDone);
  EXPECT_EQ(Run({"--health"}, {variable.c_str()}), kExitDone);
  const TempDirectory folder;
  const std::string file = folder.Write("service.ini", "metrics-address = " + service.address() + "\n");
  EXPECT_EQ(Run({"--health", "--config", file.c_str()}), kExitDone);
}

TEST_F(HealthFlag, SaysWhyOnOneLineAndFails) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(Run({"--health", "--metrics-address=off"}), kExitFailed);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, StartsWith("not healthy: --metrics-address off"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST_F(HealthFlag, IsForTheCommandLineAlone) {
  EXPECT_EQ(Run({"--state-dir=/x"}, {"TRIBUTARY_HEALTH=true"}), std::nullopt);
  const TempDirectory folder;
  const std::string file = folder.Write("service.ini", "health = true\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(Run({"--config", file.c_str()}), kExitUsage);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("'health': not a key"));
}

TEST_F(HealthFlag, OtherValuesAreCheckedAsEver) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(Run({"--health", "--metrics-address", "nowhere"}), kExitUsage);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("HOST:PORT"));
}

}  // namespace
}  // namespace tributary::config
