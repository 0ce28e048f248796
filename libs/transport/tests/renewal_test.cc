// A server's socket is opened anew when what connections left in libzmq is more memory than the process is to hold, and for no other reason.
#include <gmock/gmock.h>

#include "keyed_server.h"
#include "libs/transport/src/renewal.h"
#include "raw_connection.h"
#include "raw_dealer.h"
#include "tributary/base/units.h"

namespace tributary::transport {
namespace {

using Clock = std::chrono::steady_clock;

std::function<std::uint64_t()> Admitted(std::uint64_t count) {
  return [count] { return count; };
}

TEST(Due, WhereConnectionsThatEndedUnheardCanBeTheReason) {
  Renewal renewal(1, 1ull << 40);
  const auto now = Clock::now();
  EXPECT_FALSE(renewal.Due(now, Admitted(5))) << "none has ended";
  renewal.Count(3);
  const auto reason = renewal.Due(now, Admitted(2));
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->unheard, 2u);
  EXPECT_GT(reason->held, 1_MiB);
}

TEST(Due, NotForStrangersWhereNobodyWithAKeyIsUnheard) {
  Renewal renewal(1, 1ull << 40);
  renewal.Count(1'000);
  EXPECT_FALSE(renewal.Due(Clock::now(), Admitted(0)));
}

TEST(Due, NotWhereTheyAreTooFewForWhatIsHeld) {
  Renewal renewal(1, 1);
  renewal.Count(3);
  EXPECT_FALSE(renewal.Due(Clock::now(), Admitted(3)));
}

TEST(Due, NotWhereMemoryIsEnoughNorForThoseOfThatTime) {
  Renewal renewal(1ull << 50, 1ull << 40);
  renewal.Count(3);
  EXPECT_FALSE(renewal.Due(Clock::now(), [] {
    ADD_FAILURE() << "nobody asks for it then";
    return std::uint64_t{3};
  }));
  Renewal never(0, 1);
  never.Count(3);
  EXPECT_FALSE(never.Due(Clock::now(), Admitted(3)));
}

TEST(Due, NotAgainForMemoryThatHasAnotherReason) {
  Renewal renewal(1, 1ull << 40);
  auto now = Clock::now();
  renewal.Count(1);
  ASSERT_TRUE(renewal.Due(now, Admitted(1)));
  renewal.Done(now);
  // All this process holds is still held when the old socket's memory has been given back.
  now += std::chrono::seconds(1);
  EXPECT_FALSE(renewal.Due(now, Admitted(1)));
  renewal.Count(1);
  EXPECT_FALSE(renewal.Due(now, Admitted(1)));
}

class RenewedServer : public KeyedServer {
 protected:
  void StartWith(std::uint64_t most_memory) {
    ServerOptions options;
    options.most_memory = most_memory;
    // So much may one connection have left that one of them explains what this process holds.
    options.max_frame_bytes = 64_MiB;
    Start(options, handler_);
  }
  // a is heard; then connections of b take the name of a's, one after the other. What they say no handler hears, whoever it reaches.
  std::unique_ptr<FrameClient> TakeTheNameOfA(const std::function<bool()>& enough) {
    auto a = DialAs(a_);
    EXPECT_TRUE(a->Send(MakeFrame(1, wire::Ping{})).ok());
    const auto first = handler_.Next();
    EXPECT_TRUE(first.has_value());
    for (int i = 0; first && i < 200 && !enough(); ++i) {
      RawDealer taker(running_->endpoint(), b_, server_.public_key, first->peer.routing_id);
      taker.Send("in two", true);
      taker.Send("parts");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return a;
  }
  // As a client does that asks again until it is answered.
  bool HeardAgain(FrameClient& client, std::uint64_t id) {
    for (int i = 0; i < 200; ++i) {
      if (!client.Send(MakeFrame(id, wire::Ping{})).ok()) return false;
      for (int n = 0; n < 20 && handler_.waiting() == 0; ++n) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (handler_.waiting() > 0) return handler_.Next()->id == id;
      const auto received = client.Receive(Duration(0));
      if (received.ok() && received->event == Event::kLost) static_cast<void>(client.Reset());
    }
    return false;
  }
};

TEST_F(RenewedServer, IsConnectedToAgainWhereItHoldsMoreThanItIsTo) {
  StartWith(1);
  const std::string endpoint = running_->endpoint();
  const auto a = TakeTheNameOfA([&] { return running_->counters().renewals > 0; });
  ASSERT_GE(running_->counters().renewals, 1u);
  EXPECT_EQ(handler_.waiting(), 0u);
  const auto received = a->Receive(kPatience);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->event, Event::kLost);
  ASSERT_TRUE(a->Reset().ok());
  EXPECT_TRUE(HeardAgain(*a, 3));
  EXPECT_EQ(running_->endpoint(), endpoint);
}

TEST_F(RenewedServer, StaysAsItIsWhereItsMemoryIsEnough) {
  StartWith(1ull << 50);
  const auto a = TakeTheNameOfA([taken = 0]() mutable { return ++taken > 10; });
  ASSERT_TRUE(handler_.WaitForTicks(5));
  EXPECT_EQ(running_->counters().renewals, 0u);
  ExpectHeard(*a, 3, "trainer a");
}

TEST_F(RenewedServer, StaysAsItIsForStrangers) {
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
