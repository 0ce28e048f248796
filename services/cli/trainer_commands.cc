// `tributary train`, `tributary generate` and whatever else needs libtorch is the trainer's work: this program only hands it over.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "services/cli/commands.h"
#include "services/cli/process.h"

namespace tributary::cli {

namespace {

// argv[0] is the command's word.
int HandOver(int argc, char** argv) {
  const auto directory = BinaryDirectory();
  if (!directory.ok()) {
    fmt::print(stderr, "tributary {}: {}\n", argv[0], directory.error().message());
    return 1;
  }
  const std::string binary = *directory + "/tributary-trainer";
  std::vector<char*> words{const_cast<char*>(binary.c_str())};
  for (int i = 0; i < argc; ++i) words.push_back(argv[i]);
  words.push_back(nullptr);
  execv(binary.c_str(), words.data());
  fmt::print(stderr, "tributary {}: {} cannot be started: {}; it is built with the trainer\n", argv[0], binary, std::strerror(errno));
  return 1;
}

}  // namespace

int GenerateCommand(int argc, char** argv) { return HandOver(argc, argv); }
int EvaluateCommand(int argc, char** argv) { return HandOver(argc, argv); }
int TrainCommand(int argc, char** argv) { return HandOver(argc, argv); }

}  // namespace tributary::cli
