// What each process of a run needed: memory.csv and cpu.csv every second, and the peaks by phase.
//
// Peaks are the kernel's (VmHWM), read by the parent: a spike between two readings is not lost. At the end of each phase the
// peak of every process is read and then reset, so that phases have peaks of their own; the overall peak is the
// largest of them. Used by one thread. Bytes and seconds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>

#include "tributary/base/result.h"

namespace tributary::cli {

struct InstanceUse {
  pid_t pid = 0;  // of the newest process
  std::uint64_t peak_rss_bytes = 0;
  double cpu_seconds = 0;  // of all processes of this instance
  std::map<std::string, std::uint64_t> phase_peaks;
};

class MemoryLog {
 public:
  // Appends to `directory`/memory.csv and cpu.csv.
  Status Open(const std::string& directory);
  void OnStart(const std::string& instance, pid_t pid);
  void OnEnd(const std::string& instance);
  // Reads every process; writes rows if a second has passed since the last ones.
  void Sample();
  // Ends the current phase; the next one is `phase`.
  void SetPhase(const std::string& phase);

  const std::map<std::string, InstanceUse>& instances() const { return instances_; }

 private:
  struct Running {
    pid_t pid = 0;
    std::uint64_t rss = 0;
    double cpu_seconds = 0;
  };
  void Read(const std::string& instance, Running& running);

  std::map<std::string, Running> running_;
  std::map<std::string, InstanceUse> instances_;
  std::map<std::string, double> cpu_of_ended_;
  std::string phase_ = "start";
  std::ofstream memory_csv_;
  std::ofstream cpu_csv_;
  double started_ = 0;
  double last_row_ = -1;
};

}  // namespace tributary::cli
