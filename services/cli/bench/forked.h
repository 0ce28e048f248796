// A part of a benchmark in a process of its own, so that its memory and its CPU time are its own.
//
// The child is a fork: it runs `work`, sends what that returns through a pipe and then waits to be killed, so that the parent reads the
// kernel's peak of a process that still lives. REQUIRES that the parent has no other threads (and so no ZeroMQ context). The child ends
// with the parent. A Forked is used by the thread that started it; destruction kills the child. Bytes, seconds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::cli {

struct ForkedOutcome {
  Json value;  // what `work` returned
  std::uint64_t peak_rss_bytes = 0;
  double cpu_seconds = 0;  // user and system, from fork to the end of `work`
};

class Forked {
 public:
  // In the child; sends one line ahead of the result.
  using Tell = std::function<void(const std::string&)>;
  using Work = std::function<Result<Json>(const Tell&)>;

  // `name` stands in errors ("bare sender").
  static Result<Forked> Start(std::string name, const Work& work);
  Forked(Forked&& other) noexcept;
  Forked& operator=(Forked&&) = delete;
  ~Forked();

  // The line that the child tells.
  Result<std::string> Told();
  // Waits for the result, reads what the process used, and ends it.
  Result<ForkedOutcome> Finish();

 private:
  Forked(std::string name, pid_t pid, int pipe) : name_(std::move(name)), pid_(pid), pipe_(pipe) {}
  Result<std::string> ReadLine();
  // What a line of the result says.
  Result<Json> Answer(const std::string& line) const;
  void Kill();

  std::string name_;
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string unread_;
};

}  // namespace tributary::cli
