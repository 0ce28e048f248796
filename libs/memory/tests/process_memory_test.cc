#include "tributary/memory/process_memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "libs/base/testing/sanitized.h"
#include "tributary/base/units.h"

namespace tributary::memory {
namespace {

TEST(ProcessMemory, SeesWhatThisProcessTouches) {
  const auto before = ReadProcessMemory();
  ASSERT_TRUE(before.ok());
  EXPECT_GT(before->rss, 0u);
  EXPECT_GE(before->rss_peak, before->rss);
  std::vector<char> block(32_MiB, 1);
  const auto after = ReadProcessMemory();
  EXPECT_GE(after->rss, before->rss + 30_MiB);
  EXPECT_EQ(block[1], 1);
}

TEST(ProcessMemory, ThePeakStaysUntilItIsReset) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory would be measured";
  { const std::vector<char> block(32_MiB, 1); }
  const auto high = ReadProcessMemory();
  EXPECT_GE(high->rss_peak, high->rss + 20_MiB);
  if (!ResetPeak().ok()) GTEST_SKIP() << "clear_refs may not be written here";
  EXPECT_LT(ReadProcessMemory()->rss_peak, high->rss_peak - 20_MiB);
}

TEST(ProcessMemory, AProcessThatIsGoneIsNotFound) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(ReadProcessMemory(child).error().code(), Code::kNotFound);  // a zombie
  waitpid(child, nullptr, 0);
  EXPECT_EQ(ReadProcessMemory(child).error().code(), Code::kNotFound);
}

TEST(ProcessMemory, CpuSecondsGrow) {
  const auto before = ReadCpuSeconds();
  ASSERT_TRUE(before.ok());
  volatile std::uint64_t sum = 0;
  while (*ReadCpuSeconds() < *before + 0.02) {
    for (int i = 0; i < 100'000; ++i) sum = sum + static_cast<std::uint64_t>(i);
  }
  EXPECT_GT(*ReadCpuSeconds(), *before);
}

TEST(CgroupMemory, IsPlausibleWhereThereIsOne) {
  const auto cgroup = ReadCgroupMemory();
  if (!cgroup) GTEST_SKIP() << "no memory cgroup here";
  EXPECT_TRUE(cgroup->version == 1 || cgroup->version == 2);
  if (cgroup->peak) {
    EXPECT_GE(*cgroup->peak, cgroup->current / 2);
  }
  if (cgroup->limit) {
    EXPECT_LT(*cgroup->limit, std::uint64_t{1} << 62) << "no limit is absent, not a huge one";
  }
}

TEST(CheckFits, RefusesABudgetThatTheContainerWouldKill) {
  EXPECT_TRUE(CheckFits(std::uint64_t{1} << 40, std::nullopt).ok());
  CgroupMemory container{2, 0, {}, {}, {}};
  EXPECT_TRUE(CheckFits(std::uint64_t{1} << 40, container).ok());
  container.limit = 128u << 20;
  EXPECT_TRUE(CheckFits(64u << 20, container).ok());
  EXPECT_TRUE(CheckFits((128u << 20) - kServiceBase, container).ok());
  const Status refused = CheckFits(128u << 20, container);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(refused.error().message(),
            "--memory-budget 128.0 MiB and 24.0 MiB for the service itself do not fit into the 128.0 MiB that this container may use: give it 152.0 MiB, or a smaller budget");
}

}  // namespace
}  // namespace tributary::memory
