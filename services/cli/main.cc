// `tributary`: run a federation on this machine, or talk to one that runs elsewhere.
#include <fmt/core.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "services/cli/commands.h"
#include "tributary/base/suggest.h"
#include "tributary/config/options.h"

namespace {

struct Command {
  std::string_view words;
  int (*run)(int, char**);
  std::string_view help;
};

constexpr Command kCommands[] = {
    {"run", tributary::cli::RunCommand, "run a job on this machine: every service as a process of its own"},
    {"submit", tributary::cli::SubmitCommand, "give a job to a coordinator"},
    {"status", tributary::cli::StatusCommand, "tell how a job stands"},
    {"list", tributary::cli::ListCommand, "list a coordinator's jobs"},
    {"stop", tributary::cli::StopCommand, "stop a job"},
    {"model export", tributary::cli::ExportCommand, "write a job's model as a Hugging Face directory"},
    {"generate", tributary::cli::GenerateCommand, "let a model write text"},
    {"ping", tributary::cli::PingCommand, "ask an endpoint who it is"},
};

void PrintHelp() {
  fmt::print("tributary {}: federated learning for models larger than memory\n\n", tributary::config::Version());
  fmt::print("usage: tributary COMMAND [words]    tributary COMMAND --help\n\n");
  for (const Command& command : kCommands) fmt::print("  {:<14}{}\n", command.words, command.help);
  fmt::print("\nexit codes: 0 done; 1 failed, the last line on stderr says why and what to do; 2 usage\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.empty() || first == "--help" || first == "-h" || first == "help") {
    PrintHelp();
    return first.empty() ? 2 : 0;
  }
  if (first == "--version") {
    fmt::print("tributary {}\n", tributary::config::Version());
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    const auto space = command.words.find(' ');
    names.emplace_back(command.words.substr(0, space));
    if (first != names.back()) continue;
    if (space == std::string_view::npos) return command.run(argc - 1, argv + 1);
    if (argc > 2 && command.words.substr(space + 1) == argv[2]) return command.run(argc - 2, argv + 2);
    fmt::print(stderr, "tributary: write 'tributary {}'\n", command.words);
    return 2;
  }
  fmt::print(stderr, "tributary: no command '{}'{}; 'tributary --help' lists them\n", first,
             tributary::DidYouMean(first, names));
  return 2;
}
