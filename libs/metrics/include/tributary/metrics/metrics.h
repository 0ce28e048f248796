// Counters, gauges and histograms of a process, written in the text format of Prometheus.
//
// A metric is declared by its bare name, its unit and its help; the prefix "tributary_", the unit and "_total" of
// counters are put together here: AddCounter("received", Unit::kBytes, ...) is tributary_received_bytes_total. The same
// declaration with other labels adds a series; the same series twice gives the same one. A name that contradicts an
// earlier declaration, or is not a metric name, is a bug of the caller and ends the process with a message.
//
// The Registry owns all series and outlives the handles, which are cheap to copy; a default-made handle does nothing.
// All methods are thread-safe. Collectors run at each Text(), which is each scrape: they must be quick, and must
// not call back into the registry. Base units: bytes, seconds.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace tributary::metrics {

enum class Unit { kNone, kBytes, kSeconds, kRatio };
// No value may come without bound from a peer: a series lives as long as the process.
using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  Counter() = default;
  void Add(double amount = 1);  // amount >= 0; a negative one is not counted

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter* series) : series_(series) {}
  prometheus::Counter* series_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value);
  void Add(double amount);

 private:
  friend class Registry;
  explicit Gauge(prometheus::Gauge* series) : series_(series) {}
  prometheus::Gauge* series_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value);

 private:
  friend class Registry;
  explicit Histogram(prometheus::Histogram* series) : series_(series) {}
  prometheus::Histogram* series_ = nullptr;
};

// One value that a collector reads at a scrape, with its whole name ("process_open_fds"). What cannot be read is
// left out, never zero in disguise.
struct Reading {
  std::string name;
  std::string help;
  bool counter = false;
  Labels labels;
  double value = 0;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter AddCounter(std::string_view name, Unit unit, const std::string& help, const Labels& labels = {});
  Gauge AddGauge(std::string_view name, Unit unit, const std::string& help, const Labels& labels = {});
  // `bounds` rise; the bucket above the last is implied.
  Histogram AddHistogram(std::string_view name, Unit unit, const std::string& help,
                         const std::vector<double>& bounds, const Labels& labels = {});
  void AddCollector(std::function<std::vector<Reading>()> collector);

  // Everything, as /metrics serves it, or of the families with these whole names alone.
  std::string Text(const std::vector<std::string>& families = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 1 ms to 5 minutes in steps of about three: for durations of requests and phases.
const std::vector<double>& DurationBounds();

}  // namespace tributary::metrics
