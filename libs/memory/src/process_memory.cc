#include "tributary/memory/process_memory.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include "tributary/base/units.h"

namespace tributary::memory {
namespace {

std::string ProcPath(pid_t pid, const char* file) {
  return pid == 0 ? fmt::format("/proc/self/{}", file) : fmt::format("/proc/{}/{}", pid, file);
}

std::optional<std::string> ReadText(const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> ReadNumber(const std::string& path) {
  const auto text = ReadText(path);
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end == text->data()) return std::nullopt;  // "max" lands here
  return value;
}

// The value of "Name:   1234 kB" in bytes.
std::optional<std::uint64_t> Field(const std::string& status, std::string_view name) {
  const auto at = status.find("\n" + std::string(name) + ":");
  if (at == std::string::npos) return std::nullopt;
  const char* begin = status.data() + at + name.size() + 2;
  const char* end = status.data() + status.size();
  while (begin < end && (*begin == ' ' || *begin == '\t')) ++begin;
  std::uint64_t kilobytes = 0;
  if (std::from_chars(begin, end, kilobytes).ec != std::errc()) return std::nullopt;
  return kilobytes * 1024;
}

// The path of this process in the hierarchy that has `controller` ("" is the v2 hierarchy).
std::optional<std::string> CgroupPath(const std::string& root, std::string_view controller) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool match = controller.empty() ? line.rfind("0::", 0) == 0
                                          : names.find("," + std::string(controller) + ",") != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return std::nullopt;
}

// "name 12" on a line of its own, as in memory.events.
std::optional<std::uint64_t> Entry(const std::string& path, std::string_view name) {
  std::ifstream in(path);
  std::string word;
  for (std::uint64_t value = 0; in >> word >> value;) {
    if (word == name) return value;
  }
  return std::nullopt;
}

// Version 1 writes "no limit" as the largest multiple of a page.
std::optional<std::uint64_t> RealLimit(std::optional<std::uint64_t> limit) {
  constexpr std::uint64_t kNone = std::uint64_t{1} << 62;
  return limit && *limit < kNone ? limit : std::nullopt;
}

}  // namespace

Result<ProcessMemory> ReadProcessMemory(pid_t pid) {
  const auto text = ReadText(ProcPath(pid, "status"));
  if (!text) return MakeError(Code::kNotFound, "process {} is gone", pid);
  const auto rss = Field(*text, "VmRSS");
  const auto peak = Field(*text, "VmHWM");
  if (!rss || !peak) return MakeError(Code::kNotFound, "process {} has no memory: it has ended", pid);
  ProcessMemory memory;
  memory.rss = *rss;
  memory.rss_peak = *peak;
  memory.anon = Field(*text, "RssAnon").value_or(0);
  memory.file = Field(*text, "RssFile").value_or(0);
  memory.shmem = Field(*text, "RssShmem").value_or(0);
  return memory;
}

Status ResetPeak(pid_t pid) {
  std::ofstream out(ProcPath(pid, "clear_refs"));
  out << "5";
  out.flush();
  if (!out) return MakeError(Code::kIo, "the peak of process {} could not be reset", pid);
  return Ok();
}

Result<double> ReadCpuSeconds(pid_t pid) {
  const auto text = ReadText(ProcPath(pid, "stat"));
  if (!text) return MakeError(Code::kNotFound, "process {} is gone", pid);
  // Fields after the command, which may hold spaces and brackets: utime is the 12th, stime the 13th of them.
  const auto bracket = text->rfind(')');
  if (bracket == std::string::npos) return MakeError(Code::kIo, "/proc stat of {} is malformed", pid);
  std::istringstream fields(text->substr(bracket + 1));
  std::string skip;
  for (int i = 0; i < 11; ++i) fields >> skip;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::optional<CgroupMemory> ReadCgroupMemory(const std::string& root) {
  // In a container the cgroup's own root may be what is mounted, while the path is told as it is outside: then the mount itself is this process's group.
  const auto places = [](const std::string& mount, const std::string& path) { return std::array<std::string, 2>{mount + (path == "/" ? "" : path), mount}; };
  if (const auto path = CgroupPath(root, "")) {
    for (const std::string& base : places(root + "/sys/fs/cgroup", *path)) {
      if (const auto current = ReadNumber(base + "/memory.current")) {
        return CgroupMemory{2, *current, ReadNumber(base + "/memory.peak"), ReadNumber(base + "/memory.max"), Entry(base + "/memory.events", "oom_kill")};
      }
    }
  }
  if (const auto path = CgroupPath(root, "memory")) {
    for (const std::string& base : places(root + "/sys/fs/cgroup/memory", *path)) {
      if (const auto current = ReadNumber(base + "/memory.usage_in_bytes")) {
        return CgroupMemory{1, *current, ReadNumber(base + "/memory.max_usage_in_bytes"),
                            RealLimit(ReadNumber(base + "/memory.limit_in_bytes")), Entry(base + "/memory.oom_control", "oom_kill")};
      }
    }
  }
  return std::nullopt;
}

Status CheckFits(std::uint64_t budget, const std::optional<CgroupMemory>& container) {
  if (!container || !container->limit || budget + kServiceBase <= *container->limit) return Ok();
  return MakeError(Code::kInvalidArgument, "--memory-budget {} and {} for the service itself do not fit into the {} that this container may use: give it {}, or a smaller budget",
                   FormatBytes(budget), FormatBytes(kServiceBase), FormatBytes(*container->limit), FormatBytes(budget + kServiceBase));
}

}  // namespace tributary::memory
