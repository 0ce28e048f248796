// How a run shows itself while it works.
//
// On a terminal: a block that is redrawn in place, a line for the round and one for each trainer. Elsewhere: a line at each
// change of phase and every few seconds. Say() puts a line of its own above. Used by one thread; writes to stderr, so that
// stdout stays for results.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "services/cli/memory_log.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

class ProgressView {
 public:
  explicit ProgressView(bool enabled);
  ~ProgressView() { Clear(); }

  void Say(const std::string& line);
  void Update(const wire::JobStatus& status, const MemoryLog& memory);
  void Clear();  // takes the block off the screen

 private:
  const bool enabled_;
  const bool terminal_;
  std::size_t lines_drawn_ = 0;
  std::string last_key_;  // round and phase of the last line, off a terminal
  std::chrono::steady_clock::time_point last_line_{};
};

// What a terminal shows, line by line, and the one line for elsewhere.
std::vector<std::string> ProgressBlock(const wire::JobStatus& status, const MemoryLog& memory);
std::string ProgressLine(const wire::JobStatus& status);
// "[#####-----]", `width` cells.
std::string Bar(std::uint64_t done, std::uint64_t total, int width);

}  // namespace tributary::cli
