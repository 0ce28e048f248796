#include "services/cli/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>

namespace tributary::cli {

Result<pid_t> Spawn(const ProcessSpec& spec) {
  // Everything that allocates happens before fork: other threads may hold the heap's lock at that moment.
  std::vector<std::string> words{spec.binary};
  words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const std::string name = text.substr(0, text.find('='));
    // Each flag of a service is also a variable, and the user's are meant for this program alone: TRIBUTARY_CONFIG would be
    // read by all of them. Only where the training module lies has no flag.
    if (name.starts_with("TRIBUTARY_") && name != "TRIBUTARY_TRAIN_MODULE") continue;
    if (!spec.environment.contains(name)) variables.push_back(text);
  }
  for (const auto& [key, value] : spec.environment) variables.push_back(key + "=" + value);
  std::vector<char*> envp;
  for (auto& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const int log = open(spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return ErrnoError(errno, "opening " + spec.log_path);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // the parent died before the line above
    // Ctrl-C reaches the parent alone, which then stops its children in order.
    setpgid(0, 0);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(spec.binary.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  const int error = errno;
  close(log);
  close(null);
  if (pid < 0) return ErrnoError(error, "starting " + spec.binary);
  return pid;
}

std::string Ending::Text() const {
  if (signalled) return fmt::format("signal {} ({})", code, strsignal(code));
  if (code == 127) return "exit code 127: the program could not be started";
  return fmt::format("exit code {}", code);
}

std::optional<Ending> PollEnding(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  if (WIFSIGNALED(status)) return Ending{true, WTERMSIG(status)};
  return Ending{false, WEXITSTATUS(status)};
}

Result<std::uint16_t> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool ok = fd >= 0 && bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!ok) return ErrnoError(error, "looking for a free port");
  return ntohs(address.sin_port);
}

std::string TailOfFile(const std::string& path, std::size_t lines) {
  std::ifstream in(path);
  std::deque<std::string> tail;
  for (std::string line; std::getline(in, line);) {
    tail.push_back(line.substr(0, 500));
    if (tail.size() > lines) tail.pop_front();
  }
  std::string text;
  for (const auto& line : tail) text += line + "\n";
  return text;
}

Result<std::string> BinaryDirectory() {
  std::error_code ec;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
  if (ec) return ErrnoError(ec.value(), "reading /proc/self/exe");
  return self.parent_path().string();
}

}  // namespace tributary::cli
