#include "services/trainer/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tributary/base/log.h"
#include "tributary/json/json.h"
#include "tributary/session/metered_runner.h"

namespace tributary::trainer {
namespace {

Status Append(const std::string& path, const std::string& line) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return ErrnoError(errno, "opening " + path);
  const ssize_t written = write(file, line.data(), line.size());
  const int error = errno;
  close(file);
  if (written == static_cast<ssize_t>(line.size())) return Ok();
  return ErrnoError(written < 0 ? error : ENOSPC, "writing " + path);
}

}  // namespace

void AppendMetrics(const std::string& work_dir, const wire::TaskSpec& task, const session::TaskResult& result,
                   const ByteCount& bytes) {
  if (work_dir.empty()) return;
  OrderedJson line;
  line["job"] = task.job;
  line["round"] = task.round;
  line["kind"] = session::TaskKindName(task.kind);
  line["seat"] = task.seat;
  for (const auto& [name, value] : result.metrics) line[name] = value;
  line["bytes_up"] = bytes.up();
  line["bytes_down"] = bytes.down();
  std::error_code ec;
  std::filesystem::create_directories(work_dir, ec);
  if (auto status = Append(work_dir + "/metrics.jsonl", line.dump() + "\n"); !status.ok()) {
    log::Warning("the metrics of this round are not kept: {}", status.error().message());
  }
}

}  // namespace tributary::trainer
