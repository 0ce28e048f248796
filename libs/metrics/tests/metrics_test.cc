#include "tributary/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <sstream>
#include <thread>

#include "libs/base/testing/sanitized.h"
#include "tributary/memory/phases.h"
#include "tributary/memory/process_memory.h"
#include "tributary/metrics/standard.h"

namespace tributary::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

// The value of a series by its text, "name" or "name{label="x"}"; -1 when it is not there.
double Value(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
  }
  return -1;
}

TEST(Registry, NamesArePutTogetherFromPrefixUnitAndKind) {
  Registry registry;
  auto received = registry.AddCounter("received", Unit::kBytes, "Bytes received", {{"direction", "up"}});
  auto seats = registry.AddGauge("seats", Unit::kNone, "Seats");
  auto rounds = registry.AddHistogram("round_duration", Unit::kSeconds, "Rounds", {1, 10});
  received.Add(12345678901.0);
  received.Add(-5);
  seats.Set(3);
  seats.Add(-1);
  rounds.Observe(0.5);
  rounds.Observe(5);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("# HELP tributary_received_bytes_total Bytes received\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE tributary_received_bytes_total counter\n"));
  EXPECT_EQ(Value(text, "tributary_received_bytes_total{direction=\"up\"}"), 12345678901.0);
  EXPECT_EQ(Value(text, "tributary_seats"), 2);
  EXPECT_EQ(Value(text, "tributary_round_duration_seconds_bucket{le=\"1\"}"), 1);
  EXPECT_EQ(Value(text, "tributary_round_duration_seconds_count"), 2);
}

TEST(Registry, TheSameSeriesTwiceIsOneSeries) {
  Registry registry;
  registry.AddCounter("x", Unit::kNone, "X", {{"a", "1"}}).Add(1);
  registry.AddCounter("x", Unit::kNone, "X", {{"a", "1"}}).Add(2);
  registry.AddCounter("x", Unit::kNone, "X", {{"a", "2"}}).Add(4);
  EXPECT_EQ(Value(registry.Text(), "tributary_x_total{a=\"1\"}"), 3);
  EXPECT_EQ(Value(registry.Text(), "tributary_x_total{a=\"2\"}"), 4);
}

TEST(Registry, ContradictionsAndBadNamesAreBugs) {
  EXPECT_DEATH(
      {
        Registry registry;
        registry.AddGauge("a_total", Unit::kNone, "A");
        registry.AddCounter("a", Unit::kNone, "A");
      },
      "bug: metric 'tributary_a_total'");
  EXPECT_DEATH(
      {
        Registry registry;
        registry.AddGauge("a b", Unit::kNone, "A");
      },
      "bug: metric 'tributary_a b'");
}

TEST(Registry, HandlesMadeByDefaultDoNothing) {
  Counter().Add();
  Gauge().Set(1);
  Gauge().Add(1);
  Histogram().Observe(1);
}

TEST(Registry, CollectorsAreReadAtEachScrapeAndShareFamilies) {
  Registry registry;
  double value = 1;
  registry.AddCollector([&value]() -> std::vector<Reading> {
    return {{"tributary_y", "Y", false, {{"s", "a"}}, value}, {"tributary_y", "Y", false, {{"s", "b"}}, value * 2}};
  });
  EXPECT_EQ(Value(registry.Text(), "tributary_y{s=\"b\"}"), 2);
  value = 5;
  const std::string text = registry.Text();
  EXPECT_EQ(Value(text, "tributary_y{s=\"a\"}"), 5);
  EXPECT_EQ(text.find("# TYPE tributary_y gauge"), text.rfind("# TYPE tributary_y gauge"));
}

TEST(Registry, ANameIsOneFamilyWhoeverTellsIt) {
  Registry registry;
  registry.AddGauge("y", Unit::kNone, "Y").Set(1);
  registry.AddCollector([]() -> std::vector<Reading> { return {{"tributary_y", "other help", false, {{"s", "a"}}, 2}}; });
  registry.AddCollector([]() -> std::vector<Reading> {
    return {{"tributary_y", "Y", false, {{"s", "b"}}, 3}, {"tributary_y", "of another type", true, {{"s", "c"}}, 4}};
  });
  const std::string text = registry.Text();
  EXPECT_EQ(text.find("# TYPE tributary_y "), text.rfind("# TYPE tributary_y "));
  EXPECT_EQ(Value(text, "tributary_y"), 1);
  EXPECT_EQ(Value(text, "tributary_y{s=\"a\"}"), 2);
  EXPECT_EQ(Value(text, "tributary_y{s=\"b\"}"), 3);
  EXPECT_EQ(text.find("s=\"c\""), std::string::npos);
}

TEST(Registry, CountsFromManyThreads) {
  Registry registry;
  Counter counter = registry.AddCounter("n", Unit::kNone, "N");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([counter]() mutable {
        for (int j = 0; j < 1000; ++j) counter.Add();
      });
    }
  }
  EXPECT_EQ(Value(registry.Text(), "tributary_n_total"), 4000);
}

