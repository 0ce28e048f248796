// A directory of TensorBoard's event files with one file in it, which a run appends to and goes on with after a kill.
//
// Open reads the file that is there: what a kill has torn at its end is cut off, and LastStep() tells what need not be written again. Each
// Append is one write. Errors are kIo and the like, with the path; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tributary/base/result.h"

namespace tributary::tfevents {

class EventLog {
 public:
  // Makes the directory if absent.
  static Result<EventLog> Open(const std::string& directory);
  EventLog(EventLog&& other) noexcept;
  EventLog& operator=(EventLog&& other) noexcept;
  ~EventLog();

  // Numbers that are not finite are left out.
  Status Append(std::int64_t step, double wall_time, const std::map<std::string, double>& values);
  std::int64_t LastStep() const { return last_step_; }
  const std::string& path() const { return path_; }

 private:
  EventLog() = default;
  Status Write(const std::string& bytes);

  std::string path_;
  int file_ = -1;
  std::int64_t last_step_ = 0;
};

}  // namespace tributary::tfevents
