#include "services/trainer/optimizer_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "libs/base/testing/temp_directory.h"

namespace tributary::trainer {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class OptimizerStateTest : public testing::Test {
 protected:
  OptimizerStateOptions Options(std::uint32_t round, std::uint32_t ordinal = 1) {
    return {directory_.File("optimizer"), "job", "text", {{"w", tensor::DType::kF32, {2, 3}}}, ordinal, round};
  }
  std::unique_ptr<DiskOptimizerState> Open(const OptimizerStateOptions& options) {
    auto state = DiskOptimizerState::Open(options);
    EXPECT_TRUE(state.ok()) << state.error().message();
    return std::move(*state);
  }
  // First and second moments of two parameters.
  struct Moments {
    std::vector<std::vector<float>> arrays = {std::vector<float>(6), std::vector<float>(6), std::vector<float>(1), std::vector<float>(1)};
    std::vector<std::span<float>> spans() { return {arrays.begin(), arrays.end()}; }
  };
  void Save(const OptimizerStateOptions& options, std::uint64_t steps, float value) {
    Moments moments;
    for (auto& array : moments.arrays) std::fill(array.begin(), array.end(), value);
    const Status saved = Open(options)->Save(steps, moments.spans());
    ASSERT_TRUE(saved.ok()) << saved.error().message();
  }
  std::uint64_t Load(const OptimizerStateOptions& options, Moments& moments) {
    const auto steps = Open(options)->Load(moments.spans());
    EXPECT_TRUE(steps.ok());
    return steps.ok() ? *steps : 99;
  }
  std::uint64_t StepsOf(const OptimizerStateOptions& options) {
    Moments moments;
    return Load(options, moments);
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(directory_.path() / "optimizer")) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string File(const std::string& name) { return directory_.File("optimizer/job/" + name); }
  const TempDirectory directory_;
};

TEST_F(OptimizerStateTest, ARoundBeginsWithWhatTheOneBeforeLeft) {
  EXPECT_EQ(StepsOf(Options(1)), 0u);
  Save(Options(1), 7, 0.5f);
  Moments moments;
  EXPECT_EQ(Load(Options(2), moments), 7u);
  for (const auto& array : moments.arrays) EXPECT_THAT(array, Each(0.5f));
  // A seat that a round left out goes on where it was.
  EXPECT_EQ(StepsOf(Options(5)), 7u);
}

TEST_F(OptimizerStateTest, ARepeatedRoundBeginsAsItDidBefore) {
  Save(Options(1), 7, 0.5f);
  Save(Options(2), 14, 0.25f);
  Moments moments;
  EXPECT_EQ(Load(Options(2), moments), 7u);
  EXPECT_THAT(moments.arrays[0], Each(0.5f));
  Save(Options(2), 14, 0.25f);
  EXPECT_EQ(StepsOf(Options(3)), 14u);
  EXPECT_THAT(Names(), ElementsAre("1.r2"));
  // The first round anew: later files are another history's.
  EXPECT_EQ(StepsOf(Options(1)), 0u);
}

TEST_F(OptimizerStateTest, WhatWasNotRenamedIsNotRead) {
  Save(Options(1), 7, 0.5f);
  fs::copy_file(File("1.r1"), File("1.r2.tmp"));
  EXPECT_EQ(StepsOf(Options(3)), 7u);
  EXPECT_THAT(Names(), ElementsAre("1.r1"));
}

TEST_F(OptimizerStateTest, SeatsAndJobsAreApart) {
  Save(Options(1, 0), 7, 0.5f);
  EXPECT_EQ(StepsOf(Options(2, 1)), 0u);
  EXPECT_THAT(Names(), ElementsAre("0.r1"));
  auto other = Options(2, 0);
  other.job_text = "another text";
  EXPECT_EQ(StepsOf(other), 0u);
  other = Options(2, 0);
  other.tensors[0].shape = {3, 2};
  EXPECT_EQ(StepsOf(other), 0u);
  EXPECT_EQ(StepsOf(Options(2, 0)), 7u);
  other.job = "next";
  Save(other, 3, 1.0f);
  EXPECT_THAT(Names(), ElementsAre("0.r2"));
  EXPECT_FALSE(fs::exists(directory_.File("optimizer/job")));
}

// Every byte of header, table and numbers is held against a digest.
TEST_F(OptimizerStateTest, ABrokenFileMeansFresh) {
  Save(Options(1), 7, 0.5f);
  std::string whole;
  {
    std::ifstream in(File("1.r1"), std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto put = [&](const std::string& bytes) { std::ofstream(File("1.r1"), std::ios::binary | std::ios::trunc) << bytes; };
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    put(broken);
    ASSERT_EQ(StepsOf(Options(2)), 0u) << "byte " << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{95}, std::size_t{100}, whole.size() - 1}) {
    put(whole.substr(0, size));
    ASSERT_EQ(StepsOf(Options(2)), 0u) << size;
  }
  put(whole + "x");
  EXPECT_EQ(StepsOf(Options(2)), 0u);
  put(whole);
  EXPECT_EQ(StepsOf(Options(2)), 7u);
}

TEST_F(OptimizerStateTest, NumbersThatAreNoMomentsMeanFresh) {
  Save(Options(1), 7, -0.5f);  // squares are not negative
  EXPECT_EQ(StepsOf(Options(2)), 0u);
  Save(Options(1), 7, std::numeric_limits<float>::infinity());
  EXPECT_EQ(StepsOf(Options(2)), 0u);
  Save(Options(1), 0, 0.5f);
  EXPECT_EQ(StepsOf(Options(2)), 0u);
}

TEST_F(OptimizerStateTest, OtherArraysMeanFresh) {
  Save(Options(1), 7, 0.5f);
  std::vector<float> one(6), two(6), three(2), four(2);
  EXPECT_EQ(*Open(Options(2))->Load({one, two, three, four}), 0u);
  EXPECT_EQ(*Open(Options(2))->Load({one, two}), 0u);
}

TEST_F(OptimizerStateTest, NothingIsLeftOfAJobThatIsDone) {
  Save(Options(1), 7, 0.5f);
  const auto last = Open(Options(2));
  Moments moments;
  ASSERT_TRUE(last->Save(14, moments.spans()).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("1.r1", "1.r2"));
  last->Remove();
  EXPECT_THAT(Names(), ElementsAre());
}

TEST_F(OptimizerStateTest, AFolderThatCannotBeMadeIsSaid) {
  std::ofstream(directory_.File("optimizer")) << "a file";
  EXPECT_THAT(DiskOptimizerState::Open(Options(1)).error().message(), testing::HasSubstr("making " + directory_.File("optimizer/job")));
}

TEST_F(OptimizerStateTest, MemoryGivesBackWhatWasSaved) {
  MemoryOptimizerState state;
  Moments moments;
  EXPECT_EQ(*state.Load(moments.spans()), 0u);
  moments.arrays[3] = {0.75f};
  ASSERT_TRUE(state.Save(4, moments.spans()).ok());
  Moments again;
  EXPECT_EQ(*state.Load(again.spans()), 4u);
  EXPECT_EQ(again.arrays, moments.arrays);
}

}  // namespace
}  // namespace tributary::trainer
