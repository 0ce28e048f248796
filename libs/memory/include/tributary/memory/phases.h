// The peak of resident memory in each phase of what this process does: "download", "train", "aggregate".
//
// The peak is the kernel's (VmHWM), so that no spike between two readings is lost. Where this process may, the kernel's mark starts anew at
// each change of phase, and a phase's peak is its own; where another process reads the mark (as `tributary run` does), or the kernel does not
// allow it, a phase's peak is that of all phases up to it: larger, never smaller. The overall peak is kept across resets. Phases
// of two threads may overlap; each then has the peak of both. Between phases the process is "idle". One book for the whole process; any
// thread. Names come from our code, never from a peer. Bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tributary::memory {

class Phase {
 public:
  explicit Phase(std::string name);
  ~Phase();
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;
  // Another one begins where this one ends.
  void Change(std::string name);

 private:
  std::string name_;
};

// From now on the kernel's mark is this process's own: nobody else reads or resets it.
void OwnPeak();

struct PeakUse {
  std::uint64_t overall = 0;                     // 0: the kernel does not tell
  std::map<std::string, std::uint64_t> phases;   // of those that there were; empty where no phase ever began
};
// Of the phases that go on: so far.
PeakUse ReadPeaks();

}  // namespace tributary::memory
