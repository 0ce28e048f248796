#include "tributary/memory/malloc.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <limits>

namespace tributary::memory {

namespace {

constexpr int kMmapThreshold = 8 << 20;
// The most that malloc takes from the heap.
constexpr int kSteadyMmapThreshold = 32 << 20;

std::atomic<int> g_trim_threshold{4 << 20};

}  // namespace

void TuneMalloc(std::uint64_t budget_bytes) {
  mallopt(M_MMAP_THRESHOLD, kMmapThreshold);
  // Half the budget may stay mapped after a burst: enough that steady streaming never trims, little enough that an
  // idle service shrinks.
  const auto trim = std::clamp<std::uint64_t>(budget_bytes / 2, 4u << 20, 256u << 20);
  g_trim_threshold = static_cast<int>(trim);
  mallopt(M_TRIM_THRESHOLD, g_trim_threshold);
  mallopt(M_ARENA_MAX, 1);
}

SteadyHeap::SteadyHeap() {
  mallopt(M_MMAP_THRESHOLD, kSteadyMmapThreshold);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

SteadyHeap::~SteadyHeap() {
  mallopt(M_MMAP_THRESHOLD, kMmapThreshold);
  mallopt(M_TRIM_THRESHOLD, g_trim_threshold);
  TrimHeap();
}

void TrimHeap() { malloc_trim(0); }

}  // namespace tributary::memory
