#include "libs/blob-client/src/window.h"

#include <gtest/gtest.h>

#include "tributary/base/units.h"

namespace tributary::blob_client {
namespace {

using std::chrono::milliseconds;

class WindowTest : public ::testing::Test {
 protected:
  // So many seconds of chunks at this rate.
  void Move(std::uint64_t bytes_per_second, double seconds) {
    const std::uint64_t steps = static_cast<std::uint64_t>(seconds * 20);
    for (std::uint64_t i = 0; i < steps; ++i) window_.Moved(bytes_per_second / 20, now_ += milliseconds(50));
  }
  Window window_{8_MiB, 32_MiB};
  Window::Time now_ = Window::Time() + std::chrono::hours(1);
};

TEST_F(WindowTest, BeginsWithTheLeast) {
  EXPECT_EQ(window_.bytes(milliseconds(200)), 8_MiB);
  EXPECT_EQ(Window(8_MiB, 2_MiB).bytes(milliseconds(200)), 2_MiB);
}

TEST_F(WindowTest, IsTwiceWhatTheLineHolds) {
  Move(50'000'000, 2);
  // 50 MB/s by 200 ms is 10 MB. An interval counts the chunk that began it, too.
  EXPECT_GE(window_.bytes(milliseconds(200)), 20'000'000u);
  EXPECT_LE(window_.bytes(milliseconds(200)), 25'000'000u);
}

TEST_F(WindowTest, StaysWithinItsBounds) {
  Move(1'000'000'000, 2);
  EXPECT_EQ(window_.bytes(milliseconds(200)), 32_MiB);
  EXPECT_EQ(window_.bytes(milliseconds(1)), 8_MiB) << "no delay";
  EXPECT_EQ(window_.bytes({}), 8_MiB) << "not known yet";
}

TEST_F(WindowTest, FollowsALineThatBecameSlower) {
  Move(80'000'000, 2);
  Move(10'000'000, 2);
  EXPECT_EQ(window_.bytes(milliseconds(200)), 8_MiB);
}

}  // namespace
}  // namespace tributary::blob_client
