#include "tributary/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

namespace tributary::metrics {
namespace {

std::string WholeName(std::string_view name, Unit unit, bool counter) {
  std::string whole = "tributary_" + std::string(name);
  switch (unit) {
    case Unit::kNone: break;
    case Unit::kBytes: whole += "_bytes"; break;
    case Unit::kSeconds: whole += "_seconds"; break;
    case Unit::kRatio: whole += "_ratio"; break;
  }
  return counter ? whole + "_total" : whole;
}

prometheus::Labels ToPrometheus(const Labels& labels) { return {labels.begin(), labels.end()}; }

[[noreturn]] void Bug(const std::string& name, const char* what) {
  std::fprintf(stderr, "bug: metric '%s': %s\n", name.c_str(), what);
  std::abort();
}

// Families by name: a name that came twice would make the whole page invalid.
class Families {
 public:
  explicit Families(std::vector<prometheus::MetricFamily> families) : families_(std::move(families)) {
    for (std::size_t i = 0; i < families_.size(); ++i) index_.emplace(families_[i].name, i);
  }
  // A reading joins the family of its name; one of another type than that is left out.
  void Add(const Reading& reading) {
    const auto type = reading.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    const auto [it, fresh] = index_.emplace(reading.name, families_.size());
    if (fresh) {
      prometheus::MetricFamily family;
      family.name = reading.name;
      family.help = reading.help;
      family.type = type;
      families_.push_back(std::move(family));
    }
    prometheus::MetricFamily& family = families_[it->second];
    if (family.type != type) return;
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : reading.labels) metric.label.push_back({name, value});
    metric.counter.value = reading.value;
    metric.gauge.value = reading.value;
    family.metric.push_back(std::move(metric));
  }
  std::vector<prometheus::MetricFamily> Take(const std::vector<std::string>& names) && {
    if (!names.empty()) {
      std::erase_if(families_, [&](const auto& family) { return std::find(names.begin(), names.end(), family.name) == names.end(); });
    }
    return std::move(families_);
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, std::size_t> index_;
};

}  // namespace

void Counter::Add(double amount) {
  if (series_ != nullptr && amount >= 0) series_->Increment(amount);
}
void Gauge::Set(double value) {
  if (series_ != nullptr) series_->Set(value);
}
void Gauge::Add(double amount) {
  if (series_ != nullptr) series_->Increment(amount);
}
void Histogram::Observe(double value) {
  if (series_ != nullptr) series_->Observe(value);
}

struct Registry::State {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  mutable std::mutex mutex;  // of collectors
  std::vector<std::function<std::vector<Reading>()>> collectors;
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter Registry::AddCounter(std::string_view name, Unit unit, const std::string& help, const Labels& labels) {
  const std::string whole = WholeName(name, unit, true);
  try {
    auto& family = prometheus::BuildCounter().Name(whole).Help(help).Register(state_->registry);
    return Counter(&family.Add(ToPrometheus(labels)));
  } catch (const std::exception& e) {
    Bug(whole, e.what());
  }
}

Gauge Registry::AddGauge(std::string_view name, Unit unit, const std::string& help, const Labels& labels) {
  const std::string whole = WholeName(name, unit, false);
  try {
    auto& family = prometheus::BuildGauge().Name(whole).Help(help).Register(state_->registry);
    return Gauge(&family.Add(ToPrometheus(labels)));
  } catch (const std::exception& e) {
    Bug(whole, e.what());
  }
}

Histogram Registry::AddHistogram(std::string_view name, Unit unit, const std::string& help,
                                 const std::vector<double>& bounds, const Labels& labels) {
  const std::string whole = WholeName(name, unit, false);
  try {
    auto& family = prometheus::BuildHistogram().Name(whole).Help(help).Register(state_->registry);
    return Histogram(&family.Add(ToPrometheus(labels), prometheus::Histogram::BucketBoundaries(bounds)));
  } catch (const std::exception& e) {
    Bug(whole, e.what());
  }
}

void Registry::AddCollector(std::function<std::vector<Reading>()> collector) {
  const std::lock_guard lock(state_->mutex);
  state_->collectors.push_back(std::move(collector));
}

std::string Registry::Text(const std::vector<std::string>& names) const {
  Families families(state_->registry.Collect());
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& collector : state_->collectors) {
      for (const Reading& reading : collector()) families.Add(reading);
    }
  }
  return prometheus::TextSerializer().Serialize(std::move(families).Take(names));
}

const std::vector<double>& DurationBounds() {
  static const std::vector<double> bounds = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};
  return bounds;
}

}  // namespace tributary::metrics
