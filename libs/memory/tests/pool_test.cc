#include "tributary/memory/pool.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "libs/base/testing/sanitized.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary::memory {
namespace {

TEST(Pool, EachSideHasHalf) {
  Pool pool(1000);
  auto read = pool.TryReserve(Side::kRead, 500);
  ASSERT_TRUE(read);
  EXPECT_FALSE(pool.TryReserve(Side::kRead, 1));
  EXPECT_TRUE(pool.TryReserve(Side::kWrite, 500));
  read->Release();
  EXPECT_TRUE(pool.TryReserve(Side::kRead, 500));
  EXPECT_EQ(pool.Use().peak, 1000u);
  EXPECT_EQ(pool.Use().used[0], 0u);
}

TEST(Pool, ASideThatIsEmptyGrantsOneRequestOfMoreThanItsHalf) {
  Pool pool(1000);
  auto large = pool.TryReserve(Side::kRead, 900);
  ASSERT_TRUE(large);
  EXPECT_FALSE(pool.TryReserve(Side::kRead, 1));
  EXPECT_FALSE(pool.TryReserve(Side::kWrite, 101));  // the budget is never passed
  EXPECT_TRUE(pool.TryReserve(Side::kWrite, 100));
}

TEST(Pool, WhatNeverFitsIsRefusedAtOnceWithTheRemedy) {
  Pool pool(1000);
  const auto never = pool.Reserve(Side::kRead, 1001, Duration(0));
  ASSERT_FALSE(never.ok());
  EXPECT_EQ(never.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(never.error().message(), ::testing::HasSubstr("--memory-budget"));
}

TEST(Pool, AWaitEndsWithDeadlineOrStop) {
  Pool pool(1000);
  const auto held = pool.TryReserve(Side::kRead, 500);
  EXPECT_EQ(pool.Reserve(Side::kRead, 1, Duration(5)).error().code(), Code::kDeadline);
  std::stop_source stop;
  std::thread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(pool.Reserve(Side::kRead, 1, Duration(0), stop.get_token()).error().code(), Code::kCancelled);
  stopper.join();
}

TEST(Pool, AWaiterIsWokenByARelease) {
  Pool pool(1000);
  auto held = pool.TryReserve(Side::kRead, 500);
  std::thread releaser([&] { held.reset(); });
  EXPECT_TRUE(pool.Reserve(Side::kRead, 500, Duration(0)).ok());
  releaser.join();
}

TEST(Pool, ReleaseIsToldWithoutLocksHeld) {
  Pool pool(1000);
  std::atomic<int> told{0};
  pool.OnRelease([&] {
    ++told;
    EXPECT_EQ(pool.Use().used[0], 0u);
  });
  { const auto held = pool.TryReserve(Side::kRead, 10); }
  EXPECT_EQ(told, 1);
}

TEST(Pool, NothingIsToldAnyMoreWhenTheCallbackIsUnset) {
  Pool pool(1000);
  int told = 0;
  pool.OnRelease([&] { ++told; });
  pool.OnRelease(nullptr);
  { const auto held = pool.TryReserve(Side::kRead, 10); }
  EXPECT_EQ(told, 0);
}

TEST(Pool, PagesAreKeptWithinTheBudgetAndTheOldestGoFirst) {
  Pool pool(8_MiB);
  for (const std::size_t bytes : {256_KiB, 1_MiB, 512_KiB}) ASSERT_NE(pool.TryAllocate(Side::kRead, bytes), nullptr);
  EXPECT_EQ(pool.Use().kept, 256_KiB + 1_MiB + 512_KiB + 3 * 4096);
  const auto read = pool.TryReserve(Side::kRead, 4_MiB);
  ASSERT_TRUE(read);
  EXPECT_GE(pool.Use().kept, 1_MiB);
  // The room that is left fits the newest alone.
  const auto write = pool.TryReserve(Side::kWrite, 4_MiB - 600_KiB);
  ASSERT_TRUE(write);
  EXPECT_EQ(pool.Use().kept, 512_KiB + 4096);
  const auto rest = pool.TryReserve(Side::kWrite, 600_KiB);
  ASSERT_TRUE(rest);
  EXPECT_EQ(pool.Use().kept, 0u);
}

TEST(Pool, PagesThatComeBackToAFullBudgetAreNotKept) {
  Pool pool(4_MiB);
  auto buffer = pool.TryAllocate(Side::kRead, 1_MiB);
  const auto write = pool.TryReserve(Side::kWrite, 2_MiB);
  const auto read = pool.TryReserve(Side::kRead, 1_MiB - memory::kHeadroom);
  ASSERT_TRUE(buffer && write && read);
  buffer.reset();
  const memory::PoolUse use = pool.Use();
  EXPECT_LE(use.used[0] + use.used[1] + use.kept, 4_MiB);
}

TEST(Reservation, SplitAndMoveKeepTheSum) {
  Pool pool(1000);
  Reservation whole = *pool.TryReserve(Side::kWrite, 300);
  Reservation part = whole.Split(100);
  EXPECT_EQ(whole.bytes(), 200u);
  EXPECT_EQ(part.bytes(), 100u);
  EXPECT_EQ(pool.Use().used[1], 300u);
  whole = std::move(part);
  EXPECT_EQ(pool.Use().used[1], 100u);
  whole.Release();
  whole.Release();
  EXPECT_EQ(pool.Use().used[1], 0u);
}

TEST(Buffer, HasHeadroomInFrontOfAnAlignedPayload) {
  Pool pool(1_MiB);
  const auto buffer = pool.TryAllocate(Side::kRead, 1000);
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->payload().size(), 1000u);
  EXPECT_EQ(buffer->headroom().size(), kHeadroom);
  EXPECT_EQ(buffer->headroom().data() + kHeadroom, buffer->payload().data());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->payload().data()) % 64, 0u);
  EXPECT_EQ(pool.Use().used[0], 1000 + kHeadroom);
  std::memset(buffer->headroom().data(), 1, kHeadroom + 1000);
  buffer->Truncate(10);
  EXPECT_EQ(buffer->payload().size(), 10u);
}

