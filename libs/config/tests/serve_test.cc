#include "tributary/config/serve.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

namespace tributary::config {
namespace {

struct Calls {
  int stops = 0;
  int waits = 0;
};

class FakeService {
 public:
  FakeService(Calls& calls, std::function<Result<bool>()> wait) : calls_(calls), wait_(std::move(wait)) {}
  void Stop() { ++calls_.stops; }
  Result<bool> Wait(Duration) {
    ++calls_.waits;
    return wait_();
  }

 private:
  Calls& calls_;
  const std::function<Result<bool>()> wait_;
};

int ServeFake(Calls& calls, std::function<Result<bool>()> wait) {
  return Serve([&]() -> Result<std::unique_ptr<FakeService>> { return std::make_unique<FakeService>(calls, wait); });
}

TEST(Serve, ASignalStopsTheServiceInOrder) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Calls calls;
    EXPECT_EQ(ServeFake(calls,
                        [&]() -> Result<bool> {
                          if (calls.waits == 2) kill(getpid(), signal);
                          return false;
                        }),
              kExitDone);
    EXPECT_EQ(calls.stops, 1);
  }
}

TEST(Serve, AServiceThatCannotGoOnFails) {
  Calls calls;
  EXPECT_EQ(ServeFake(calls, []() -> Result<bool> { return MakeError(Code::kIo, "the journal is gone"); }), kExitFailed);
}

TEST(Serve, OneThatHasStoppedIsDone) {
  Calls calls;
  EXPECT_EQ(ServeFake(calls, []() -> Result<bool> { return true; }), kExitDone);
}

TEST(Serve, OneThatCannotStartFails) {
  EXPECT_EQ(Serve([]() -> Result<std::unique_ptr<FakeService>> { return MakeError(Code::kUnavailable, "the port is in use"); }), kExitFailed);
}

}  // namespace
}  // namespace tributary::config
