// `tributary-trainer evaluate MODEL-DIR --mmlu DIR`: multiple-choice questions put to a model directory, as docs/evaluation.md tells.
//
// Lines of the table go to a stream as subjects are done. One thread, which the process's SIGINT and SIGTERM stop between passes over the
// model.
#pragma once

#include <cstdio>
#include <functional>
#include <string>

#include "services/trainer/task_support.h"
#include "tributary/evaluation/answer.h"
#include "tributary/evaluation/questions.h"

namespace tributary::trainer {

struct EvaluateSpec {
  std::string directory;
  std::string base;  // of an adapter; empty: what it names
  train::Quantization quantization = train::Quantization::kNone;
  std::string questions;  // the directory of questions
  evaluation::QuestionOptions which;
  evaluation::AnswerOptions how;
  std::string json;     // where the figures are written; empty: nowhere
  std::string samples;  // where each answer is written as it comes, a JSON object a line; empty: nowhere
  bool progress = false;
};

// `stop` is asked before each question and between passes; kCancelled tells how far it came.
Status Evaluate(const EvaluateSpec& spec, const LoadModule& load, const std::function<bool()>& stop, std::FILE* out);

// The subcommand; argv[0] is "evaluate". Returns the exit code.
int EvaluateMain(int argc, char** argv);

}  // namespace tributary::trainer
