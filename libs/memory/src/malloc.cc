#include "tributary/memory/malloc.h"

#include <malloc.h>

#include <algorithm>

namespace tributary::memory {

void TuneMalloc(std::uint64_t budget_bytes) {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  // Half the budget may stay mapped after a burst: enough that steady streaming never trims, little enough that an
  // idle service shrinks.
  const auto trim = std::clamp<std::uint64_t>(budget_bytes / 2, 4u << 20, 256u << 20);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(trim));
  mallopt(M_ARENA_MAX, 1);
}

void TrimHeap() { malloc_trim(0); }

}  // namespace tributary::memory
