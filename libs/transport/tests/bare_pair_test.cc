#include "tributary/transport/bare_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

namespace tributary::transport {
namespace {

struct Taken {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  OnBareMessage Take() {
    return [this](std::span<const std::byte> message) {
      ++messages;
      bytes += message.size();
    };
  }
};

void RunBoth(const BarePair& pair, Taken* at_router, Taken* at_dealer) {
  std::promise<std::string> endpoint;
  std::optional<Result<BareRun>> served;
  std::thread router([&] {
    served = RunBareRouter("tcp://127.0.0.1:*", pair, [&](const std::string& bound) { endpoint.set_value(bound); }, at_router->Take());
  });
  const auto dealt = RunBareDealer(endpoint.get_future().get(), pair, at_dealer->Take());
  router.join();
  ASSERT_TRUE(served->ok()) << served->error().message();
  ASSERT_TRUE(dealt.ok()) << dealt.error().message();
  EXPECT_GT((*served)->seconds, 0);
  EXPECT_GT(dealt->seconds, 0);
}

TEST(BarePair, TheDealersMessagesAllArrive) {
  BarePair pair;
  pair.messages = 100;
  pair.message_bytes = 100'000;
  Taken router, dealer;
  RunBoth(pair, &router, &dealer);
  EXPECT_EQ(router.messages, 100u);
  EXPECT_EQ(router.bytes, 10'000'000u);
  EXPECT_EQ(dealer.messages, 0u);
}

TEST(BarePair, TheRoutersMessagesAllArriveThoughTheMarkIsLow) {
  BarePair pair;
  pair.router_sends = true;
  pair.messages = 100;
  pair.message_bytes = 100'000;
  pair.high_water = 1;
  Taken router, dealer;
  RunBoth(pair, &router, &dealer);
  EXPECT_EQ(dealer.messages, 100u);
  EXPECT_EQ(dealer.bytes, 10'000'000u);
  EXPECT_EQ(router.messages, 0u);
}

TEST(BarePair, AnEndpointThatIsNoneIsNamed) {
  const BarePair pair;
  const auto served = RunBareRouter("nonsense", pair, [](const std::string&) {}, [](std::span<const std::byte>) {});
  ASSERT_FALSE(served.ok());
  EXPECT_EQ(served.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(served.error().message(), testing::HasSubstr("nonsense"));
  const auto dealt = RunBareDealer("nonsense", pair, [](std::span<const std::byte>) {});
  ASSERT_FALSE(dealt.ok());
  EXPECT_EQ(dealt.error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary::transport
