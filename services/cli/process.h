// A child process that ends when this one does.
//
// Spawn is called from the thread that lives as long as the process (the kernel's parent-death signal is tied to the
// thread). Output of both kinds is appended to a log file. No shell is involved.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::cli {

struct ProcessSpec {
  std::string binary;
  std::vector<std::string> arguments;        // without argv[0]
  std::map<std::string, std::string> environment;  // on top of ours, less our TRIBUTARY_ variables
  std::string log_path;
};

Result<pid_t> Spawn(const ProcessSpec& spec);
// How it ended ("signal 9 (Killed)", "exit code 1"), or nothing while it runs. Reaps.
struct Ending {
  bool signalled = false;
  int code = 0;  // signal or exit code
  std::string Text() const;
};
std::optional<Ending> PollEnding(pid_t pid);

// A TCP port that was free on this machine a moment ago.
Result<std::uint16_t> FreePort();
// The last lines of a log, for errors.
std::string TailOfFile(const std::string& path, std::size_t lines);
// The directory of the running binary.
Result<std::string> BinaryDirectory();

}  // namespace tributary::cli
