#include "tributary/tfevents/event_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "libs/base/testing/temp_directory.h"
#include "tributary/tfevents/event.h"
#include "tributary/tfevents/records.h"

namespace tributary::tfevents {
namespace {

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(EventLog, BeginsWithTheVersionAndHasAnEventForEachStep) {
  const TempDirectory dir;
  auto log = EventLog::Open(dir.File("events"));
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(log->Append(1, 10.5, {{"loss/train", 2.5}, {"loss/none", std::nan("")}}).ok());
  ASSERT_TRUE(log->Append(2, 11.5, {{"loss/train", 1.5}}).ok());
  const std::string text = Read(log->path());
  const Records found = ReadRecords(text);
  ASSERT_EQ(found.records.size(), 3u);
  EXPECT_EQ(found.whole, text.size());
  EXPECT_EQ(DecodeEvent(found.records[0])->file_version, "brain.Event:2");
  EXPECT_EQ(*DecodeEvent(found.records[1]), (Event{10.5, 1, "", {{"loss/train", 2.5F}}}));
  EXPECT_EQ(DecodeEvent(found.records[2])->step, 2);
}

TEST(EventLog, GoesOnAfterAKillAndCutsWhatWasTorn) {
  const TempDirectory dir;
  std::string path;
  {
    auto log = EventLog::Open(dir.path());
    ASSERT_TRUE(log.ok());
    path = log->path();
    ASSERT_TRUE(log->Append(7, 1, {{"a", 1}}).ok());
  }
  const auto whole = std::filesystem::file_size(path);
  std::ofstream(path, std::ios::app | std::ios::binary) << MakeRecord("torn").substr(0, 9);
  auto log = EventLog::Open(dir.path());
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->path(), path);
  EXPECT_EQ(log->LastStep(), 7);
  EXPECT_EQ(std::filesystem::file_size(path), whole);
  ASSERT_TRUE(log->Append(8, 2, {{"a", 2}}).ok());
  EXPECT_EQ(ReadRecords(Read(path)).records.size(), 3u);
}

TEST(EventLog, ADirectoryThatCannotBeMadeIsNamed) {
  const TempDirectory dir;
  std::ofstream(dir.File("file")) << "x";
  const auto log = EventLog::Open(dir.File("file/events"));
  ASSERT_FALSE(log.ok());
  EXPECT_NE(log.error().message().find("file/events"), std::string::npos);
}

}  // namespace
}  // namespace tributary::tfevents
