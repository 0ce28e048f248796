#include "tests/e2e/support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tributary/base/random.h"
#include "tributary/digest/digest.h"

namespace tributary::e2e {

namespace fs = std::filesystem;

std::string Binary(const std::string& name) { return std::string(TRIBUTARY_BIN) + "/" + name; }
std::string SourceFile(const std::string& relative) { return std::string(TRIBUTARY_SOURCE) + "/" + relative; }

std::string Outcome::LastErrorLine() const {
  std::istringstream lines(err);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

Program::Program(std::vector<std::string> words, const TempDirectory& dir, std::map<std::string, std::string> environment) {
  static std::atomic<int> counter{0};
  const int number = ++counter;
  out_path_ = dir.File(fmt::format("out.{}", number));
  err_path_ = dir.File(fmt::format("err.{}", number));
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const auto& [key, value] : environment) setenv(key.c_str(), value.c_str(), 1);
    const int out = open(out_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int err = open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

Program::~Program() {
  if (Running()) {
    Kill(SIGKILL);
    Wait(std::chrono::seconds(10));
  }
}

bool Program::Running() {
  if (status_ || pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return !status_;
}

void Program::Kill(int signal) {
  if (Running()) kill(pid_, signal);
}

std::string Program::ErrorSoFar() const { return ReadFile(err_path_); }
std::string Program::OutputSoFar() const { return ReadFile(out_path_); }

Outcome Program::Wait(std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (Running()) {
    if (std::chrono::steady_clock::now() > deadline) kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Outcome outcome;
  outcome.exit_code = WIFSIGNALED(*status_) ? 128 + WTERMSIG(*status_) : WEXITSTATUS(*status_);
  outcome.out = ReadFile(out_path_);
  outcome.err = ReadFile(err_path_);
  return outcome;
}

Outcome RunProgram(std::vector<std::string> words, const TempDirectory& dir, std::chrono::seconds limit) {
  Program program(std::move(words), dir);
  return program.Wait(limit);
}

Json ReadSummary(const std::string& work_dir) {
  auto summary = ReadJsonFile(work_dir + "/summary.json");
  EXPECT_TRUE(summary.ok()) << (summary.ok() ? "" : summary.error().message());
  return summary.ok() ? *summary : Json::object();
}

double PeakMiB(const Json& summary, const std::string& instance) {
  for (const Json& service : summary.value("services", Json::array())) {
    if (service.value("instance", "") == instance) {
      const auto peak = service.value("peak_rss_bytes", std::uint64_t{0});
      EXPECT_GT(peak, 1u << 20) << instance << ": no process has less than a MiB";
      return static_cast<double>(peak) / 1048576.0;
    }
  }
  ADD_FAILURE() << "summary.json has no instance " << instance;
  return 1e9;
}

std::string FileSha256(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  digest::Sha256Stream stream;
  std::vector<char> buffer(1u << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    stream.Update(std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(in.gcount()))));
  }
  return digest::Hex(stream.Finish());
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  ASSERT_TRUE(out) << path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string SampleText(std::uint64_t seed, std::size_t bytes) {
  static constexpr const char* kWords[] = {"the",  "river", "of",   "water", "runs",  "down", "to",    "sea",  "and",   "a",
                                           "small", "stone", "lies", "in",    "cold",  "sand", "where", "fish", "sleep", "long"};
  SplitMix64 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const auto words = 5 + random.NextBelow(10);
    for (std::uint64_t i = 0; i < words; ++i) text += std::string(i == 0 ? "" : " ") + kWords[random.NextBelow(20)];
    text += ".\n%\n";
  }
  return text;
}

}  // namespace tributary::e2e
