// What the kernel says of a process's memory: resident now, its peak, and the cgroup around it.
//
// Reads /proc and the cgroup file systems (v2, then v1, then none); bytes. Any thread. Values the kernel does not give are
// absent, never zero in disguise.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "tributary/base/result.h"

namespace tributary::memory {

struct ProcessMemory {
  std::uint64_t rss = 0;       // VmRSS
  std::uint64_t rss_peak = 0;  // VmHWM since start or the last ResetPeak
  std::uint64_t anon = 0;
  std::uint64_t file = 0;
  std::uint64_t shmem = 0;
};

// pid 0 is this process. kNotFound when it is gone (a zombie has no memory and counts as gone).
Result<ProcessMemory> ReadProcessMemory(pid_t pid = 0);
// Makes VmHWM start again from VmRSS (writes 5 to clear_refs); the kernel's counter is batched, so peaks read after
// it are good to about 0.1 MB a thread.
Status ResetPeak(pid_t pid = 0);
// User plus system time used so far, seconds.
Result<double> ReadCpuSeconds(pid_t pid = 0);

struct CgroupMemory {
  int version = 0;  // 1 or 2
  std::uint64_t current = 0;
  std::optional<std::uint64_t> peak;   // page cache and socket buffers included
  std::optional<std::uint64_t> limit;  // absent: none
  std::optional<std::uint64_t> oom_kills;  // processes of the group that were killed for want of memory
};
// Of the group that this process is in: v2, then v1, then none. `root` is for tests, which lay out a /proc and a /sys of another machine below it.
std::optional<CgroupMemory> ReadCgroupMemory(const std::string& root = "");

// What a service's container must leave beside the budget, for libraries, stacks, the heap's own and connections. deploy/env.example and the Helm chart say and check the same
// number (tests/limits/ holds them together).
constexpr std::uint64_t kServiceBase = 32ull << 20;
// kInvalidArgument, with both numbers, for a budget that the container around this process has no room for: it would be killed in the middle of a round, and not at its
// start. Ok without a limit.
Status CheckFits(std::uint64_t budget, const std::optional<CgroupMemory>& container);

}  // namespace tributary::memory
