// Who is heard by a server with keys: known keys alone, as long as they are known, and as who they are. All against real sockets.
#include <gmock/gmock.h>

#include <fstream>

#include "keyed_server.h"
#include "libs/base/testing/sanitized.h"
#include "proxy.h"
#include "raw_connection.h"
#include "raw_dealer.h"
#include "tributary/memory/process_memory.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

using Admission = KeyedServer;

TEST_F(Admission, AFrameTellsItsSenderByTheKeyAndAnswersComeBack) {
  Start();
  const auto a = DialAs(a_);
  const auto b = DialAs(b_);
  ExpectHeard(*a, 7, "trainer a");
  ExpectHeard(*b, 8, "trainer b");
  ASSERT_TRUE(a->Send(MakeFrame(9, wire::Ping{})).ok());
  const auto got = handler_.Next();
  ASSERT_TRUE(got.has_value());
  running_->Send(got->peer, MakeFrame(9, wire::Pong{"test", "1"}));
  const auto reply = a->Receive(kPatience);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->event, Event::kFrame);
  EXPECT_EQ(a->Trouble(), "");
}

TEST_F(Admission, ManyMessagesAreNotTakenForBytesThatPileUp) {
  // What encryption adds to 3,000 messages is more than a connection may hold.
  Start(wire::kMaxControlFrame, 64_KiB);
  const auto client = DialAs(a_);
  for (std::uint64_t n = 1; n <= 3'000; ++n) ExpectHeard(*client, n, "trainer a");
  EXPECT_EQ(running_->counters().cut_off, 0u);
}

TEST_F(Admission, AnUnknownKeyIsNotHeardAndIsToldSo) {
  Start();
  const auto stranger = DialAs(Keys());
  static_cast<void>(stranger->Send(MakeFrame(1, wire::Ping{})));
  EXPECT_THAT(TroubleOf(*stranger), HasSubstr("refuses this process's key"));
  ExpectHeard(*DialAs(a_), 2, "trainer a");
  EXPECT_GE(running_->counters().unknown_keys, 1u);
  EXPECT_EQ(handler_.waiting(), 0u);
}

TEST_F(Admission, WhoDoesNotKnowTheServersKeyOrSpeaksInTheClearIsNotHeardAndIsToldSo) {
  Start();
  const auto clear = Dial(running_->endpoint());
  const auto wrong = DialAs(a_, Keys().public_key);
  static_cast<void>(clear->Send(MakeFrame(1, wire::Ping{})));
  static_cast<void>(wrong->Send(MakeFrame(2, wire::Ping{})));
  EXPECT_THAT(TroubleOf(*clear), HasSubstr("give --key and --peers"));
  EXPECT_THAT(TroubleOf(*wrong), HasSubstr("its key is not"));
  ExpectHeard(*DialAs(a_), 3, "trainer a");
  EXPECT_TRUE(Eventually([&] { return running_->counters().failed_handshakes >= 2; }));
  EXPECT_EQ(handler_.waiting(), 0u);
}

TEST_F(Admission, ARevokedPeersConnectionEndsAndItIsHeardNoMore) {
  Start();
  const auto a = DialAs(a_);
  const auto b = DialAs(b_);
  ExpectHeard(*a, 1, "trainer a");
  ExpectHeard(*b, 2, "trainer b");
  Revoke(a_);
  const auto begun = std::chrono::steady_clock::now();
  const auto lost = a->Receive(kPatience);
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->event, Event::kLost);
  // The promise, and not this machine's speed.
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  static_cast<void>(a->Send(MakeFrame(3, wire::Ping{})));
  EXPECT_THAT(TroubleOf(*a), HasSubstr("refuses this process's key"));
  // The other one's connection goes on.
  ExpectHeard(*b, 4, "trainer b");
  EXPECT_GE(running_->counters().revoked, 1u);
  EXPECT_EQ(handler_.waiting(), 0u);
}

