// Multiple-choice questions out of a directory in the layout of MMLU.
//
//   DIR/test/SUBJECT_test.csv, DIR/dev/SUBJECT_dev.csv   question,A,B,C,D,answer; no header row
//   DIR/test.jsonl, DIR/dev.jsonl, or DIR/test/*.jsonl   {"question", "choices": [4], "answer": 0..3 or
//                                                        "A".."D", "subject"}
//
// `*.json` holds the same records as an array; in a folder, a record without "subject" is of its
// file's (SUBJECT_test.jsonl). The questions of `test` are asked, those of `dev` are the examples in
// front of them. What is chosen of both is in memory (MMLU: 8 MB), and kMaxQuestionBytes bounds each
// of the two: texts and records, not what the heap adds. Values; functions without state, any thread. Errors name file and line: rows of another form, answers that are no
// letter, a subject without its examples, a directory without questions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/evaluation/subjects.h"

namespace tributary::evaluation {

constexpr std::size_t kChoices = 4;
constexpr std::uint64_t kMaxQuestionBytes = 512u << 20;

struct Question {
  std::string text;
  std::array<std::string, kChoices> choices;
  std::size_t answer = 0;  // index of the right choice
};

struct Subject {
  std::string name;
  Category category = Category::kOther;
  bool known = false;  // one of MMLU's 57; others are counted as "other"
  std::vector<Question> examples;
  std::vector<Question> questions;
};

struct QuestionOptions {
  std::uint32_t shots = 5;    // examples that each subject must have; 0: `dev` is not looked at
  std::uint64_t limit = 0;    // questions taken of each subject, the first; 0: all
  std::vector<std::string> only;  // subjects or categories; empty: all
};

// In alphabetical order, each with at least one question.
Result<std::vector<Subject>> ReadQuestions(const std::string& directory,
                                           const QuestionOptions& options);

}  // namespace tributary::evaluation
