#include "services/aggregator/aggregator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tributary/transport/frame_server.h"
#include "tributary/wire/control.h"

namespace tributary::aggregator {
namespace {

using testing::HasSubstr;

// Refuses everybody, as a coordinator of another version does.
class Refusing final : public transport::Handler {
 public:
  Refusing() {
    auto started = transport::FrameServer::Start(std::make_shared<transport::Context>(), {.endpoint = "tcp://127.0.0.1:0"}, *this);
    EXPECT_TRUE(started.ok());
    server = std::move(*started);
  }
  ~Refusing() override { server->Stop(); }
  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override {
    server->Send(peer, {wire::EncodeError(frame.view().id, Error(Code::kProtocol, "this coordinator speaks 2")), nullptr});
  }
  std::unique_ptr<transport::FrameServer> server;
};

TEST(AggregatorService, EndsWhenTheCoordinatorRefusesIt) {
  Refusing coordinator;
  auto service = AggregatorService::Start({coordinator.server->endpoint(), {}, "aggregator-0"});
  ASSERT_TRUE(service.ok()) << service.error().message();
  const auto over = (*service)->Wait(Duration(20'000));
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().code(), Code::kProtocol);
  EXPECT_THAT(over.error().message(), HasSubstr("this coordinator speaks 2"));
}

TEST(AggregatorService, WaitsForACoordinatorAndStops) {
  auto service = AggregatorService::Start(
      {"ipc:///tmp/tributary-absent-" + std::to_string(getpid()), {}, "aggregator-0", 8_MiB, "127.0.0.1:0"});
  ASSERT_TRUE(service.ok()) << service.error().message();
  EXPECT_GT((*service)->metrics_port(), 0);
  const auto over = (*service)->Wait(Duration(10));
  ASSERT_TRUE(over.ok());
  EXPECT_FALSE(*over);
  (*service)->Stop();
  EXPECT_TRUE(*(*service)->Wait(Duration(0)));
}

TEST(AggregatorService, RefusesAnInstanceNameThatIsNone) {
  const auto service = AggregatorService::Start({"tcp://localhost:7700", {}, "a b"});
  ASSERT_FALSE(service.ok());
  EXPECT_THAT(service.error().message(), HasSubstr("instance name"));
}

}  // namespace
}  // namespace tributary::aggregator
