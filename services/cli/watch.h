// `tributary status --watch` and `submit --wait`: tells how a job goes until it ends.
//
// SpeedMeter and RoundsLeft are plain values, used by one thread. Times are of a clock that never goes back.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tributary/transport/control_client.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

// How fast each seat goes, from what it had done some seconds ago in the same phase.
class SpeedMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // "12.0 MiB/s", "3.4 steps/s" by seat; a seat that has not moved yet, or that tells its own tokens a second, has none.
  std::map<std::string, std::string> Update(const wire::JobStatus& status, Time now);

 private:
  struct Mark {
    Time at;
    std::uint64_t done = 0;
  };
  struct Seat {
    std::string key;  // round, phase and unit that the marks are of
    std::deque<Mark> marks;
  };
  std::map<std::string, Seat> seats_;
};

// "3 rounds left, about 12 s each: 36 s", by the newest of the finished rounds; empty where nothing honest can be said: none is finished, or the
// job waits.
std::string RoundsLeft(const wire::JobStatus& status, const std::vector<wire::RoundStatus>& finished);

constexpr int kExitStopped = 3;
// The exit code: 0 completed; 1 failed, unknown, or the coordinator has been silent for five minutes; 3 stopped; 130 after Ctrl-C, which
// touches nothing of the job. `command` begins what is said on stderr.
int WatchJob(transport::ControlClient& client, const char* command, const std::string& job, const std::string& coordinator);

}  // namespace tributary::cli
