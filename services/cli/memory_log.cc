#include "services/cli/memory_log.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include "tributary/memory/process_memory.h"

namespace tributary::cli {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Status OpenCsv(std::ofstream& out, const std::string& path, const char* header) {
  const bool fresh = !std::filesystem::exists(path);
  out.open(path, std::ios::app);
  if (!out) return ErrnoError(errno, "opening " + path);
  if (fresh) out << header << '\n';
  return Ok();
}

}  // namespace

Status MemoryLog::Open(const std::string& directory) {
  started_ = Now();
  TRIBUTARY_TRY(OpenCsv(memory_csv_, directory + "/memory.csv", "unix_seconds,instance,pid,rss_bytes,rss_peak_bytes,phase"));
  return OpenCsv(cpu_csv_, directory + "/cpu.csv", "unix_seconds,instance,pid,cpu_seconds,phase");
}

void MemoryLog::OnStart(const std::string& instance, pid_t pid) {
  running_[instance] = {pid, 0, 0};
  instances_[instance].pid = pid;
}

void MemoryLog::OnEnd(const std::string& instance) {
  if (const auto it = running_.find(instance); it != running_.end()) {
    cpu_of_ended_[instance] += it->second.cpu_seconds;
    running_.erase(it);
  }
}

void MemoryLog::Read(const std::string& instance, Running& running) {
  const auto memory = memory::ReadProcessMemory(running.pid);
  if (!memory.ok()) return;  // it has just ended; what was read before stands
  running.rss = memory->rss;
  InstanceUse& use = instances_[instance];
  use.peak_rss_bytes = std::max(use.peak_rss_bytes, memory->rss_peak);
  auto& phase_peak = use.phase_peaks[phase_];
  phase_peak = std::max(phase_peak, memory->rss_peak);
  if (const auto cpu = memory::ReadCpuSeconds(running.pid); cpu.ok()) running.cpu_seconds = *cpu;
  use.cpu_seconds = cpu_of_ended_[instance] + running.cpu_seconds;
}

void MemoryLog::Sample() {
  const double now = Now();
  const bool row = now - last_row_ >= 1.0;
  if (row) last_row_ = now;
  for (auto& [instance, running] : running_) {
    Read(instance, running);
    if (!row) continue;
    memory_csv_ << fmt::format("{:.3f},{},{},{},{},{}\n", now, instance, running.pid, running.rss,
                               instances_[instance].peak_rss_bytes, phase_);
    cpu_csv_ << fmt::format("{:.3f},{},{},{:.2f},{}\n", now, instance, running.pid, running.cpu_seconds, phase_);
  }
  if (row) {
    memory_csv_.flush();
    cpu_csv_.flush();
  }
}

void MemoryLog::SetPhase(const std::string& phase) {
  if (phase == phase_) return;
  for (auto& [instance, running] : running_) {
    Read(instance, running);
    // Where the kernel does not allow it, a phase's peak is that of all phases up to it: larger, never smaller.
    (void)memory::ResetPeak(running.pid);
  }
  phase_ = phase;
}

}  // namespace tributary::cli