TEST(Buffer, ManyThreadsStayWithinTheBudget) {
  Pool pool(64_KiB);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const Side side = i % 2 == 0 ? Side::kRead : Side::kWrite;
      for (int n = 0; n < 500; ++n) {
        auto buffer = pool.Allocate(side, 8_KiB, Duration(0));
        EXPECT_TRUE(buffer.ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool.Use().peak, 64_KiB);
  EXPECT_EQ(pool.Use().used[0] + pool.Use().used[1], 0u);
}

// The trap that this guards against: with aligned blocks of malloc's the heap grew to several times the budget.
TEST(Buffer, TheHeapStaysNearTheBudgetWhileBuffersAndOtherBlocksAlternate) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory would be measured";
  TuneMalloc(8_MiB);
  Pool pool(8_MiB);
  ASSERT_TRUE(ResetPeak().ok());
  const std::uint64_t before = ReadProcessMemory()->rss;
  std::vector<BufferPtr> buffers(3);
  std::vector<std::vector<char>> messages(3);
  for (std::size_t i = 0; i < 400; ++i) {
    messages[i % 3] = std::vector<char>(1_MiB + 200 + i % 64, 'x');
    buffers[i % 3].reset();
    buffers[i % 3] = pool.TryAllocate(Side::kRead, 1_MiB);
    ASSERT_NE(buffers[i % 3], nullptr);
    std::memset(buffers[i % 3]->payload().data(), 1, 1_MiB);
  }
  EXPECT_LE(ReadProcessMemory()->rss_peak, before + 16_MiB);
}

}  // namespace
}  // namespace tributary::memory