TEST(StandardMetrics, Process) {
  Registry registry;
  AddProcessMetrics(registry);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("# TYPE process_cpu_seconds_total counter"));
  EXPECT_GE(Value(text, "process_cpu_seconds_total"), 0);
  EXPECT_GE(Value(text, "process_open_fds"), 3);
  EXPECT_GE(Value(text, "process_max_fds"), Value(text, "process_open_fds"));
  EXPECT_GE(Value(text, "process_threads"), 1);
  if (!kSanitized) {
    EXPECT_GT(Value(text, "process_heap_bytes"), 0);
  }
  EXPECT_GT(Value(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(Value(text, "process_virtual_memory_bytes"), Value(text, "process_resident_memory_bytes"));
  const double start = Value(text, "process_start_time_seconds");
  const double now = static_cast<double>(time(nullptr));
  EXPECT_GT(start, now - 3600);
  EXPECT_LE(start, now + 2);
}

TEST(StandardMetrics, OpenFilesFollowTheProcess) {
  Registry registry;
  AddProcessMetrics(registry);
  const double before = Value(registry.Text(), "process_open_fds");
  const int fd = dup(0);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Value(registry.Text(), "process_open_fds"), before + 1);
  close(fd);
}

TEST(StandardMetrics, Memory) {
  memory::Pool pool(16_MiB);
  Registry registry;
  AddMemoryMetrics(registry, 16_MiB, &pool);
  {
    const auto reservation = pool.TryReserve(memory::Side::kWrite, 1_MiB);
    ASSERT_TRUE(reservation.has_value());
    const std::string text = registry.Text();
    EXPECT_EQ(Value(text, "tributary_memory_budget_bytes"), 16.0 * 1048576);
    EXPECT_EQ(Value(text, "tributary_memory_pool_bytes{state=\"write\"}"), 1048576);
    EXPECT_EQ(Value(text, "tributary_memory_pool_bytes{state=\"read\"}"), 0);
    EXPECT_EQ(Value(text, "tributary_memory_pool_bytes{state=\"free\"}"), 15.0 * 1048576);
    EXPECT_GT(Value(text, "tributary_memory_rss_peak_bytes"), 1e6);
    const auto cgroup = memory::ReadCgroupMemory();
    EXPECT_EQ(Value(text, "tributary_memory_cgroup_bytes") > 0, cgroup.has_value());
    EXPECT_EQ(Value(text, "tributary_memory_cgroup_peak_bytes") > 0, cgroup && cgroup->peak);
    EXPECT_EQ(Value(text, "tributary_memory_cgroup_limit_bytes") > 0, cgroup && cgroup->limit);
    EXPECT_EQ(Value(text, "tributary_memory_cgroup_oom_kills_total") >= 0, cgroup && cgroup->oom_kills);
    EXPECT_GT(Value(text, "tributary_memory_base_bytes"), 1e6);
    EXPECT_LE(Value(text, "tributary_memory_base_bytes"), Value(text, "tributary_memory_rss_peak_bytes") + 1e6);
  }
  const std::string text = registry.Text();
  EXPECT_EQ(Value(text, "tributary_memory_pool_bytes{state=\"write\"}"), 0);
  EXPECT_EQ(Value(text, "tributary_memory_pool_peak_bytes"), 1048576);
}

TEST(StandardMetrics, PhasesHaveTheirPeaks) {
  Registry registry;
  AddMemoryMetrics(registry, 64_MiB, nullptr);
  EXPECT_THAT(registry.Text(), Not(HasSubstr("tributary_memory_phase_peak_bytes"))) << "none began: not 0, and not idle for ever";
  { const memory::Phase phase("aggregate"); }
  const std::string text = registry.Text();
  EXPECT_GT(Value(text, "tributary_memory_phase_peak_bytes{phase=\"aggregate\"}"), 1e6);
  EXPECT_GE(Value(text, "tributary_memory_rss_peak_bytes"), Value(text, "tributary_memory_phase_peak_bytes{phase=\"aggregate\"}"));
}

TEST(StandardMetrics, BuildInfoNamesTheService) {
  Registry registry;
  AddBuildInfo(registry, "blob-store", "1.2.3");
  EXPECT_EQ(Value(registry.Text(), "tributary_build_info{service=\"blob-store\",version=\"1.2.3\"}"), 1);
}

TEST(StandardMetrics, WithoutAPoolItsSeriesAreLeftOut) {
  Registry registry;
  AddMemoryMetrics(registry, 64_MiB, nullptr);
  EXPECT_THAT(registry.Text(), Not(HasSubstr("tributary_memory_pool")));
  EXPECT_THAT(registry.Text(), HasSubstr("tributary_memory_budget_bytes"));
}

}  // namespace
}  // namespace tributary::metrics
