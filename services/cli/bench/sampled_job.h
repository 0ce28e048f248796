// A job in a process of its own (`tributary run`), and what each of its processes held, by owner.
//
// Peaks of resident memory are those that `tributary run` reads from /proc. What the owners hold, the processes count themselves; it is
// read from their metrics while they live, twenty times a second, and never falls. Bytes, seconds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/cli/bench/bench.h"
#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::cli {

struct ProcessPeak {
  std::string service;
  std::uint64_t rss = 0;     // the kernel's peak
  std::uint64_t base = 0;    // resident when it had just begun to serve its metrics; 0: it never did
  std::uint64_t pool = 0;    // pages of the pool's buffers
  std::uint64_t zeromq = 0;  // received frames
  std::uint64_t torch = 0;   // what loading libtorch added
  // Everything else: code, heap that malloc keeps, tables, a model that is trained. The owners' peaks need not fall on the same moment: what
  // is left may be less than it was, never less than zero.
  std::uint64_t Other() const { return rss > pool + zeromq + torch ? rss - pool - zeromq - torch : 0; }
};

struct SampledJob {
  double seconds = 0;
  std::map<std::string, ProcessPeak> processes;  // by instance
};

// `more`: further words for `tributary run`. With `sample` the processes serve their metrics.
Result<SampledJob> RunSampledJob(const Scratch& scratch, const std::string& text, const std::vector<std::string>& more, bool sample);

}  // namespace tributary::cli
