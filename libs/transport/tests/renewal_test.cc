// A server's socket is opened anew when what connections left in libzmq is more memory than the process is to hold, and for no other reason.
#include <gmock/gmock.h>

#include "keyed_server.h"
#include "raw_connection.h"
#include "raw_dealer.h"
#include "tributary/base/units.h"

namespace tributary::transport {
namespace {

class Renewal : public KeyedServer {
 protected:
  void StartWith(std::uint64_t most_memory) {
    ServerOptions options;
    options.most_memory = most_memory;
    // So much may one connection have left that a few of them explain what this process holds.
    options.max_frame_bytes = 64_MiB;
    Start(options, handler_);
  }
  // a is heard; then connections of b take the name of a's.
  std::unique_ptr<FrameClient> TakeTheNameOfA() {
    auto a = DialAs(a_);
    EXPECT_TRUE(a->Send(MakeFrame(1, wire::Ping{})).ok());
    const auto first = handler_.Next();
    EXPECT_TRUE(first.has_value());
    if (!first) return a;
    // Not once the socket is a new one, where nobody has that name.
    for (int i = 0; i < 12 && running_->counters().renewals == 0; ++i) {
      RawDealer taker(running_->endpoint(), b_, server_.public_key, first->peer.routing_id);
      taker.Send(wire::EncodeFrame(2, wire::Ping{}));
      EXPECT_TRUE(Eventually([&] { return running_->counters().connections >= 2 || running_->counters().renewals > 0; }));
    }
    return a;
  }
};

TEST_F(Renewal, EverybodyConnectsAgainWhereAServerHoldsMoreThanItIsTo) {
  StartWith(1);
  const std::string endpoint = running_->endpoint();
  const auto a = TakeTheNameOfA();
  ASSERT_TRUE(Eventually([&] { return running_->counters().renewals >= 1; }));
  EXPECT_EQ(handler_.waiting(), 0u) << "of those who took a name none was heard";
  const auto received = a->Receive(kPatience);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->event, Event::kLost);
  ASSERT_TRUE(a->Reset().ok());
  ExpectHeard(*a, 3, "trainer a");
  ExpectHeard(*DialAs(b_), 4, "trainer b");
  EXPECT_EQ(running_->endpoint(), endpoint);
}

TEST_F(Renewal, NobodyIsDisturbedWhereTheMemoryIsEnough) {
  StartWith(1ull << 50);
  const auto a = TakeTheNameOfA();
  EXPECT_TRUE(Eventually([&] { return running_->counters().connections == 1; }));
  ASSERT_TRUE(handler_.WaitForTicks(5));
  EXPECT_EQ(running_->counters().renewals, 0u);
  ExpectHeard(*a, 3, "trainer a");
}

TEST_F(Renewal, StrangersAreNoReasonForIt) {
  StartWith(1);
  const auto a = DialAs(a_);
  ExpectHeard(*a, 1, "trainer a");
  for (int i = 0; i < 50; ++i) {
    RawConnection stranger(running_->endpoint(), false);
    stranger.Write(std::string("\xFF\0\0\0\0\0\0\0\1\x7F\3\0CURVE", 17) + std::string(47, '\0'));
    ASSERT_TRUE(Eventually([&] { return running_->counters().connections >= 2; }));
  }
  EXPECT_TRUE(Eventually([&] { return running_->counters().connections == 1; }));
  ASSERT_TRUE(handler_.WaitForTicks(5));
  EXPECT_EQ(running_->counters().renewals, 0u);
  ExpectHeard(*a, 2, "trainer a");
}

}  // namespace
}  // namespace tributary::transport
