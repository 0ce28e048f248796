#include "tributary/evaluation/subjects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace tributary::evaluation {
namespace {

TEST(Subjects, CategoriesAreOfThePublishedSizes) {
  std::map<Category, int> sizes;
  std::set<std::string_view> names;
  for (const KnownSubject& subject : KnownSubjects()) {
    ++sizes[subject.category];
    names.insert(subject.name);
  }
  EXPECT_EQ(names.size(), 57u);
  EXPECT_EQ(sizes[Category::kStem], 19);
  EXPECT_EQ(sizes[Category::kSocialSciences], 12);
  EXPECT_EQ(sizes[Category::kHumanities], 13);
  EXPECT_EQ(sizes[Category::kOther], 13);
  EXPECT_TRUE(std::is_sorted(KnownSubjects().begin(), KnownSubjects().end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
}

TEST(Subjects, AreFoundByName) {
  EXPECT_EQ(CategoryOf("machine_learning"), Category::kStem);
  EXPECT_EQ(CategoryOf("anatomy"), Category::kStem) << "as lm-evaluation-harness has it";
  EXPECT_EQ(CategoryOf("econometrics"), Category::kSocialSciences);
  EXPECT_EQ(CategoryOf("formal_logic"), Category::kHumanities);
  EXPECT_EQ(CategoryOf("virology"), Category::kOther);
  EXPECT_EQ(CategoryOf("Anatomy"), std::nullopt);
  EXPECT_EQ(CategoryOf(""), std::nullopt);
}

TEST(Subjects, CategoriesHaveNames) {
  for (const Category category : kCategories) EXPECT_EQ(FindCategory(CategoryName(category)), category);
  EXPECT_EQ(FindCategory("STEM"), std::nullopt);
}

}  // namespace
}  // namespace tributary::evaluation
