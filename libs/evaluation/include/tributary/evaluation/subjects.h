// The 57 subjects of MMLU and the category that each is counted in.
//
// Categories are those of lm-evaluation-harness and of FlowerTune's evaluation: STEM 19, social
// sciences 12, humanities 13, other 13. The authors' own script counts anatomy as "other"; here it is
// STEM. Constants and pure functions; any thread; nothing fails.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tributary::evaluation {

enum class Category : std::uint8_t { kStem, kSocialSciences, kHumanities, kOther };
inline constexpr Category kCategories[] = {Category::kStem, Category::kSocialSciences,
                                           Category::kHumanities, Category::kOther};

// "stem", "social_sciences", "humanities", "other".
std::string_view CategoryName(Category category);
std::optional<Category> FindCategory(std::string_view name);

struct KnownSubject {
  std::string_view name;  // "abstract_algebra"
  Category category;
};
// In alphabetical order.
std::span<const KnownSubject> KnownSubjects();
// Nothing for a subject that is not one of the 57.
std::optional<Category> CategoryOf(std::string_view subject);

}  // namespace tributary::evaluation
