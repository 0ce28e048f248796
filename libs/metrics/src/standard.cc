#include "tributary/metrics/standard.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "tributary/memory/owners.h"
#include "tributary/memory/phases.h"
#include "tributary/memory/process_memory.h"

namespace tributary::metrics {
namespace {

std::string ReadSmallFile(const char* path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Seconds since 1970 at which the machine started.
std::optional<double> BootTime() {
  std::istringstream lines(ReadSmallFile("/proc/stat"));
  for (std::string word; lines >> word;) {
    double value = 0;
    if (word == "btime" && lines >> value) return value;
  }
  return std::nullopt;
}

std::optional<double> OpenFiles() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  if (!folder) return std::nullopt;
  double count = 0;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count - 1;  // the folder itself was open while counting
}

std::optional<double> SoftLimit(__rlimit_resource_t resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

class Readings {
 public:
  void Add(const char* name, const char* help, std::optional<double> value, bool counter = false) {
    if (value) all_.push_back({name, help, counter, {}, *value});
  }
  std::vector<Reading> Take() { return std::move(all_); }

 private:
  std::vector<Reading> all_;
};

std::vector<Reading> ReadProcess() {
  Readings all;
  // The command's name stands in brackets and may hold spaces: fields count from the last bracket on, the third first.
  const std::string stat = ReadSmallFile("/proc/self/stat");
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
  std::vector<std::string> words;
  for (std::string word; fields >> word;) words.push_back(word);
  if (words.size() > 21) {
    const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto field = [&](std::size_t number) { return std::strtod(words[number - 3].c_str(), nullptr); };
    all.Add("process_cpu_seconds_total", "User and system time used so far", (field(14) + field(15)) / ticks, true);
    all.Add("process_threads", "Threads now", field(20));
    all.Add("process_virtual_memory_bytes", "Address space in use", field(23));
    all.Add("process_resident_memory_bytes", "Resident memory now",
            field(24) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    if (const auto boot = BootTime()) {
      all.Add("process_start_time_seconds", "When the process started, in seconds since 1970",
              *boot + field(22) / ticks);
    }
  }
  all.Add("process_virtual_memory_max_bytes", "Limit of the address space", SoftLimit(RLIMIT_AS));
  all.Add("process_open_fds", "Open file descriptors", OpenFiles());
  all.Add("process_max_fds", "Limit of open file descriptors", SoftLimit(RLIMIT_NOFILE));
  const struct mallinfo2 heap = mallinfo2();
  all.Add("process_heap_bytes", "Bytes that malloc has given out", static_cast<double>(heap.uordblks + heap.hblkhd));
  return all.Take();
}

void AddCgroup(Readings& all) {
  const auto cgroup = memory::ReadCgroupMemory();
  if (!cgroup) return;
  const auto number = [](std::optional<std::uint64_t> value) -> std::optional<double> {
    if (!value) return std::nullopt;
    return static_cast<double>(*value);
  };
  all.Add("tributary_memory_cgroup_bytes", "Memory of the control group now, with page cache and socket buffers", number(cgroup->current));
  all.Add("tributary_memory_cgroup_peak_bytes",
          "Largest memory of the control group, with page cache and socket buffers", number(cgroup->peak));
  all.Add("tributary_memory_cgroup_limit_bytes", "What the control group may have; left out where there is no limit", number(cgroup->limit));
  all.Add("tributary_memory_cgroup_oom_kills_total", "Processes of the control group that the kernel killed for want of memory",
          number(cgroup->oom_kills), true);
}

std::vector<Reading> ReadMemory(std::uint64_t base, std::uint64_t budget, const memory::Pool* pool) {
  Readings all;
  const memory::PeakUse peaks = memory::ReadPeaks();
  if (peaks.overall > 0) {
    all.Add("tributary_memory_rss_peak_bytes", "Largest resident memory of the process (VmHWM)", static_cast<double>(peaks.overall));
  }
  if (base > 0) {
    all.Add("tributary_memory_base_bytes", "Resident memory of the process when it started, before it did anything", static_cast<double>(base));
  }
  AddCgroup(all);
  all.Add("tributary_memory_budget_bytes", "The pool's size, --memory-budget", static_cast<double>(budget));
  std::vector<Reading> readings = all.Take();
  for (const auto& [phase, peak] : peaks.phases) {
    readings.push_back({"tributary_memory_phase_peak_bytes", "Largest resident memory of the process in a phase of its work (VmHWM)", false,
                        {{"phase", phase}}, static_cast<double>(peak)});
  }
  for (const memory::Owner owner : memory::kOwners) {
    readings.push_back({"tributary_memory_owner_peak_bytes", "Most bytes at once of the pool's buffers, of received frames, of libtorch", false,
                        {{"owner", std::string(memory::OwnerName(owner))}}, static_cast<double>(memory::UseOf(owner).peak)});
  }
  if (pool == nullptr) return readings;
  const memory::PoolUse use = pool->Use();
  const auto side = [&](memory::Side s) { return use.used[static_cast<std::size_t>(s)]; };
  const std::uint64_t used = side(memory::Side::kRead) + side(memory::Side::kWrite);
  const char* help = "Bytes of the pool, by what they are used for";
  const auto state = [&](const char* name, std::uint64_t bytes) {
    readings.push_back({"tributary_memory_pool_bytes", help, false, {{"state", name}}, static_cast<double>(bytes)});
  };
  state("read", side(memory::Side::kRead));
  state("write", side(memory::Side::kWrite));
  state("free", use.budget > used ? use.budget - used : 0);
  readings.push_back({"tributary_memory_pool_peak_bytes", "Most bytes of the pool that were in use at once", false, {},
                      static_cast<double>(use.peak)});
  return readings;
}

}  // namespace

void AddProcessMetrics(Registry& registry) { registry.AddCollector(ReadProcess); }

void AddMemoryMetrics(Registry& registry, std::uint64_t budget, const memory::Pool* pool) {
  const auto now = memory::ReadProcessMemory();
  registry.AddCollector([base = now.ok() ? now->rss : 0, budget, pool] { return ReadMemory(base, budget, pool); });
}

void AddBuildInfo(Registry& registry, std::string_view service, std::string_view version) {
  registry.AddGauge("build_info", Unit::kNone, "1; its labels say which service this is, and of which release.",
                    {{"service", std::string(service)}, {"version", std::string(version)}}).Set(1);
}

}  // namespace tributary::metrics
