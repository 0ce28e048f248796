// A control client against a server that answers as the test says.
#include "tributary/transport/control_client.h"

#include <gmock/gmock.h>

#include "endpoints.h"

namespace tributary::transport {
namespace {

// Answers pings with a pong of whatever protocol and id.
class OtherRelease final : public Handler {
 public:
  OtherRelease(std::uint32_t protocol, bool stray) : protocol_(protocol), stray_(stray) {}
  void OnFrame(const PeerId& peer, InFrame frame) override {
    server.load()->Send(peer, {wire::MakeHeader(wire::Type::kPong, stray_ ? 0 : frame.view().id, wire::EncodeBody(wire::Pong{"test", "1"}), false, protocol_), nullptr});
  }
  std::atomic<FrameServer*> server = nullptr;

 private:
  const std::uint32_t protocol_;
  const bool stray_;
};

Result<wire::Pong> PingOne(std::uint32_t protocol, bool stray, PeerRole role, std::string* endpoint, Duration limit) {
  OtherRelease handler(protocol, stray);
  ServerOptions options;
  options.endpoint = "tcp://127.0.0.1:0";
  const auto server = FrameServer::Start(std::make_shared<Context>(), options, handler).value();
  handler.server = server.get();
  *endpoint = server->endpoint();
  const auto client = ControlClient::Connect(std::make_shared<Context>(), server->endpoint(), role).value();
  auto pong = client->Call<wire::Pong>(wire::Ping{}, limit);
  server->Stop();
  return pong;
}

TEST(ControlClient, AnAnswerOfAnotherProtocolIsRefusedWithWhatToChange) {
  std::string endpoint;
  // One that answers nothing says it, too: another protocol may have its ids elsewhere.
  for (const bool stray : {false, true}) {
    const auto pong = PingOne(9, stray, PeerRole::kBlobStore, &endpoint, kPatience);
    ASSERT_FALSE(pong.ok());
    EXPECT_EQ(pong.error().code(), Code::kProtocol);
    EXPECT_EQ(pong.error().message(), fmt::format("the blob-store at {} speaks protocol 9, this program {}; install the same release on both sides, or images of the same tag", endpoint,
                                                  wire::kProtocol));
  }
}

TEST(ControlClient, AnAnswerToSomethingElseIsPassedOver) {
  std::string endpoint;
  EXPECT_TRUE(PingOne(wire::kProtocol, false, PeerRole::kCoordinator, &endpoint, kPatience).ok());
  EXPECT_EQ(PingOne(wire::kProtocol, true, PeerRole::kCoordinator, &endpoint, Duration(100)).error().code(), Code::kDeadline);
}

}  // namespace
}  // namespace tributary::transport
