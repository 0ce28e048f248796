// What became of the questions: counts by subject and by category, as lines of a table and as JSON.
//
// The accuracy of a category is that of all its questions together, as lm-evaluation-harness and
// FlowerTune count, not the mean of its subjects'. Values; one thread; nothing fails.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/evaluation/answer.h"
#include "tributary/evaluation/subjects.h"
#include "tributary/json/json.h"

namespace tributary::evaluation {

struct Counts {
  std::uint64_t questions = 0;
  std::uint64_t likelihood_correct = 0;
  std::uint64_t letter_correct = 0;
  std::uint64_t no_letter = 0;      // the model wrote none of A to D
  std::uint64_t fewer_examples = 0; // asked with fewer examples than wanted: they did not fit
  std::uint64_t cut = 0;            // the question alone did not fit

  void Add(const Answer& answer, std::size_t right, std::uint32_t shots);
  void Add(const Counts& other);
};

class Report {
 public:
  // Which of the two columns there are.
  Report(bool likelihood, bool letter) : likelihood_(likelihood), letter_(letter) {}

  void Add(const std::string& subject, Category category, const Counts& counts);

  std::string Heading() const;
  // The line of the subject that was added last. REQUIRES: one was added
  std::string LastLine() const;
  // Lines of the categories that have questions, of all, and, where these three are there, of the mean of
  // STEM, social sciences and humanities, by which FlowerTune ranks.
  std::string Summary() const;
  // {"subjects": [...], "categories": [...], "all": {...}, "mean_of_three": {...}}
  OrderedJson ToJson() const;

 private:
  struct Row {
    std::string subject;
    Category category;
    Counts counts;
  };
  Counts Of(Category category) const;
  Counts All() const;
  std::string Line(const std::string& name, const std::string& category, const Counts& counts) const;
  OrderedJson Figures(const Counts& counts) const;
  // Of questions answered rightly by either method; nothing without questions in one of the three.
  bool HasThree() const;
  double MeanOfThree(std::uint64_t Counts::*correct) const;

  bool likelihood_;
  bool letter_;
  std::vector<Row> rows_;
};

}  // namespace tributary::evaluation
