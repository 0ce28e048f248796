#include "tributary/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

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

// Readings of one name become one family, in order of first appearance.
void Append(std::vector<prometheus::MetricFamily>& families, const std::vector<Reading>& readings) {
  std::map<std::string, std::size_t> index;
  for (const Reading& reading : readings) {
    const auto [it, fresh] = index.emplace(reading.name, families.size());
    if (fresh) {
      prometheus::MetricFamily family;
      family.name = reading.name;
      family.help = reading.help;
      family.type = reading.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      families.push_back(std::move(family));
    }
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : reading.labels) metric.label.push_back({name, value});
    metric.counter.value = reading.value;
    metric.gauge.value = reading.value;
    families[it->second].metric.push_back(std::move(metric));
  }
}

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

std::string Registry::Text() const {
  std::vector<prometheus::MetricFamily> families = state_->registry.Collect();
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& collector : state_->collectors) Append(families, collector());
  }
  return prometheus::TextSerializer().Serialize(families);
}

const std::vector<double>& DurationBounds() {
  static const std::vector<double> bounds = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};
  return bounds;
}

}  // namespace tributary::metrics
