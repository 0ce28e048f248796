// What the benchmarks share: a scratch directory, repeats, rates, and how results are told.
//
// Every benchmark compares within one run, since machines and their load differ: what is compared alternates, and the best of the repeats
// counts (other work on the machine only ever slows things down). Used by one thread. Bytes, seconds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/json/json.h"

namespace tributary::config {
class Options;
}

namespace tributary::cli {

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// A directory of the benchmark's own, removed with everything in it.
class Scratch {
 public:
  // Under `parent`, which must exist; empty: where the system keeps temporary files.
  static Result<Scratch> Make(const std::string& parent);
  Scratch(Scratch&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();
  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  explicit Scratch(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

inline double PerSecond(std::uint64_t bytes, double seconds) { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
inline double Best(const std::vector<double>& rates) { return *std::max_element(rates.begin(), rates.end()); }
std::string FormatRate(double bytes_per_second);  // "1.93 GB/s"

// --json, --repeats and --scratch.
void AddBenchOptions(config::Options& options, std::uint64_t repeats);
// Prints `text`; writes `json` to --json if that is given. The exit code.
int Tell(const std::string& program, const config::Options& options, const OrderedJson& json, const std::string& text);
int FailBench(const std::string& program, const Error& error);

}  // namespace tributary::cli
