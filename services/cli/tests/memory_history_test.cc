#include "services/cli/report/memory_history.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

TEST(MemoryHistory, PutsReadingsOfOneTimeTogether) {
  MemoryHistory history;
  history.Add(100, "coordinator", 10, "start");
  history.Add(100, "trainer-0", 20, "start");
  history.Add(101, "coordinator", 11, "train");
  EXPECT_EQ(history.at(), (std::vector<double>{0, 1}));
  EXPECT_EQ(history.rss().at("coordinator"), (std::vector<double>{10, 11}));
  EXPECT_EQ(history.rss().at("trainer-0")[0], 20);
  EXPECT_TRUE(std::isnan(history.rss().at("trainer-0")[1])) << "it had ended";
  ASSERT_EQ(history.spans().size(), 2u);
  EXPECT_EQ(history.spans()[0].phase, "start");
  EXPECT_EQ(history.spans()[0].to, 1);
}

TEST(MemoryHistory, APauseBetweenTwoRunsTakesNoRoom) {
  MemoryHistory history;
  for (const double time : {100.0, 101.0, 90'000.0, 90'001.0, 50.0}) history.Add(time, "coordinator", 10, "train");
  EXPECT_EQ(history.at(), (std::vector<double>{0, 1, 2, 3, 4}));
  EXPECT_EQ(history.resumes(), (std::vector<double>{2, 4})) << "the second: a clock that was set back";
}

TEST(MemoryHistory, StaysSmallAndKeepsThePeak) {
  MemoryHistory history;
  for (int second = 0; second < 100'000; ++second) history.Add(1e9 + second, "blob-store", second == 77'777 ? 9e6 : 1e6, "train");
  EXPECT_LE(history.at().size(), MemoryHistory::kMaxPoints);
  EXPECT_GT(history.at().size(), MemoryHistory::kMaxPoints / 3);
  const auto& rss = history.rss().at("blob-store");
  ASSERT_EQ(rss.size(), history.at().size());
  const auto highest = std::max_element(rss.begin(), rss.end());
  EXPECT_EQ(*highest, 9e6);
  EXPECT_NEAR(history.at()[static_cast<std::size_t>(highest - rss.begin())], 77'777, 2 * history.resolution());
  EXPECT_NEAR(history.at().back(), 100'000, 2 * history.resolution());
  EXPECT_EQ(history.spans().size(), 1u);
}

TEST(MemoryHistory, TakesAsManyProcessesAsAreDrawnAndCountsTheRest) {
  MemoryHistory history;
  for (std::size_t i = 0; i < MemoryHistory::kMaxInstances + 3; ++i) history.Add(1, "trainer-" + std::to_string(i), 1, "train");
  EXPECT_EQ(history.rss().size(), MemoryHistory::kMaxInstances);
  EXPECT_EQ(history.unread, 3u);
}

TEST(ReadMemoryHistory, LeavesOutWhatIsNoRow) {
  const TempDirectory dir;
  std::ofstream(dir.File("memory.csv")) << "unix_seconds,instance,pid,rss_bytes,rss_peak_bytes,phase\n"
                                        << "100.5,coordinator,7,4096,8192,start\n"
                                        << "nonsense\n"
                                        << "101.5,coordinator,7,-1,8192,start\n"
                                        << "inf,coordinator,7,4096,8192,start\n"
                                        << std::string(100'000, 'x') << "\n"
                                        << "102.5,coordinator,7,5000,8192,train\n"
                                        << "103.5,coordi";
  const auto history = ReadMemoryHistory(dir.File("memory.csv"));
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->rss().at("coordinator"), (std::vector<double>{4096, 5000}));
  EXPECT_EQ(history->unread, 5u);
}

TEST(ReadMemoryHistory, NamesAFileThatIsNotThere) {
  const TempDirectory dir;
  const auto history = ReadMemoryHistory(dir.File("memory.csv"));
  ASSERT_FALSE(history.ok());
  EXPECT_NE(history.error().message().find("memory.csv"), std::string::npos);
}

}  // namespace
}  // namespace tributary::cli
