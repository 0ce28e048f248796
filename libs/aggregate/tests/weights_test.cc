#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tributary/aggregate/reducer.h"

namespace tributary::aggregate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(NormalizedWeights, AreQuotientsOfSampleCountsRoundedOnce) {
  const std::vector<double> counts{3, 1, 7};
  const auto weights = NormalizedWeights(counts);
  ASSERT_TRUE(weights.ok());
  EXPECT_THAT(*weights, ElementsAre(static_cast<float>(3.0 / 11), static_cast<float>(1.0 / 11), static_cast<float>(7.0 / 11)));
}

TEST(NormalizedWeights, OneParticipantHasAll) {
  const std::vector<double> counts{12345};
  EXPECT_THAT(*NormalizedWeights(counts), ElementsAre(1.0f));
}

TEST(NormalizedWeights, RefusesWhatCannotBeAveraged) {
  const std::vector<double> negative{1, -1};
  EXPECT_THAT(NormalizedWeights(negative).error().message(), HasSubstr("participant 1 is -1"));
  const std::vector<double> infinite{std::numeric_limits<double>::infinity()};
  EXPECT_THAT(NormalizedWeights(infinite).error().message(), HasSubstr("finite"));
  const std::vector<double> overflow{1e308, 1e308};
  EXPECT_FALSE(NormalizedWeights(overflow).ok());
  const std::vector<double> zeros{0, 0};
  EXPECT_THAT(NormalizedWeights(zeros).error().message(), HasSubstr("nothing can be averaged"));
  EXPECT_FALSE(NormalizedWeights({}).ok());
}

}  // namespace
}  // namespace tributary::aggregate
