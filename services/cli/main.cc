// `tributary`: run a federation on this machine, or talk to one that runs elsewhere.
#include <fmt/core.h>

#include <string>
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
    {"logs", tributary::cli::LogsCommand, "what a coordinator decided about a job, and when"},
    {"resume", tributary::cli::ResumeCommand, "let a stopped or failed job go on"},
    {"report", tributary::cli::ReportCommand, "make a page of how a job went: memory, rounds, losses, bytes"},
    {"model import", tributary::cli::ImportCommand, "put a Hugging Face directory into a blob-store, to start jobs from"},
    {"model export", tributary::cli::ExportCommand, "write a job's model as a Hugging Face directory"},
    {"put", tributary::cli::PutCommand, "stream a file or a directory into a blob-store"},
    {"get", tributary::cli::GetCommand, "stream one out of it, or ask a site for what it offers"},
    {"offers", tributary::cli::OffersCommand, "list what the connected sites give out on request"},
    {"train", tributary::cli::TrainCommand, "train a job's model in one process, without a federation"},
    {"generate", tributary::cli::GenerateCommand, "let a model write text"},
    {"evaluate", tributary::cli::EvaluateCommand, "put multiple-choice questions to a model, as MMLU does"},
    {"bench transfer", tributary::cli::BenchTransferCommand, "how fast an object goes into a blob-store and out, against bare sockets"},
    {"bench aggregate", tributary::cli::BenchAggregateCommand, "how fast updates in memory are averaged, against reading them"},
    {"bench round", tributary::cli::BenchRoundCommand, "how long a whole job takes, against what its bytes cost at least"},
    {"bench memory", tributary::cli::BenchMemoryCommand, "where the memory of each process went, with streaming and without"},
    {"keygen", tributary::cli::KeygenCommand, "make keys, and the list of who is admitted"},
    {"ping", tributary::cli::PingCommand, "ask an endpoint who it is"},
};

void PrintHelp() {
  fmt::print("tributary {}: federated learning for models larger than memory\n\n", tributary::config::Version());
  fmt::print("usage: tributary COMMAND [words]    tributary COMMAND --help\n\n");
  for (const Command& command : kCommands) fmt::print("  {:<17}{}\n", command.words, command.help);
  fmt::print("\nexit codes: 0 done; 1 failed, the last line on stderr says why and what to do; 2 usage; of status --watch and submit --wait also 3: the job was stopped\n");
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
  // A command is a word, or "model" and a word.
  std::vector<std::string> names;
  bool group = false;
  for (const Command& command : kCommands) {
    names.emplace_back(command.words);
    if (const auto space = command.words.find(' '); space != std::string_view::npos) names.emplace_back(command.words.substr(0, space));
    group = group || command.words.starts_with(std::string(first) + " ");
  }
  const std::string_view second = group && argc > 2 ? argv[2] : "";
  if (group && (second == "--help" || second == "-h")) {
    PrintHelp();
    return 0;
  }
  if (group && second.empty()) {
    fmt::print(stderr, "tributary: '{}' wants a word more; 'tributary --help' lists them\n", first);
    return 2;
  }
  const std::string words = second.empty() ? std::string(first) : fmt::format("{} {}", first, second);
  for (const Command& command : kCommands) {
    const int used = second.empty() ? 1 : 2;
    if (command.words == words) return command.run(argc - used, argv + used);
  }
  const std::string meant = tributary::DidYouMean(words, names);
  fmt::print(stderr, "tributary: no command '{}'{} 'tributary --help' lists them\n", words, meant.empty() ? ";" : meant);
  return 2;
}
