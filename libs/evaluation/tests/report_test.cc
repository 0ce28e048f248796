#include "tributary/evaluation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tributary::evaluation {
namespace {

using testing::HasSubstr;
using testing::Not;

Counts Of(std::uint64_t questions, std::uint64_t likelihood, std::uint64_t letter) {
  Counts counts;
  counts.questions = questions;
  counts.likelihood_correct = likelihood;
  counts.letter_correct = letter;
  return counts;
}

Report Four() {
  Report report(true, true);
  report.Add("anatomy", Category::kStem, Of(100, 50, 10));
  report.Add("virology", Category::kOther, Of(10, 10, 0));
  report.Add("college_physics", Category::kStem, Of(300, 50, 30));
  report.Add("sociology", Category::kSocialSciences, Of(50, 25, 5));
  report.Add("philosophy", Category::kHumanities, Of(40, 10, 0));
  return report;
}

TEST(Counts, OfAnswers) {
  Counts counts;
  Answer answer;
  answer.likeliest = 2;
  answer.letter = 1;
  answer.shots = 5;
  counts.Add(answer, 2, 5);
  answer.letter.reset();
  answer.shots = 4;
  answer.cut = true;
  counts.Add(answer, 1, 5);
  EXPECT_EQ(counts.questions, 2u);
  EXPECT_EQ(counts.likelihood_correct, 1u);
  EXPECT_EQ(counts.letter_correct, 0u);
  EXPECT_EQ(counts.no_letter, 1u);
  EXPECT_EQ(counts.fewer_examples, 1u);
  EXPECT_EQ(counts.cut, 1u);
}

TEST(Report, CategoriesCountQuestionsNotSubjects) {
  const auto json = Four().ToJson();
  ASSERT_EQ(json["categories"].size(), 4u);
  EXPECT_EQ(json["categories"][0]["category"], "stem");
  EXPECT_EQ(json["categories"][0]["questions"], 400);
  EXPECT_DOUBLE_EQ(json["categories"][0]["likelihood"]["accuracy"], 0.25);
  EXPECT_DOUBLE_EQ(json["categories"][0]["letter"]["accuracy"], 0.1);
  EXPECT_DOUBLE_EQ(json["all"]["likelihood"]["accuracy"], 145.0 / 500);
  EXPECT_NEAR(json["all"]["likelihood"]["stderr"], std::sqrt(0.29 * 0.71 / 499), 1e-12);
  EXPECT_DOUBLE_EQ(json["mean_of_three"]["likelihood"], (0.25 + 0.5 + 0.25) / 3);
  EXPECT_EQ(json["subjects"][1]["subject"], "virology");
  EXPECT_EQ(json["subjects"][1]["category"], "other");
}

TEST(Report, TheTable) {
  Report report = Four();
  EXPECT_EQ(report.Heading(), "subject                               category        questions  likelihood      letter\n");
  EXPECT_EQ(report.LastLine(), "philosophy                            humanities             40     25.00 %      0.00 %\n");
  const std::string summary = report.Summary();
  EXPECT_THAT(summary, HasSubstr("stem                  400     25.00 %     10.00 %\n"));
  EXPECT_THAT(summary, HasSubstr("all                   500     29.00 %      9.00 %\n"));
  EXPECT_THAT(summary, HasSubstr("mean of stem, social_sciences and humanities                        33.33 %      6.67 %\n"));
  EXPECT_THAT(summary, Not(HasSubstr("positions")));
  Counts short_ones = Of(5, 0, 0);
  short_ones.no_letter = 3;
  short_ones.fewer_examples = 2;
  short_ones.cut = 1;
  report.Add("virology", Category::kOther, short_ones);
  EXPECT_THAT(report.Summary(), HasSubstr("3 of 505 answers were none of the letters A to D\n"
                                          "2 of 505 questions had fewer examples: more do not fit the model's positions\n"
                                          "1 of 505 questions lost their beginning: they do not fit the model's positions\n"));
}

TEST(Report, OneMethodAndSomeCategories) {
  Report report(false, true);
  report.Add("anatomy", Category::kStem, Of(1, 0, 1));
  EXPECT_THAT(report.Heading(), Not(HasSubstr("likelihood")));
  EXPECT_THAT(report.Summary(), Not(HasSubstr("mean of")));
  const auto json = report.ToJson();
  EXPECT_FALSE(json.contains("mean_of_three"));
  EXPECT_FALSE(json["all"].contains("likelihood"));
  EXPECT_EQ(json["all"]["letter"]["stderr"], 0.0);
  EXPECT_EQ(json["categories"].size(), 1u);
}

}  // namespace
}  // namespace tributary::evaluation
