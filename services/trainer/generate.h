// `tributary-trainer generate MODEL-DIR --prompt TEXT`: writes text with a model directory, as it comes, to a stream.
#pragma once

#include <cstdio>
#include <string>

#include "services/trainer/task_support.h"

namespace tributary::trainer {

struct GenerateSpec {
  std::string directory;
  std::string base;    // of an adapter; empty: what it names
  std::string prompt;
  train::GenerateOptions options;
};

// The prompt and what follows it. The directory's own tokenizer is used, or bytes if it has none.
Status Generate(const GenerateSpec& spec, const LoadModule& load, std::FILE* out);

// The subcommand; argv[0] is "generate". Returns the exit code.
int GenerateMain(int argc, char** argv);

}  // namespace tributary::trainer
