// Byte for byte what the published scripts put together.
#include "tributary/evaluation/prompt.h"

#include <gtest/gtest.h>

namespace tributary::evaluation {
namespace {

Subject Algebra() {
  Subject subject{"abstract_algebra", Category::kStem, true, {}, {}};
  subject.examples.push_back(
      {"Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.", {"0", "1", "2", "3"}, 1});
  subject.examples.push_back({" Is it?\n", {"yes", "no", "it is", "never"}, 3});
  return subject;
}
const Question kQuestion{"Find the degree of Q(sqrt(2)) over Q ", {"0", "4", "2", "6"}, 2};

TEST(Prompt, OfTheHarness) {
  EXPECT_EQ(MakePrompt(PromptStyle::kHarness, Algebra(), 2, kQuestion),
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
            "Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n"
            "Is it?\nA. yes\nB. no\nC. it is\nD. never\nAnswer: D\n\n"
            "Find the degree of Q(sqrt(2)) over Q\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:");
  EXPECT_EQ(AnswerText(PromptStyle::kHarness, 2), " C");
}

TEST(Prompt, WithoutExamples) {
  EXPECT_EQ(MakePrompt(PromptStyle::kHarness, Algebra(), 0, kQuestion),
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
            "Find the degree of Q(sqrt(2)) over Q\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:");
}

TEST(Prompt, OfTheAuthorsScript) {
  EXPECT_EQ(MakePrompt(PromptStyle::kOriginal, Algebra(), 2, kQuestion),
            "The following are multiple choice questions (with answers) about  abstract algebra.\n\n"
            "Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n"
            " Is it?\n\nA. yes\nB. no\nC. it is\nD. never\nAnswer: D\n\n"
            "Find the degree of Q(sqrt(2)) over Q \nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:");
  EXPECT_EQ(AnswerText(PromptStyle::kOriginal, 0), " A");
}

TEST(Prompt, OfFlowerTune) {
  EXPECT_EQ(MakePrompt(PromptStyle::kFlowerTune, Algebra(), 0, {"What is it?", {"a", "b", "c", "d"}, 0}),
            "<|im_start|>question\nAnswer the following multiple choice question.\nQuestion: What is it?\n\n"
            "Options:\nA. a\nB. b\nC. c\nD. d\nThe answer is:\n<|im_end|>\n<|im_start|>answer\n");
  EXPECT_EQ(AnswerText(PromptStyle::kFlowerTune, 3), "D");
}

TEST(Prompt, FlowerTuneEndsAQuestionWithItsMark) {
  const auto asked = [](const std::string& text) {
    return MakePrompt(PromptStyle::kFlowerTune, Algebra(), 0, {text, {"a", "b", "c", "d"}, 0});
  };
  EXPECT_NE(asked("It is").find("Question: It is?\n\nOptions"), std::string::npos);
  EXPECT_NE(asked("It is.").find("Question: It is.\n\nOptions"), std::string::npos);
  EXPECT_NE(asked("It is ___").find("Question: It is ___?\n\nOptions"), std::string::npos);
}

}  // namespace
}  // namespace tributary::evaluation
