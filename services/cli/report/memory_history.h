// memory.csv of a run as curves: what each process had resident, over the time that the run was at work.
//
// Reads any number of rows in a bounded amount of memory: neighbours are merged, the largest reading stays. Hours between two runs of the
// same work directory take no room on the axis. A value, filled by one thread. Seconds and bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::cli {

class MemoryHistory {
 public:
  static constexpr std::size_t kMaxPoints = 1200;
  static constexpr std::size_t kMaxInstances = 64;
  static constexpr std::size_t kMaxSpans = 20'000;

  struct Span {
    double from = 0;
    double to = 0;
    std::string phase;
  };

  // A row at a time, as the file has them: rows of one reading have the same time.
  void Add(double unix_seconds, const std::string& instance, double rss, const std::string& phase);

  const std::vector<double>& at() const { return at_; }
  // Instance -> one value for each of at(); NaN where it did not run.
  const std::map<std::string, std::vector<double>>& rss() const { return rss_; }
  const std::vector<Span>& spans() const { return spans_; }
  const std::vector<double>& resumes() const { return resumes_; }  // when the run went on after a pause
  // Seconds that one point stands for, about.
  double resolution() const { return resolution_; }
  std::size_t unread = 0;  // rows that are none, or of a process beyond the limit

 private:
  void Halve();

  std::vector<double> at_;
  std::map<std::string, std::vector<double>> rss_;
  std::vector<Span> spans_;
  std::vector<double> resumes_;
  double last_unix_ = 0;
  double active_ = 0;      // of the newest reading
  double point_ends_ = 0;  // readings before it belong to the newest point
  double resolution_ = 1;
};

// kNotFound, kIo.
Result<MemoryHistory> ReadMemoryHistory(const std::string& path);

}  // namespace tributary::cli