TEST_F(Admission, AKeyThatIsAddedIsHeardWithoutARestart) {
  Start();
  const CurveKeys late = Keys();
  const auto client = DialAs(late);
  static_cast<void>(client->Send(MakeFrame(1, wire::Ping{})));
  EXPECT_THAT(TroubleOf(*client), HasSubstr("refuses"));
  Know({PeerRole::kTrainer, "late"}, late);
  Save();
  for (int i = 0; i < 200 && handler_.waiting() == 0; ++i) {
    const auto event = client->Receive(Duration(100));
    ASSERT_TRUE(event.ok());
    if (i > 0 && event->event != Event::kLost) continue;
    usleep(50'000);  // as all that dial do: they are not asked in a tight loop
    ASSERT_TRUE(client->Reset().ok());
    ASSERT_TRUE(client->Send(MakeFrame(2, wire::Ping{})).ok());
  }
  const auto got = handler_.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->sender, "trainer late");
}

TEST_F(Admission, AListThatCannotBeReadLeavesTheOldOne) {
  Start();
  const auto a = DialAs(a_);
  ExpectHeard(*a, 1, "trainer a");
  std::ofstream(file_) << "trainer nonsense\n";
  // Long enough for the server to have looked: its own tick counts.
  ASSERT_TRUE(handler_.WaitForTicks(25));
  ExpectHeard(*a, 2, "trainer a");
  ExpectHeard(*DialAs(b_), 3, "trainer b");
}

TEST_F(Admission, AListThatIsMendedAsTheErrorSaysIsReadThen) {
  Start();
  const auto a = DialAs(a_);
  ExpectHeard(*a, 1, "trainer a");
  // Written by everybody, and without a: refused as a whole.
  std::ofstream(file_) << "trainer b " << b_.public_key << "\n";
  std::filesystem::permissions(file_, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  ASSERT_TRUE(handler_.WaitForTicks(25));
  ExpectHeard(*a, 2, "trainer a");
  // Its bytes stay as they are.
  std::filesystem::permissions(file_, std::filesystem::perms::others_write, std::filesystem::perm_options::remove);
  const auto lost = a->Receive(kPatience);
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->event, Event::kLost);
}

TEST_F(Admission, AFrameOfTheGreatestLengthPassesBothWays) {
  Start();
  const auto a = DialAs(a_);
  wire::ErrorBody text;
  text.message = std::string(wire::kMaxControlFrame, 'x');
  while (wire::EncodeFrame(1, text).size() > wire::kMaxControlFrame) text.message.pop_back();
  const std::string frame = wire::EncodeFrame(1, text);
  // As encrypted it is longer than the plane allows in the clear.
  ASSERT_GT(frame.size() + 33, wire::kMaxControlFrame);
  ASSERT_TRUE(a->Send({frame, nullptr}).ok());
  const auto got = handler_.Next();
  ASSERT_TRUE(got.has_value());
  running_->Send(got->peer, {frame, nullptr});
  const auto reply = a->Receive(kPatience);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->event, Event::kFrame);
}

TEST_F(Admission, AForgedRoutingIdIsNoIdentity) {
  Start();
  const auto a = DialAs(a_);
  ASSERT_TRUE(a->Send(MakeFrame(1, wire::Ping{})).ok());
  const auto first = handler_.Next();
  ASSERT_TRUE(first.has_value());
  // b takes a name that looks like a's, which ends its connection, and then a's own.
  {
    RawDealer named(running_->endpoint(), b_, server_.public_key, "trainer a");
    ASSERT_TRUE(named.Send(wire::EncodeFrame(2, wire::Ping{})));
    EXPECT_TRUE(Eventually([&] { return running_->counters().cut_off == 1; }));
    EXPECT_EQ(handler_.waiting(), 0u);
  }
  ASSERT_TRUE(Eventually([&] { return running_->counters().connections == 1; }));
  RawDealer taken(running_->endpoint(), b_, server_.public_key, first->peer.routing_id);
  static_cast<void>(taken.Send(wire::EncodeFrame(3, wire::Ping{})));
  // It has come as far as it comes: b's connection is known to the server, beside a's.
  ASSERT_TRUE(Eventually([&] { return running_->counters().connections >= 2; }));
  ASSERT_TRUE(handler_.WaitForTicks(25));
  EXPECT_EQ(handler_.waiting(), 0u);
  // a keeps its connection, and answers to it go to a.
  ExpectHeard(*a, 4, "trainer a");
  running_->Send(first->peer, MakeFrame(4, wire::Pong{"test", "1"}));
  const auto reply = a->Receive(kPatience);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->event, Event::kFrame);
}

