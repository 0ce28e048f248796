#include "tributary/config/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::config {
namespace {

using testing::HasSubstr;

Result<ServiceSettings> Read(std::vector<const char*> flags) {
  Options options("tributary-test", "is a test");
  AddServiceOptions(options, "127.0.0.1:9470");
  flags.insert(flags.begin(), "tributary-test");
  TRIBUTARY_TRY(options.Parse(static_cast<int>(flags.size()), flags.data(), nullptr));
  return GetServiceSettings(options);
}

TEST(ServiceOptions, Defaults) {
  const auto settings = Read({});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->metrics_address, "127.0.0.1:9470");
  EXPECT_EQ(settings->memory_budget, 64_MiB);
  EXPECT_EQ(settings->log_level, log::Level::kInfo);
  EXPECT_EQ(settings->log_format, log::Format::kText);
}

TEST(ServiceOptions, EveryChoiceOfTheLogIsReadable) {
  for (const char* level : {"trace", "debug", "info", "warning", "error", "off"}) {
    EXPECT_TRUE(Read({"--log-level", level, "--log-format", "json"}).ok()) << level;
  }
  EXPECT_THAT(Read({"--log-level", "loud"}).error().message(), HasSubstr("trace, debug, info"));
}

TEST(ServiceOptions, MetricsAddress) {
  EXPECT_EQ(Read({"--metrics-address", "off"})->metrics_address, "off");
  for (const char* good : {"0.0.0.0:0", "[::1]:9470", "host-1.example:65535"}) {
    EXPECT_TRUE(Read({"--metrics-address", good}).ok()) << good;
  }
  for (const char* bad : {"9470", ":9470", "host:", "host:65536", "host:-1", "host:12x", "::1:9", "[zz]:1", "[]:1",
                          "a b:1", "*:9470", "on"}) {
    const auto settings = Read({"--metrics-address", bad});
    ASSERT_FALSE(settings.ok()) << bad;
    EXPECT_THAT(settings.error().message(),
                AllOf(HasSubstr("--metrics-address"), HasSubstr("HOST:PORT"), HasSubstr("off")));
  }
}

TEST(ServiceOptions, Endpoint) {
  for (const char* good : {"tcp://127.0.0.1:7700", "tcp://*:0", "tcp://[::1]:1", "ipc:///tmp/x"}) {
    EXPECT_TRUE(CheckEndpoint(good).ok()) << good;
  }
  for (const char* bad : {"", "127.0.0.1:7700", "tcp://", "tcp://host", "tcp://host:x", "ipc://", "udp://a:1"}) {
    EXPECT_FALSE(CheckEndpoint(bad).ok()) << bad;
  }
}

TEST(ServiceOptions, ANameThatIsRefusedIsSaidOnce) {
  EXPECT_TRUE(CheckName("hospital-a").ok());
  for (const char* bad : {"", "a b", "-a", "a/b"}) {
    const auto status = CheckName(bad);
    ASSERT_FALSE(status.ok()) << bad;
    EXPECT_THAT(status.error().message(), testing::StartsWith("1 to 63 letters")) << "Options puts the value and 'expected' before it";
  }
}

}  // namespace
}  // namespace tributary::config
