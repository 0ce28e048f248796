// A server whose handler is a queue that the test reads, and a client to it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "tributary/transport/frame_client.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::transport {

constexpr Duration kPatience{20'000};

class QueueHandler final : public Handler {
 public:
  struct Got {
    PeerId peer;
    wire::Type type;
    std::uint64_t id;
    std::string body;
    std::string payload;
    std::string sender;  // "trainer a"; empty: the server has no keys
  };
  void OnFrame(const PeerId& peer, InFrame frame) override {
    const auto text = [](std::span<const std::byte> bytes) {
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    const auto& view = frame.view();
    const std::lock_guard lock(mutex_);
    got_.push_back({peer, view.type, view.id, text(view.body), text(view.payload), frame.sender() == nullptr ? "" : frame.sender()->str()});
    changed_.notify_all();
  }
  void OnGone(const PeerId& peer) override {
    const std::lock_guard lock(mutex_);
    gone_.push_back(peer);
    changed_.notify_all();
  }
  void OnTick() override {
    const std::lock_guard lock(mutex_);
    ++ticks_;
    changed_.notify_all();
  }

  std::optional<Got> Next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return !got_.empty(); })) return std::nullopt;
    Got got = std::move(got_.front());
    got_.pop_front();
    return got;
  }
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return got_.size();
  }
  bool WaitForGone(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return gone_.size() >= count; });
  }
  // So many more.
  bool WaitForTicks(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&, until = ticks_ + count] { return ticks_ >= until; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Got> got_;
  std::vector<PeerId> gone_;
  int ticks_ = 0;
};

inline std::unique_ptr<FrameServer> Serve(QueueHandler& handler, std::size_t max_frame = wire::kMaxControlFrame,
                                          const std::string& endpoint = "tcp://127.0.0.1:0", int send_high_water = 1000) {
  ServerOptions options;
  options.endpoint = endpoint;
  options.max_frame_bytes = max_frame;
  options.tick = Duration(5);
  options.send_high_water = send_high_water;
  auto server = FrameServer::Start(std::make_shared<Context>(), options, handler);
  EXPECT_TRUE(server.ok()) << server.error().message();
  return std::move(*server);
}

inline std::unique_ptr<FrameClient> Dial(const std::string& endpoint, std::size_t max_frame = wire::kMaxControlFrame) {
  auto client = FrameClient::Connect(std::make_shared<Context>(), {endpoint, max_frame});
  EXPECT_TRUE(client.ok()) << client.error().message();
  return std::move(*client);
}

inline bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    usleep(5'000);
  }
  return false;
}

inline void ExpectServerAlive(FrameServer& server, QueueHandler& handler, FrameClient& client) {
  ASSERT_TRUE(client.Send(MakeFrame(99, wire::Ping{})).ok());
  const auto got = handler.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->id, 99u);
  server.Send(got->peer, MakeFrame(99, wire::Pong{}));
  const auto received = client.Receive(kPatience);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->event, Event::kFrame);
}

}  // namespace tributary::transport
