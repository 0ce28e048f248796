#include "services/cli/invocation.h"

#include <algorithm>
#include <fstream>

namespace tributary::cli {

std::string InvokedAs() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string first;
  std::getline(in, first, '\0');
  return first.empty() ? "tributary" : first;
}

std::string ShellWord(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+=:,@%").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string EndText(const std::string& state, const std::string& why, bool any_round_finished) {
  if (state == "stopped" && !any_round_finished) return why + "; '--resume' lets it go on, '--restart' runs the job anew";
  if (any_round_finished) return why + "; '--resume' lets it go on behind its newest round, '--restart' runs the job anew";
  return why + "; no round was finished: once that is mended, '--restart' runs the job anew";
}

std::string TryCommand(const std::string& program, const std::string& work_dir) {
  return ShellWord(program) + " generate " + ShellWord(work_dir + "/model") + " --prompt \"The \"";
}

std::string ReportWords(const std::string& program, const std::string& work_dir) {
  return ShellWord(program) + " report " + ShellWord(work_dir) + " --html " + ShellWord(work_dir + "/report.html");
}

}  // namespace tributary::cli
