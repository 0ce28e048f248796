#include "tributary/memory/malloc.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstddef>
#include <vector>

#include "libs/base/testing/sanitized.h"

namespace tributary::memory {
namespace {

// Regions of their own that malloc has taken from the system.
std::size_t MappedRegions() { return mallinfo2().hblks; }

TEST(SteadyHeap, TakesBuffersFromTheHeapWhileItLives) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer has a heap of its own";
  TuneMalloc(64u << 20);
  constexpr std::size_t kBuffer = 16u << 20;
  const std::size_t before = MappedRegions();
  {
    const std::vector<char> buffer(kBuffer, 1);
    EXPECT_EQ(MappedRegions(), before + 1);
  }
  {
    const SteadyHeap heap;
    const std::vector<char> buffer(kBuffer, 1);
    EXPECT_EQ(MappedRegions(), before);
  }
  const std::vector<char> buffer(kBuffer, 1);
  EXPECT_EQ(MappedRegions(), before + 1);
}

TEST(SteadyHeap, GivesWhatIsFreeBackAtItsEnd) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer has a heap of its own";
  TuneMalloc(64u << 20);
  const std::size_t before = mallinfo2().arena;
  {
    const SteadyHeap heap;
    for (int i = 0; i < 3; ++i) const std::vector<char> buffer(30u << 20, 1);
    EXPECT_GE(mallinfo2().arena, before + (30u << 20));
  }
  EXPECT_LT(mallinfo2().arena, before + (8u << 20));
}

}  // namespace
}  // namespace tributary::memory
