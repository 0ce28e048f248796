#include "tributary/memory/phases.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "libs/base/testing/sanitized.h"
#include "tributary/base/units.h"
#include "tributary/memory/process_memory.h"

namespace tributary::memory {
namespace {

void Touch(std::uint64_t bytes) {
  const std::vector<char> block(bytes, 1);
  EXPECT_EQ(block[bytes / 2], 1);
}

// The book is the process's: the names of each test are its own. Marks of other processes come before OwnPeak, which stays.
TEST(Phases, AMarkThatOthersReadStaysAndPeaksAreNeverSmaller) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory would be measured";
  {
    const Phase phase("large, not ours");
    Touch(48_MiB);
  }
  { const Phase phase("small, not ours"); }
  const auto peaks = ReadPeaks();
  EXPECT_GE(peaks.phases.at("small, not ours"), peaks.phases.at("large, not ours"));
  EXPECT_GE(ReadProcessMemory()->rss_peak + 1_MiB, peaks.overall) << "nobody reset the kernel's mark";
}

TEST(Phases, EachHasItsOwnPeakAndTheOverallOneStays) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory would be measured";
  if (!ResetPeak().ok()) GTEST_SKIP() << "clear_refs may not be written here";
  OwnPeak();
  {
    const Phase phase("large");
    Touch(48_MiB);
  }
  { const Phase phase("small"); }
  const auto peaks = ReadPeaks();
  EXPECT_GE(peaks.phases.at("large"), peaks.phases.at("small") + 40_MiB);
  EXPECT_GE(peaks.overall, peaks.phases.at("large"));
  EXPECT_LT(ReadProcessMemory()->rss_peak, peaks.overall) << "the mark is that of the phase";
  EXPECT_EQ(peaks.phases.count("idle"), 1u);
}

TEST(Phases, OneThatGoesOnIsToldSoFar) {
  const Phase phase("goes on");
  EXPECT_GT(ReadPeaks().phases.at("goes on"), 0u);
}

TEST(Phases, ThoseOfTwoThreadsOverlap) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory would be measured";
  OwnPeak();
  std::optional<Phase> beside(std::in_place, "beside");
  std::optional<Phase> other(std::in_place, "other");
  Touch(48_MiB);
  other.reset();
  beside->Change("beside, later");
  beside.reset();
  const auto peaks = ReadPeaks();
  EXPECT_EQ(peaks.phases.at("beside"), peaks.phases.at("other"));
  EXPECT_GT(peaks.phases.at("beside"), peaks.phases.at("beside, later"));
}

}  // namespace
}  // namespace tributary::memory
