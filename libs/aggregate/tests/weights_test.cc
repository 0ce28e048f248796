#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tributary/aggregate/reducer.h"

namespace tributary::aggregate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RoundedWeights, AreSharesRoundedOnce) {
  const std::vector<double> shares{3.0 / 11, 1.0 / 11, 7.0 / 11};
  const auto weights = RoundedWeights(shares);
  ASSERT_TRUE(weights.ok());
  EXPECT_THAT(*weights, ElementsAre(static_cast<float>(3.0 / 11), static_cast<float>(1.0 / 11), static_cast<float>(7.0 / 11)));
}

TEST(RoundedWeights, OneParticipantHasAll) {
  const std::vector<double> shares{1.0};
  EXPECT_THAT(*RoundedWeights(shares), ElementsAre(1.0f));
}

TEST(RoundedWeights, RefusesWhatIsNoShare) {
  const std::vector<double> negative{2, -1};
  EXPECT_THAT(RoundedWeights(negative).error().message(), HasSubstr("participant 1 is -1"));
  const std::vector<double> infinite{std::numeric_limits<double>::infinity()};
  EXPECT_THAT(RoundedWeights(infinite).error().message(), HasSubstr("participant 0 is inf"));
  const std::vector<double> nan{std::numeric_limits<double>::quiet_NaN()};
  EXPECT_FALSE(RoundedWeights(nan).ok());
}

TEST(RoundedWeights, RefusesSharesThatAreNotOfOneWhole) {
  const std::vector<double> counts{3, 1};
  EXPECT_THAT(RoundedWeights(counts).error().message(), HasSubstr("add up to 4: expected 1"));
  const std::vector<double> zeros{0, 0};
  EXPECT_FALSE(RoundedWeights(zeros).ok());
  EXPECT_FALSE(RoundedWeights({}).ok());
}

}  // namespace
}  // namespace tributary::aggregate
