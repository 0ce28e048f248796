#include "services/trainer/residual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "libs/base/testing/temp_directory.h"

namespace tributary::trainer {
namespace {

using testing::Each;

class ResidualTest : public testing::Test {
 protected:
  ResidualOptions Options(std::uint32_t round) { return {directory_.path() / "residual", "job", "text", 1, round, 1000}; }
  std::unique_ptr<Residual> Open(const ResidualOptions& options) {
    auto residual = Residual::Open(options);
    EXPECT_TRUE(residual.ok()) << residual.error().message();
    return std::move(*residual);
  }
  void Write(Residual& residual, float value) {
    const std::vector<float> values(500, value);
    ASSERT_TRUE(residual.Write(500, values).ok());
    ASSERT_TRUE(residual.Write(0, values).ok());
  }
  std::vector<float> Read(Residual& residual) {
    std::vector<float> values(1000, -1.0f);
    EXPECT_TRUE(residual.Read(0, values).ok());
    return values;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path() / "residual")) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    return names;
  }
  const TempDirectory directory_;
};

TEST_F(ResidualTest, ARoundReadsWhatTheOneBeforeItCompleted) {
  auto first = Open(Options(1));
  EXPECT_FALSE(first->resumed());
  EXPECT_THAT(Read(*first), Each(0.0f));
  Write(*first, 1.5f);
  EXPECT_THAT(Read(*first), Each(0.0f)) << "its own is for the next round";
  ASSERT_TRUE(first->Complete().ok());
  auto third = Open(Options(3));
  EXPECT_THAT(Read(*third), Each(1.5f));
}

TEST_F(ResidualTest, WhatWasNotCompletedIsNotRead) {
  auto first = Open(Options(1));
  Write(*first, 1.0f);
  ASSERT_TRUE(first->Complete().ok());
  Write(*Open(Options(2)), 2.0f);
  EXPECT_THAT(Read(*Open(Options(3))), Each(1.0f));
}

TEST_F(ResidualTest, AKilledRoundGoesOnWithBothFiles) {
  auto first = Open(Options(1));
  Write(*first, 1.0f);
  ASSERT_TRUE(first->Complete().ok());
  { auto second = Open(Options(2)); Write(*second, 2.0f); }
  auto again = Open(Options(2));
  EXPECT_TRUE(again->resumed());
  EXPECT_THAT(Read(*again), Each(1.0f));
  ASSERT_TRUE(again->Complete().ok());
  EXPECT_THAT(Read(*Open(Options(3))), Each(2.0f));
}

TEST_F(ResidualTest, KeepsTwoFilesAndNoneOfOtherJobs) {
  auto other = Options(1);
  other.job = "older";
  Open(other);
  for (const std::uint32_t round : {1u, 2u, 3u, 4u}) ASSERT_TRUE(Open(Options(round))->Complete().ok());
  EXPECT_THAT(Names(), testing::UnorderedElementsAre("1.r3", "1.r4"));
}

TEST_F(ResidualTest, ASealedRoundLeavesItsOwnFileAndTheLastNone) {
  ASSERT_TRUE(Open(Options(1))->Complete().ok());
  auto second = Open(Options(2));
  Write(*second, 2.0f);
  ASSERT_TRUE(second->Complete().ok());
  second->Sealed(/*last=*/false);
  EXPECT_THAT(Names(), testing::ElementsAre("1.r2"));
  auto third = Open(Options(3));
  EXPECT_THAT(Read(*third), Each(2.0f));
  ASSERT_TRUE(third->Complete().ok());
  third->Sealed(/*last=*/true);
  EXPECT_THAT(Names(), testing::IsEmpty());
}

TEST_F(ResidualTest, OfAnotherTextSeatOrSizeIsNeverUsed) {
  auto first = Open(Options(1));
  Write(*first, 1.0f);
  ASSERT_TRUE(first->Complete().ok());
  auto options = Options(2);
  options.job_text = "other";
  EXPECT_THAT(Read(*Open(options)), Each(0.0f));
  std::filesystem::rename(directory_.path() / "residual/job/1.r2", directory_.path() / "residual/job/2.r1");
  options = Options(2);
  options.ordinal = 2;
  EXPECT_THAT(Read(*Open(options)), Each(0.0f));
  options.elements = 999;
  EXPECT_FALSE(Open(options)->resumed());
}

TEST_F(ResidualTest, ADirectoryThatCannotBeMadeIsAnErrorThatNamesIt) {
  auto options = Options(1);
  options.directory = "/proc/residual";
  const auto residual = Residual::Open(options);
  ASSERT_FALSE(residual.ok());
  EXPECT_THAT(residual.error().message(), testing::HasSubstr("/proc/residual"));
}

}  // namespace
}  // namespace tributary::trainer
