#include "tributary/memory/owners.h"

#include <gtest/gtest.h>

#include "libs/base/testing/sanitized.h"
#include "tributary/memory/pool.h"

namespace tributary::memory {
namespace {

TEST(Owners, CountWhatIsHeldAndTheMostThatWas) {
  const std::uint64_t before = UseOf(Owner::kZeroMq).now;
  Gained(Owner::kZeroMq, 100);
  Gained(Owner::kZeroMq, 50);
  Lost(Owner::kZeroMq, 100);
  EXPECT_EQ(UseOf(Owner::kZeroMq).now, before + 50);
  EXPECT_GE(UseOf(Owner::kZeroMq).peak, before + 150);
  Lost(Owner::kZeroMq, 50);
}

TEST(Owners, AReservationIsNoMemoryAndABufferIs) {
  if (kSanitized) GTEST_SKIP() << "buffers come from malloc there";
  Pool pool(8_MiB);
  const std::uint64_t before = UseOf(Owner::kPool).now;
  auto reservation = pool.TryReserve(Side::kWrite, 1_MiB + kHeadroom);
  ASSERT_TRUE(reservation);
  EXPECT_EQ(UseOf(Owner::kPool).now, before);
  const auto buffer = pool.AllocateFrom(*std::move(reservation), 1_MiB);
  EXPECT_GE(UseOf(Owner::kPool).now, before + 1_MiB);
  EXPECT_LE(UseOf(Owner::kPool).now, before + 1_MiB + 8192);
}

}  // namespace
}  // namespace tributary::memory
