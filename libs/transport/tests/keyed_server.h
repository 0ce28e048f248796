// A server with keys, a list that the test changes, and clients of it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "endpoints.h"
#include "libs/base/testing/temp_directory.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/peers.h"

namespace tributary::transport {

inline CurveKeys Keys() {
  auto keys = GenerateCurveKeys();
  EXPECT_TRUE(keys.ok());
  return *std::move(keys);
}

class KeyedServer : public testing::Test {
 protected:
  void SetUp() override {
    Know({PeerRole::kCoordinator, "main"}, server_);
    Know({PeerRole::kTrainer, "a"}, a_);
    Know({PeerRole::kTrainer, "b"}, b_);
    Save();
  }
  void Know(Identity who, const CurveKeys& keys) { ASSERT_TRUE(list_.Add(std::move(who), keys.public_key).ok()); }
  void Save() { ASSERT_TRUE(WritePeerList(file_, list_).ok()); }
  void Revoke(const CurveKeys& keys) {
    PeerList left;
    for (const auto& entry : list_.entries()) {
      if (entry.key == keys.public_key) continue;
      ASSERT_TRUE(left.Add(entry.who, entry.key).ok());
    }
    list_ = left;
    Save();
  }
  void Start(std::size_t max_frame = wire::kMaxControlFrame, std::uint64_t max_unfinished_bytes = 0) {
    ServerOptions options;
    options.max_frame_bytes = max_frame;
    options.max_unfinished_bytes = max_unfinished_bytes;
    Start(options, handler_);
  }
  void Start(ServerOptions options, Handler& handler) {
    options.endpoint = "tcp://127.0.0.1:0";
    auto server = FrameServer::Start(std::make_shared<Context>(1, Keyring{server_, list_, file_}), options, handler);
    ASSERT_TRUE(server.ok()) << server.error().message();
    running_ = *std::move(server);
  }
  // A client with these keys, which believes the server to have that key.
  std::unique_ptr<FrameClient> DialAs(const CurveKeys& keys, const std::string& server_key, const std::string& endpoint = "") {
    PeerList servers;
    EXPECT_TRUE(servers.Add({PeerRole::kCoordinator, "main"}, server_key).ok());
    auto client = FrameClient::Connect(std::make_shared<Context>(1, Keyring{keys, servers, {}}), {endpoint.empty() ? running_->endpoint() : endpoint});
    EXPECT_TRUE(client.ok());
    return *std::move(client);
  }
  std::unique_ptr<FrameClient> DialAs(const CurveKeys& keys) { return DialAs(keys, server_.public_key); }
  // The frame with this id comes from `who`.
  void ExpectHeard(FrameClient& client, std::uint64_t id, const std::string& who) {
    ASSERT_TRUE(client.Send(MakeFrame(id, wire::Ping{})).ok());
    const auto got = handler_.Next();
    ASSERT_TRUE(got.has_value()) << who;
    EXPECT_EQ(got->id, id);
    EXPECT_EQ(got->sender, who);
  }
  // Waits until the client's handshake fails, and gives what it says.
  static std::string TroubleOf(FrameClient& client) {
    for (int i = 0; i < 200 && client.Trouble().empty(); ++i) static_cast<void>(client.Receive(Duration(100)));
    return client.Trouble();
  }

  const TempDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "peers";
  const CurveKeys server_ = Keys();
  const CurveKeys a_ = Keys();
  const CurveKeys b_ = Keys();
  PeerList list_;
  QueueHandler handler_;
  std::unique_ptr<FrameServer> running_;
};

}  // namespace tributary::transport
