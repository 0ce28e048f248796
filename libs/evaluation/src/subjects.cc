#include "tributary/evaluation/subjects.h"

#include <algorithm>

namespace tributary::evaluation {
namespace {

constexpr Category kStem = Category::kStem;
constexpr Category kSocial = Category::kSocialSciences;
constexpr Category kHumanities = Category::kHumanities;
constexpr Category kOther = Category::kOther;

constexpr KnownSubject kSubjects[] = {
    {"abstract_algebra", kStem},
    {"anatomy", kStem},
    {"astronomy", kStem},
    {"business_ethics", kOther},
    {"clinical_knowledge", kOther},
    {"college_biology", kStem},
    {"college_chemistry", kStem},
    {"college_computer_science", kStem},
    {"college_mathematics", kStem},
    {"college_medicine", kOther},
    {"college_physics", kStem},
    {"computer_security", kStem},
    {"conceptual_physics", kStem},
    {"econometrics", kSocial},
    {"electrical_engineering", kStem},
    {"elementary_mathematics", kStem},
    {"formal_logic", kHumanities},
    {"global_facts", kOther},
    {"high_school_biology", kStem},
    {"high_school_chemistry", kStem},
    {"high_school_computer_science", kStem},
    {"high_school_european_history", kHumanities},
    {"high_school_geography", kSocial},
    {"high_school_government_and_politics", kSocial},
    {"high_school_macroeconomics", kSocial},
    {"high_school_mathematics", kStem},
    {"high_school_microeconomics", kSocial},
    {"high_school_physics", kStem},
    {"high_school_psychology", kSocial},
    {"high_school_statistics", kStem},
    {"high_school_us_history", kHumanities},
    {"high_school_world_history", kHumanities},
    {"human_aging", kOther},
    {"human_sexuality", kSocial},
    {"international_law", kHumanities},
    {"jurisprudence", kHumanities},
    {"logical_fallacies", kHumanities},
    {"machine_learning", kStem},
    {"management", kOther},
    {"marketing", kOther},
    {"medical_genetics", kOther},
    {"miscellaneous", kOther},
    {"moral_disputes", kHumanities},
    {"moral_scenarios", kHumanities},
    {"nutrition", kOther},
    {"philosophy", kHumanities},
    {"prehistory", kHumanities},
    {"professional_accounting", kOther},
    {"professional_law", kHumanities},
    {"professional_medicine", kOther},
    {"professional_psychology", kSocial},
    {"public_relations", kSocial},
    {"security_studies", kSocial},
    {"sociology", kSocial},
    {"us_foreign_policy", kSocial},
    {"virology", kOther},
    {"world_religions", kHumanities},
};

}  // namespace

std::string_view CategoryName(Category category) {
  switch (category) {
    case Category::kStem: return "stem";
    case Category::kSocialSciences: return "social_sciences";
    case Category::kHumanities: return "humanities";
    case Category::kOther: break;
  }
  return "other";
}

std::optional<Category> FindCategory(std::string_view name) {
  for (const Category category : kCategories) {
    if (CategoryName(category) == name) return category;
  }
  return std::nullopt;
}

std::span<const KnownSubject> KnownSubjects() { return kSubjects; }

std::optional<Category> CategoryOf(std::string_view subject) {
  const auto found = std::find_if(std::begin(kSubjects), std::end(kSubjects),
                                  [&](const KnownSubject& known) { return known.name == subject; });
  if (found == std::end(kSubjects)) return std::nullopt;
  return found->category;
}

}  // namespace tributary::evaluation
