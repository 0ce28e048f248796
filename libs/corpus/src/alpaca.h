// The prompts that Stanford's Alpaca was trained with (its train.py, PROMPT_DICT), character for
// character; the answer follows behind them without a space or newline between.
#pragma once

#include <string>
#include <string_view>

namespace tributary::corpus {

inline std::string AlpacaPrompt(std::string_view instruction, std::string_view input) {
  std::string prompt;
  if (input.empty()) {
    prompt =
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\n";
    prompt += instruction;
  } else {
    prompt =
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n\n### Instruction:\n";
    prompt += instruction;
    prompt += "\n\n### Input:\n";
    prompt += input;
  }
  prompt += "\n\n### Response:";
  return prompt;
}

}  // namespace tributary::corpus
