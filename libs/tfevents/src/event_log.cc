#include "tributary/tfevents/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "tributary/tfevents/event.h"
#include "tributary/tfevents/records.h"

namespace tributary::tfevents {
namespace {

namespace fs = std::filesystem;

// TensorBoard reads files with this in their name.
constexpr const char* kPrefix = "events.out.tfevents.";
constexpr std::uintmax_t kMaxFile = 256u << 20;

}  // namespace

Result<EventLog> EventLog::Open(const std::string& directory) {
  std::error_code ec;
  fs::create_directories(directory, ec);
  if (ec) return ErrnoError(ec.value(), "making " + directory);
  EventLog log;
  for (fs::directory_iterator entry(directory, ec), end; !ec && entry != end; entry.increment(ec)) {
    const std::string path = entry->path().string();
    if (entry->path().filename().string().rfind(kPrefix, 0) == 0 && path > log.path_) log.path_ = path;
  }
  if (ec) return ErrnoError(ec.value(), "reading " + directory);
  const bool fresh = log.path_.empty();
  const auto now = std::time(nullptr);
  if (fresh) log.path_ = fmt::format("{}/{}{}.tributary", directory, kPrefix, now);
  log.file_ = open(log.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (log.file_ < 0) return ErrnoError(errno, "opening " + log.path_);
  if (fs::file_size(log.path_, ec) > kMaxFile) return MakeError(Code::kResourceExhausted, "{} is larger than any run's; move it away", log.path_);
  std::ifstream in(log.path_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const Records found = ReadRecords(text);
  for (const auto record : found.records) {
    if (const auto event = DecodeEvent(record)) log.last_step_ = std::max(log.last_step_, event->step);
  }
  if (found.whole < text.size() && ftruncate(log.file_, static_cast<off_t>(found.whole)) != 0) return ErrnoError(errno, "cutting the torn end of " + log.path_);
  if (lseek(log.file_, 0, SEEK_END) < 0) return ErrnoError(errno, "writing " + log.path_);
  if (found.records.empty()) {
    Event version;
    version.wall_time = static_cast<double>(now);
    version.file_version = "brain.Event:2";
    TRIBUTARY_TRY(log.Write(MakeRecord(EncodeEvent(version))));
  }
  return log;
}

EventLog::EventLog(EventLog&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), last_step_(other.last_step_) {}

EventLog& EventLog::operator=(EventLog&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(last_step_, other.last_step_);
  return *this;
}

EventLog::~EventLog() {
  if (file_ >= 0) close(file_);
}

Status EventLog::Append(std::int64_t step, double wall_time, const std::map<std::string, double>& values) {
  Event event;
  event.step = step;
  event.wall_time = wall_time;
  for (const auto& [tag, value] : values) {
    if (std::isfinite(value)) event.values[tag] = static_cast<float>(value);
  }
  TRIBUTARY_TRY(Write(MakeRecord(EncodeEvent(event))));
  last_step_ = std::max(last_step_, step);
  return Ok();
}

Status EventLog::Write(const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(file_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "writing " + path_);
    done += static_cast<std::size_t>(written);
  }
  return Ok();
}

}  // namespace tributary::tfevents
