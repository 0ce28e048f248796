// How a run shows itself while it works.
//
// On a terminal: a block that is redrawn in place, a line for the round and one for each trainer. Elsewhere: a line at each
// change of phase and every few seconds, unless nothing has changed. Say() puts a line of its own above. Used by one thread; a run writes to
// stderr, so that stdout stays for results.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "services/cli/memory_log.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

// What else is known beside a job's status.
struct ProgressMore {
  std::map<std::string, std::string> speeds;  // of a seat: "12.0 MiB/s"
  std::vector<std::string> below;             // lines under the block
};

class ProgressView {
 public:
  explicit ProgressView(bool enabled, std::FILE* out = stderr);
  ~ProgressView() { Clear(); }

  void Say(const std::string& line);
  void Update(const wire::JobStatus& status, const ProgressMore& more);
  bool terminal() const { return terminal_; }
  void Clear();  // takes the block off the screen

 private:
  const bool enabled_;
  std::FILE* const out_;
  const bool terminal_;
  std::size_t lines_drawn_ = 0;
  std::string last_key_;   // round and phase of the last line, off a terminal
  std::string last_text_;  // that line
  std::chrono::steady_clock::time_point last_line_{};
};

// What a terminal shows, line by line, and the one line for elsewhere.
std::vector<std::string> ProgressBlock(const wire::JobStatus& status, const ProgressMore& more);
std::string ProgressLine(const wire::JobStatus& status);
// "  peak memory:  blob-store 31.7 MiB", of all but trainers, which are as large as their models.
std::string PeakLine(const MemoryLog& memory);
// "round 2 of 5 done in 12.5 s, train loss 2.3456, 1.0 MiB up, 2.0 MiB down, without b/1 (why)", of round after round; that no seat could validate is a line
// of its own. Each cause is told once, and again when it has become another one.
class RoundTeller {
 public:
  std::string Tell(const wire::RoundStatus& round, std::uint32_t rounds);

 private:
  std::map<std::string, std::string> told_;  // by seat; "" of the validation
};
// "[#####-----]", `width` cells.
std::string Bar(std::uint64_t done, std::uint64_t total, int width);

}  // namespace tributary::cli
