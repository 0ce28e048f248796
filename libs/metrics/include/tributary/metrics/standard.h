// The metrics that every service has: process_*, tributary_memory_* and tributary_build_info.
//
// All are read from /proc and the cgroup file systems at each scrape; what the kernel does not give is left out.
// Bytes and seconds. Call once for a registry, before it is served.
#pragma once

#include <cstdint>
#include <string_view>

#include "tributary/memory/pool.h"
#include "tributary/metrics/metrics.h"

namespace tributary::metrics {

// process_cpu_seconds_total, process_open_fds, process_max_fds, process_virtual_memory_bytes,
// process_virtual_memory_max_bytes, process_resident_memory_bytes, process_heap_bytes, process_start_time_seconds,
// process_threads.
void AddProcessMetrics(Registry& registry);

// tributary_memory_rss_peak_bytes, tributary_memory_base_bytes (resident memory at this call), tributary_memory_phase_peak_bytes{phase}
// (memory/phases.h), tributary_memory_cgroup_bytes, ..._cgroup_peak_bytes, ..._cgroup_limit_bytes and ..._cgroup_oom_kills_total (v2, then
// v1, then left out), tributary_memory_owner_peak_bytes{owner}, tributary_memory_budget_bytes, and of `pool`, which must outlive the
// registry and may be null: tributary_memory_pool_bytes{state="read"|"write"|"free"} and tributary_memory_pool_peak_bytes.
void AddMemoryMetrics(Registry& registry, std::uint64_t budget, const memory::Pool* pool);

// tributary_build_info{service, version} 1: what rules and dashboards know a service by, whatever the scraping side calls its job.
void AddBuildInfo(Registry& registry, std::string_view service, std::string_view version);

}  // namespace tributary::metrics
