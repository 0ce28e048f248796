#include "services/cli/bench/forked.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include "tributary/memory/process_memory.h"

namespace tributary::cli {
namespace {

constexpr std::string_view kTold = "told ";

void WriteLine(int fd, const std::string& text) {
  const std::string line = text + "\n";
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = write(fd, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);  // nobody listens any more
    done += static_cast<std::size_t>(n);
  }
}

[[noreturn]] void RunChild(int fd, const Forked::Work& work) {
  const auto result = work([fd](const std::string& line) { WriteLine(fd, std::string(kTold) + line); });
  Json answer;
  if (result.ok()) {
    answer["value"] = *result;
  } else {
    answer["code"] = static_cast<int>(result.error().code());
    answer["error"] = result.error().message();
  }
  WriteLine(fd, answer.dump(-1, ' ', false, Json::error_handler_t::replace));
  for (;;) pause();
}

}  // namespace

Result<Forked> Forked::Start(std::string name, const Work& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "a pipe for the " + name);
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    return ErrnoError(error, "starting the " + name);
  }
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(ends[0]);
    RunChild(ends[1], work);
  }
  close(ends[1]);
  return Forked(std::move(name), pid, ends[0]);
}

Forked::Forked(Forked&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      pipe_(std::exchange(other.pipe_, -1)),
      unread_(std::move(other.unread_)) {}

Forked::~Forked() {
  Kill();
  if (pipe_ >= 0) close(pipe_);
}

void Forked::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

Result<std::string> Forked::ReadLine() {
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    char buffer[4096];
    const ssize_t n = read(pipe_, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "reading from the " + name_);
    if (n == 0) return MakeError(Code::kInternal, "the {} ended without a result", name_);
    unread_.append(buffer, static_cast<std::size_t>(n));
  }
}

Result<Json> Forked::Answer(const std::string& line) const {
  TRIBUTARY_ASSIGN(const Json answer, ParseJson(line, name_));
  if (!answer.contains("error")) return answer.value("value", Json());
  TRIBUTARY_ASSIGN(const std::int64_t code, GetInt(answer, "code", name_));
  TRIBUTARY_ASSIGN(const std::string message, GetString(answer, "error", name_));
  return Error(CodeFromInt(static_cast<int>(code)), message).Wrap(name_);
}

Result<std::string> Forked::Told() {
  TRIBUTARY_ASSIGN(std::string line, ReadLine());
  if (line.starts_with(kTold)) return line.substr(kTold.size());
  TRIBUTARY_TRY(Answer(line).status());
  return MakeError(Code::kInternal, "the {} ended without a word", name_);
}

Result<ForkedOutcome> Forked::Finish() {
  TRIBUTARY_ASSIGN(const std::string line, ReadLine());
  ForkedOutcome outcome;
  TRIBUTARY_ASSIGN(outcome.value, Answer(line));
  TRIBUTARY_ASSIGN(const auto memory, memory::ReadProcessMemory(pid_));
  outcome.peak_rss_bytes = memory.rss_peak;
  TRIBUTARY_ASSIGN(outcome.cpu_seconds, memory::ReadCpuSeconds(pid_));
  Kill();
  return outcome;
}

}  // namespace tributary::cli
