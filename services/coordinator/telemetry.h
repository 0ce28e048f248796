// The coordinator's own metrics, and those of trainers that nobody can scrape.
//
// Written by the server's thread, read by scrapes: thread-safe. What a trainer sends is bounded; names that are not
// shared by all services are put under tributary_trainer_, so that a trainer cannot pose as the coordinator. What is told of a job has its
// name as the label `name`, and is told while it runs: as many at once as may run. Totals and what all jobs share have none.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tributary/federation/federation.h"
#include "tributary/metrics/metrics.h"

namespace tributary::service {

class Telemetry {
 public:
  // The registry must outlive this.
  Telemetry(metrics::Registry& registry, std::uint64_t memory_budget);

  void Count(const federation::Federation::Census& census, std::size_t sessions);
  void Watch(federation::Vitals vitals);
  void Decided(const std::vector<federation::Decision>& decisions);
  void Relay(const std::string& trainer, const std::map<std::string, double>& samples);
  void Forget(const std::string& trainer);
  void Forbidden() { forbidden_.Add(); }

 private:
  std::vector<metrics::Reading> Readings();
  void Finished(const federation::RoundRow& round);
  void Note(const federation::JobRow& job);

  metrics::Registry& registry_;
  metrics::Gauge trainers_, aggregators_, spares_, seats_taken_, seats_free_, seats_wanted_, sessions_;
  metrics::Counter rounds_, bytes_up_, bytes_down_, deduplicated_, samples_, tokens_, forbidden_;
  metrics::Histogram round_seconds_;
  std::map<std::string, metrics::Histogram> phases_;
  std::set<std::string> running_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::map<std::string, std::map<std::string, double>> relayed_;
  federation::Vitals vitals_;
  // By job, gauges of its newest round that is done: of jobs that have ended until the next begins.
  std::map<std::string, std::map<std::string, double>> last_round_;
};

}  // namespace tributary::service
