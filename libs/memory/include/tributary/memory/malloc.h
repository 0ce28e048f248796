// How glibc's malloc must stand for a process that streams chunks.
//
// libzmq mallocs every large frame. The mmap threshold lies above the largest frame (a threshold below it turns each
// chunk into mmap, page faults and munmap: 0.9 instead of 5 GB/s), the trim threshold near the budget, and few arenas, so
// that freed chunks are used again instead of kept per thread. Call once at the start of main, before threads.
#pragma once

#include <cstdint>

namespace tributary::memory {

void TuneMalloc(std::uint64_t budget_bytes);
// While one lives, what is freed stays mapped: for computations that free and allocate the same buffers over and over, to which fresh pages
// cost more than what is computed in them. Its end restores what TuneMalloc set and trims. One at a time.
class SteadyHeap {
 public:
  SteadyHeap();
  ~SteadyHeap();
  SteadyHeap(const SteadyHeap&) = delete;
  SteadyHeap& operator=(const SteadyHeap&) = delete;
};

// Gives the heap's free pages back to the system.
void TrimHeap();

}  // namespace tributary::memory