TEST_F(Admission, AReplayedFrameIsNotHeard) {
  Start();
  Proxy proxy(running_->endpoint());
  const auto client = DialAs(a_, server_.public_key, proxy.endpoint());
  ExpectHeard(*client, 1, "trainer a");
  ExpectHeard(*client, 2, "trainer a");
  proxy.Replay();
  ASSERT_TRUE(Eventually([&] { return proxy.replayed(); }));
  // The nonce of frame 2 was used: that is told, and whatever else comes on this connection is not heard either.
  EXPECT_TRUE(Eventually([&] { return running_->counters().failed_handshakes >= 1; }));
  ExpectHeard(*DialAs(b_), 3, "trainer b");
  EXPECT_EQ(handler_.waiting(), 0u);
}

TEST_F(Admission, AnEndlessMultipartMessageOfAKnownPeerIsCutOff) {
  Start(1_MiB, 4_MiB);
  const auto client = DialAs(b_);
  ExpectHeard(*client, 1, "trainer b");
  {
    // libzmq sends a message's parts once it has the last one.
    RawDealer endless(running_->endpoint(), a_, server_.public_key);
    const std::string part(512u << 10, 'x');
    for (int i = 0; i < 256; ++i) ASSERT_TRUE(endless.Send(part, i < 255));
    EXPECT_TRUE(Eventually([&] { return running_->counters().cut_off >= 1; }));
  }
  ExpectHeard(*client, 2, "trainer b");
}

TEST_F(Admission, AThousandHalfOpenHandshakesHoldNextToNothing) {
  Start(4_MiB);
  const auto resident = [] { return memory::ReadProcessMemory(getpid()).value().rss; };
  const auto known = DialAs(a_);
  ExpectHeard(*known, 1, "trainer a");
  const auto before = resident();
  std::vector<std::unique_ptr<RawConnection>> half_open;
  // Each says hello as ZMTP wants it, then claims a command of 4 MiB and sends of it what is taken, 256 KiB at most: 250 MiB in all.
  std::string command("\x06", 1);
  for (int shift = 56; shift >= 0; shift -= 8) command.push_back(static_cast<char>((std::uint64_t{4} << 20 >> shift) & 0xFF));
  command += std::string(256u << 10, 'x');
  for (int i = 0; i < 1'000; ++i) {
    half_open.push_back(std::make_unique<RawConnection>(running_->endpoint(), false));
    std::string greeting = std::string("\xFF\0\0\0\0\0\0\0\0\x7F\x03\0", 12) + "CURVE" + std::string(15, '\0') + std::string(32, '\0');
    half_open.back()->Write(greeting);
    half_open.back()->Write(command);
  }
  ExpectHeard(*known, 2, "trainer a");
  const auto after = resident();
  EXPECT_TRUE(Eventually([&] { return running_->counters().cut_off + running_->counters().failed_handshakes >= 990; }));
  if (!kSanitized) {  // a sanitizer keeps what is freed for a while
    EXPECT_LT(after - std::min(before, after), 64_MiB);
  }
}

}  // namespace
}  // namespace tributary::transport
