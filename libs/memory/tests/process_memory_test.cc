#include "tributary/memory/process_memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "libs/base/testing/sanitized.h"
#include "libs/base/testing/temp_directory.h"
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

// A machine's files, below a directory of the test.
class CgroupFiles : public testing::Test {
 protected:
  void Lay(const std::string& path, const std::string& text) { root_.Write(path, text); }
  void LayVersion2(const std::string& group) {
    Lay(group + "/memory.current", "1000\n");
    Lay(group + "/memory.peak", "2000\n");
    Lay(group + "/memory.max", "3000\n");
    Lay(group + "/memory.events", "low 0\nhigh 0\nmax 7\noom 5\noom_kill 4\n");
  }
  void LayVersion1(const std::string& group, const std::string& limit = "3001\n") {
    Lay(group + "/memory.usage_in_bytes", "1001\n");
    Lay(group + "/memory.max_usage_in_bytes", "2001\n");
    Lay(group + "/memory.limit_in_bytes", limit);
    Lay(group + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
  }
  void Expect(int version) {
    const auto cgroup = ReadCgroupMemory(root_.path().string());
    ASSERT_TRUE(cgroup.has_value());
    const std::uint64_t more = version == 1 ? 1 : 0;
    EXPECT_EQ(cgroup->version, version);
    EXPECT_EQ(cgroup->current, 1000 + more);
    EXPECT_EQ(cgroup->peak, 2000 + more);
    EXPECT_EQ(cgroup->limit, 3000 + more);
    EXPECT_EQ(cgroup->oom_kills, version == 1 ? 6u : 4u);
  }

  const TempDirectory root_;
};

TEST_F(CgroupFiles, OfVersion2AreThoseOfThePathThatTheKernelTells) {
  Lay("proc/self/cgroup", "0::/system.slice/one\n");
  LayVersion2("sys/fs/cgroup/system.slice/one");
  Lay("sys/fs/cgroup/system.slice/memory.current", "9\n");
  Expect(2);
  Lay("sys/fs/cgroup/system.slice/one/memory.max", "max\n");
  EXPECT_EQ(ReadCgroupMemory(root_.path().string())->limit, std::nullopt);
}

TEST_F(CgroupFiles, OfVersion2AreThoseOfTheMountInAContainer) {
  // With a cgroup namespace of its own, and with the host's: the path is another machine's, as it were.
  for (const char* path : {"0::/\n", "0::/system.slice/docker-5f1c.scope\n"}) {
    Lay("proc/self/cgroup", path);
    LayVersion2("sys/fs/cgroup");
    Expect(2);
  }
}

TEST_F(CgroupFiles, OfVersion1AreThoseOfThePathOrInAContainerOfTheMount) {
  // The line of version 2 is there beside it on machines that mount both; it has no memory there.
  Lay("proc/self/cgroup", "12:cpu,cpuacct:/other\n5:memory:/docker/5f1c\n0::/system.slice/docker.service\n");
  LayVersion1("sys/fs/cgroup/memory");
  Expect(1);
  LayVersion1("sys/fs/cgroup/memory/docker/5f1c", "9223372036854771712\n");
  const auto cgroup = ReadCgroupMemory(root_.path().string());
  ASSERT_TRUE(cgroup.has_value());
  EXPECT_EQ(cgroup->limit, std::nullopt) << "its own group's, and no limit is none";
}

TEST_F(CgroupFiles, OfVersion2ComeFirst) {
  Lay("proc/self/cgroup", "5:memory:/a\n0::/a\n");
  LayVersion1("sys/fs/cgroup/memory/a");
  LayVersion2("sys/fs/cgroup/a");
  Expect(2);
}

TEST_F(CgroupFiles, MayBeMissing) {
  EXPECT_EQ(ReadCgroupMemory(root_.path().string()).has_value(), false) << "no /proc";
  Lay("proc/self/cgroup", "0::/\n3:memory:/a\n");
  EXPECT_EQ(ReadCgroupMemory(root_.path().string()).has_value(), false) << "nothing is mounted";
  Lay("sys/fs/cgroup/memory.current", "no number\n");
  EXPECT_EQ(ReadCgroupMemory(root_.path().string()).has_value(), false);
  Lay("proc/self/cgroup", "");
  LayVersion2("sys/fs/cgroup");
  EXPECT_EQ(ReadCgroupMemory(root_.path().string()).has_value(), false) << "this process is in none";
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
            "--memory-budget 128.0 MiB and 32.0 MiB for the service itself do not fit into the 128.0 MiB that this container may use: give it 160.0 MiB, or a smaller budget");
}

}  // namespace
}  // namespace tributary::memory
