// One multiple-choice question put to a model: the likelihood of each letter, and the letter it writes.
//
// By likelihood the answer is the letter whose tokens, behind the prompt, have the largest sum of
// log-probabilities (the first of equal ones); by letter it is the first letter or digit of what the
// model writes greedily in as many tokens as a letter takes, as FlowerTune's evaluation counts.
// Examples that do not fit the model's positions are dropped one at a time, the last first; a
// question that does not fit even alone loses its beginning. Model and tokenizer belong to the caller
// and are used on the calling thread. Memory: the model's for one sequence. Failures: a model that
// knows no text, a tokenizer of another model, likelihoods that are no numbers; kCancelled when `stop`
// says so.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/evaluation/prompt.h"
#include "tributary/evaluation/questions.h"
#include "tributary/text/tokenizer.h"
#include "tributary/train/module.h"

namespace tributary::evaluation {

struct AnswerOptions {
  PromptStyle style = PromptStyle::kHarness;
  std::uint32_t shots = 5;
  bool likelihood = true;
  bool letter = true;
  std::uint32_t threads = 1;
};

struct Answer {
  std::array<double, kChoices> log_probabilities{};  // nats; of `likelihood`
  std::size_t likeliest = 0;
  std::string text;                   // of `letter`: what the model wrote
  std::optional<std::size_t> letter;  // nothing: it wrote none of A to D
  std::uint32_t shots = 0;            // examples that fitted
  bool cut = false;                   // the question itself did not fit
  std::uint64_t tokens = 0;           // of the prompt
};

// `stop` is asked between passes over the model.
Result<Answer> Ask(train::Model& model, const text::Tokenizer& tokenizer, const Subject& subject,
                   const Question& question, const AnswerOptions& options,
                   const std::function<bool()>& stop);

// The choice that generated text begins with: its first ASCII letter or digit, of either case.
std::optional<std::size_t> LetterOf(std::string_view text);

}  // namespace tributary::evaluation
