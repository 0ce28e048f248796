// The text that a model is asked a multiple-choice question with, byte for byte as published.
//
// kHarness is lm-evaluation-harness' `mmlu`. kOriginal is the script of MMLU's authors, which has two
// blanks before the subject and keeps blanks around a question. kFlowerTune is that of FlowerTune's
// evaluation, which has no examples. Pure functions; any thread; nothing fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tributary/evaluation/questions.h"

namespace tributary::evaluation {

enum class PromptStyle : std::uint8_t { kHarness, kOriginal, kFlowerTune };

// With the subject's first `shots` examples. REQUIRES: shots <= subject.examples.size(), and 0 in
// kFlowerTune.
std::string MakePrompt(PromptStyle style, const Subject& subject, std::size_t shots,
                       const Question& question);

// What follows the prompt where choice `index` is answered: " A", or "A" after a line's end.
std::string AnswerText(PromptStyle style, std::size_t index);

}  // namespace tributary::evaluation
