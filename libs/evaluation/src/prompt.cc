#include "tributary/evaluation/prompt.h"

#include <algorithm>
#include <string_view>

namespace tributary::evaluation {
namespace {

char Letter(std::size_t index) { return static_cast<char>('A' + index); }

std::string_view Stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void AddChoices(std::string& prompt, const Question& question) {
  for (std::size_t i = 0; i < kChoices; ++i) {
    prompt += '\n';
    prompt += Letter(i);
    prompt += ". ";
    prompt += question.choices[i];
  }
}

void AddQuestion(std::string& prompt, PromptStyle style, const Question& question) {
  prompt += style == PromptStyle::kHarness ? Stripped(question.text) : std::string_view(question.text);
  AddChoices(prompt, question);
  prompt += "\nAnswer:";
}

std::string FlowerTunePrompt(const Question& question) {
  std::string prompt =
      "<|im_start|>question\nAnswer the following multiple choice question.\nQuestion: ";
  prompt += question.text;
  if (!question.text.ends_with('?') && !question.text.ends_with('.')) prompt += '?';
  prompt += "\n\nOptions:";
  AddChoices(prompt, question);
  return prompt + "\nThe answer is:\n<|im_end|>\n<|im_start|>answer\n";
}

}  // namespace

std::string MakePrompt(PromptStyle style, const Subject& subject, std::size_t shots,
                       const Question& question) {
  if (style == PromptStyle::kFlowerTune) return FlowerTunePrompt(question);
  std::string name = subject.name;
  std::replace(name.begin(), name.end(), '_', ' ');
  std::string prompt = "The following are multiple choice questions (with answers) about ";
  if (style == PromptStyle::kOriginal) prompt += ' ';
  prompt += name + ".\n\n";
  for (std::size_t i = 0; i < shots; ++i) {
    const Question& example = subject.examples[i];
    AddQuestion(prompt, style, example);
    prompt += AnswerText(style, example.answer) + "\n\n";
  }
  AddQuestion(prompt, style, question);
  return prompt;
}

std::string AnswerText(PromptStyle style, std::size_t index) {
  const std::string letter(1, Letter(index));
  return style == PromptStyle::kFlowerTune ? letter : " " + letter;
}

}  // namespace tributary::evaluation
