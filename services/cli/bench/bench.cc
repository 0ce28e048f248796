#include "services/cli/bench/bench.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tributary/config/options.h"

namespace tributary::cli {

Result<Scratch> Scratch::Make(const std::string& parent) {
  std::error_code ec;
  const std::filesystem::path where = parent.empty() ? std::filesystem::temp_directory_path(ec) : std::filesystem::path(parent);
  if (ec) return ErrnoError(ec.value(), "looking for a place for temporary files; give one with --scratch");
  std::string pattern = (where / "tributary-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return ErrnoError(errno, "making a directory in " + where.string() + "; give another with --scratch");
  return Scratch(pattern);
}

Scratch::~Scratch() {
  std::error_code ignored;  // a scratch file more harms nobody
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string FormatRate(double bytes_per_second) { return fmt::format("{:.2f} GB/s", bytes_per_second / 1e9); }

void AddBenchOptions(config::Options& options, std::uint64_t repeats) {
  options.Group("Result");
  options.AddString("json", "", "file for the result as JSON");
  options.AddUint("repeats", repeats, "what is compared alternates so many times; the best counts", 1, 1000);
  options.AddString("scratch", "", "an existing directory for scratch files (default: the system's for temporary files)");
}

int Tell(const std::string& program, const config::Options& options, const OrderedJson& json, const std::string& text) {
  fmt::print("{}", text);
  const std::string& file = options.String("json");
  if (file.empty()) return config::kExitDone;
  if (const Status written = WriteJsonFile(file, json); !written.ok()) return FailBench(program, written.error());
  return config::kExitDone;
}

int FailBench(const std::string& program, const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "{}: {}\n", program, error.message());
  return error.code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed;
}

}  // namespace tributary::cli
