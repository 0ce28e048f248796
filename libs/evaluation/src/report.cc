#include "tributary/evaluation/report.h"

#include <algorithm>
#include <cmath>

namespace tributary::evaluation {
namespace {

constexpr Category kThree[] = {Category::kStem, Category::kSocialSciences, Category::kHumanities};

double Share(std::uint64_t correct, std::uint64_t questions) {
  return questions == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(questions);
}

// Of a mean of right and wrong answers, as lm-evaluation-harness has it.
double StandardError(double share, std::uint64_t questions) {
  return questions < 2 ? 0 : std::sqrt(share * (1 - share) / static_cast<double>(questions - 1));
}

OrderedJson Method(std::uint64_t correct, std::uint64_t questions) {
  const double share = Share(correct, questions);
  return {{"correct", correct}, {"accuracy", share}, {"stderr", StandardError(share, questions)}};
}

std::string Percent(double share) { return fmt::format("{:>10.2f} %", 100 * share); }

}  // namespace

void Counts::Add(const Answer& answer, std::size_t right, std::uint32_t shots) {
  ++questions;
  likelihood_correct += answer.likeliest == right ? 1 : 0;
  letter_correct += answer.letter == right ? 1 : 0;
  no_letter += answer.letter ? 0 : 1;
  fewer_examples += answer.shots < shots ? 1 : 0;
  cut += answer.cut ? 1 : 0;
}

void Counts::Add(const Counts& other) {
  questions += other.questions;
  likelihood_correct += other.likelihood_correct;
  letter_correct += other.letter_correct;
  no_letter += other.no_letter;
  fewer_examples += other.fewer_examples;
  cut += other.cut;
}

void Report::Add(const std::string& subject, Category category, const Counts& counts) {
  rows_.push_back({subject, category, counts});
}

Counts Report::Of(Category category) const {
  Counts counts;
  for (const Row& row : rows_) {
    if (row.category == category) counts.Add(row.counts);
  }
  return counts;
}

Counts Report::All() const {
  Counts counts;
  for (const Row& row : rows_) counts.Add(row.counts);
  return counts;
}

bool Report::HasThree() const {
  return std::all_of(std::begin(kThree), std::end(kThree),
                     [&](Category category) { return Of(category).questions > 0; });
}

double Report::MeanOfThree(std::uint64_t Counts::*correct) const {
  double sum = 0;
  for (const Category category : kThree) {
    const Counts counts = Of(category);
    sum += Share(counts.*correct, counts.questions);
  }
  return sum / static_cast<double>(std::size(kThree));
}

std::string Report::Heading() const {
  return fmt::format("{:<38}{:<16}{:>9}{}{}\n", "subject", "category", "questions",
                     likelihood_ ? "  likelihood" : "", letter_ ? "      letter" : "");
}

std::string Report::Line(const std::string& name, const std::string& category, const Counts& counts) const {
  return fmt::format("{:<38}{:<16}{:>9}{}{}\n", name, category, counts.questions,
                     likelihood_ ? Percent(Share(counts.likelihood_correct, counts.questions)) : "",
                     letter_ ? Percent(Share(counts.letter_correct, counts.questions)) : "");
}

std::string Report::LastLine() const {
  const Row& row = rows_.back();
  return Line(row.subject, std::string(CategoryName(row.category)), row.counts);
}

std::string Report::Summary() const {
  std::string lines;
  for (const Category category : kCategories) {
    const Counts counts = Of(category);
    if (counts.questions > 0) lines += Line("", std::string(CategoryName(category)), counts);
  }
  const Counts all = All();
  lines += Line("", "all", all);
  if (HasThree()) {
    lines += fmt::format("{:<63}{}{}\n", "mean of stem, social_sciences and humanities",
                         likelihood_ ? Percent(MeanOfThree(&Counts::likelihood_correct)) : "",
                         letter_ ? Percent(MeanOfThree(&Counts::letter_correct)) : "");
  }
  if (letter_ && all.no_letter > 0) {
    lines += fmt::format("{} of {} answers were none of the letters A to D\n", all.no_letter, all.questions);
  }
  if (all.fewer_examples > 0) {
    lines += fmt::format("{} of {} questions had fewer examples: more do not fit the model's positions\n",
                         all.fewer_examples, all.questions);
  }
  if (all.cut > 0) {
    lines += fmt::format("{} of {} questions lost their beginning: they do not fit the model's positions\n", all.cut,
                         all.questions);
  }
  return lines;
}

OrderedJson Report::Figures(const Counts& counts) const {
  OrderedJson figures{{"questions", counts.questions}};
  if (likelihood_) figures["likelihood"] = Method(counts.likelihood_correct, counts.questions);
  if (letter_) {
    figures["letter"] = Method(counts.letter_correct, counts.questions);
    figures["letter"]["no_letter"] = counts.no_letter;
  }
  figures["fewer_examples"] = counts.fewer_examples;
  figures["cut"] = counts.cut;
  return figures;
}

OrderedJson Report::ToJson() const {
  OrderedJson json{{"subjects", OrderedJson::array()}, {"categories", OrderedJson::array()}};
  for (const Row& row : rows_) {
    OrderedJson line{{"subject", row.subject}, {"category", CategoryName(row.category)}};
    line.update(Figures(row.counts));
    json["subjects"].push_back(std::move(line));
  }
  for (const Category category : kCategories) {
    const Counts counts = Of(category);
    if (counts.questions == 0) continue;
    OrderedJson line{{"category", CategoryName(category)}};
    line.update(Figures(counts));
    json["categories"].push_back(std::move(line));
  }
  json["all"] = Figures(All());
  if (HasThree()) {
    OrderedJson mean = OrderedJson::object();
    if (likelihood_) mean["likelihood"] = MeanOfThree(&Counts::likelihood_correct);
    if (letter_) mean["letter"] = MeanOfThree(&Counts::letter_correct);
    json["mean_of_three"] = std::move(mean);
  }
  return json;
}

}  // namespace tributary::evaluation
