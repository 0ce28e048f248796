// What somebody without a key may take of a server with keys: time, connections; and what a key is worth once it is revoked.
#include <gmock/gmock.h>

#include <latch>
#include <map>

#include "keyed_server.h"
#include "proxy.h"
#include "raw_connection.h"

namespace tributary::transport {
namespace {

using Limits = KeyedServer;

// ZMTP 3: signature, version, mechanism, as-server, filler. Then CURVE's HELLO: its length in two bytes of framing, and 200.
constexpr std::size_t kGreeting = 64;
constexpr std::size_t kHello = 202;

std::string Greeting() { return std::string("\xFF\0\0\0\0\0\0\0\1\x7F\3\0CURVE", 17) + std::string(kGreeting - 17, '\0'); }

TEST_F(Limits, AHandshakeThatIsNotCompletedInTimeEndsWithItsConnection) {
  ServerOptions options;
  options.handshake_limit = Duration(1'000);
  Start(options, handler_);
  const auto known = DialAs(a_);
  ExpectHeard(*known, 1, "trainer a");
  // Nothing, the greeting, and a part of a command.
  for (const std::string& said : {std::string(), Greeting().substr(0, 11), Greeting(), Greeting() + std::string("\4\x70\5HELLO", 8)}) {
    RawConnection silent(running_->endpoint(), false);
    ASSERT_TRUE(silent.Write(said));
    EXPECT_TRUE(silent.WaitForEnd()) << said.size() << " bytes were said";
  }
  // A client that knows the server's key, and does not go on after its welcome.
  Proxy half_way(running_->endpoint(), kGreeting + kHello);
  const auto client = DialAs(b_, server_.public_key, half_way.endpoint());
  EXPECT_TRUE(Eventually([&] { return half_way.ended(); })) << half_way.passed() << " bytes were said";
  EXPECT_EQ(half_way.passed(), kGreeting + kHello);
  // Who has come to the end of its own stays, however long it says nothing.
  ExpectHeard(*known, 2, "trainer a");
}

TEST_F(Limits, AHandshakeThatComesByTheByteEndsInTimeToo) {
  ServerOptions options;
  options.handshake_limit = Duration(1'000);
  Start(options, handler_);
  RawConnection slow(running_->endpoint(), false);
  bool open = slow.Write(Greeting() + std::string("\4\xC8", 2));
  for (int i = 0; i < 199 && open; ++i) {
    open = slow.Write("x");
    usleep(20'000);  // for 4 s
  }
  EXPECT_FALSE(open);
}

TEST_F(Limits, StrangersLeaveForOthersAndAdmittedPeersKeepTheirPlace) {
  ServerOptions options;
  options.max_connections = 4;
  Start(options, handler_);
  const auto a = DialAs(a_);
  const auto b = DialAs(b_);
  ExpectHeard(*a, 1, "trainer a");
  ExpectHeard(*b, 2, "trainer b");
  RawConnection first(running_->endpoint(), false);
  ASSERT_TRUE(Eventually([&] { return running_->counters().connections == 3; }));
  RawConnection second(running_->endpoint(), false);
  ASSERT_TRUE(Eventually([&] { return running_->counters().connections == 4; }));
  // The oldest of those who have not said a word makes room: for one more of them, and for somebody with a key.
  RawConnection third(running_->endpoint(), false);
  EXPECT_TRUE(first.WaitForEnd());
  const auto late = DialAs(b_);
  ExpectHeard(*late, 3, "trainer b");
  EXPECT_TRUE(second.WaitForEnd());
  ExpectHeard(*a, 4, "trainer a");
  ExpectHeard(*b, 5, "trainer b");
  // Many more of them: those who were admitted notice nothing.
  std::vector<std::unique_ptr<RawConnection>> more;
  for (int i = 0; i < 100; ++i) more.push_back(std::make_unique<RawConnection>(running_->endpoint(), false));
  EXPECT_TRUE(Eventually([&] { return running_->counters().cut_off >= 102; })) << running_->counters().cut_off;
  std::uint64_t id = 6;
  for (const auto* client : {&a, &b, &late}) ExpectHeard(**client, id++, client == &a ? "trainer a" : "trainer b");
  for (const auto* client : {&a, &b, &late}) EXPECT_EQ((*client)->Receive(Duration(0))->event, Event::kTimeout);
}

// Stays in the first frame until it is released; notes whose frames came, and how many.
class SlowHandler final : public Handler {
 public:
  void OnFrame(const PeerId&, InFrame frame) override {
    if (frames_++ == 0) {
      entered.count_down();
      released.wait();
    }
    const std::lock_guard lock(mutex_);
    ++heard_[frame.sender()->str()];
  }
  int Heard(const std::string& who) {
    const std::lock_guard lock(mutex_);
    return heard_[who];
  }
  std::latch entered{1};
  std::latch released{1};

 private:
  int frames_ = 0;
  std::mutex mutex_;
  std::map<std::string, int> heard_;
};

TEST_F(Limits, FramesThatAreUnderWayWhenAKeyIsRevokedAreNotActedOn) {
  SlowHandler handler;
  Start({}, handler);
  const auto a = DialAs(a_);
  constexpr int kFrames = 500;
  for (int i = 1; i <= kFrames; ++i) ASSERT_TRUE(a->Send(MakeFrame(static_cast<std::uint64_t>(i), wire::Ping{})).ok());
  handler.entered.wait();
  // They lie at the server, in its kernel and on the way. Its next look at the list is due when it goes on.
  Revoke(a_);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  handler.released.count_down();
  EXPECT_TRUE(Eventually([&] { return running_->counters().revoked >= 1; }));
  const auto b = DialAs(b_);
  ASSERT_TRUE(b->Send(MakeFrame(1, wire::Ping{})).ok());
  EXPECT_TRUE(Eventually([&] { return handler.Heard("trainer b") == 1; }));
  // Those of the turn that it was in, and not one more.
  EXPECT_LE(handler.Heard("trainer a"), 16);
  running_.reset();
}

TEST_F(Limits, WhatAHandshakeFailedForIsForgottenWhenThereIsNobodyToShakeHandsWith) {
  Start();
  const auto stranger = DialAs(Keys());
  EXPECT_NE(TroubleOf(*stranger), "");
  EXPECT_TRUE(stranger->Refused());
  running_.reset();
  ASSERT_TRUE(stranger->Reset().ok());
  for (int i = 0; i < 200 && !stranger->Trouble().empty(); ++i) static_cast<void>(stranger->Receive(Duration(100)));
  EXPECT_EQ(stranger->Trouble(), "");
  EXPECT_FALSE(stranger->Refused());
}

}  // namespace
}  // namespace tributary::transport
