#include "services/cli/work_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class WorkDirTest : public testing::Test {
 protected:
  const TempDirectory temp_;
  const std::string path_ = temp_.File("work");
};

TEST_F(WorkDirTest, TheSameJobGoesOn) {
  {
    const auto dir = WorkDir::Open(path_, "name: a\n", false);
    ASSERT_TRUE(dir.ok()) << dir.error().message();
    EXPECT_FALSE(dir->resumed());
  }
  const auto again = WorkDir::Open(path_, "name: a\n", false);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->resumed());
  EXPECT_FALSE(again->Completed());
}

TEST_F(WorkDirTest, ARunThatIsNotAdmittedHasNotBegun) {
  int asked = 0;
  const auto refuse = [&](const std::string& directory) -> Status {
    EXPECT_EQ(directory, path_);
    ++asked;
    return MakeError(Code::kResourceExhausted, "no room");
  };
  for (int i = 0; i < 2; ++i) {
    const auto dir = WorkDir::Open(path_, "name: a\n", false, refuse);
    ASSERT_FALSE(dir.ok());
    EXPECT_EQ(dir.error().message(), "no room");
    EXPECT_FALSE(std::filesystem::exists(path_ + "/job.yaml"));
  }
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(WorkDir::Open(path_, "name: b\n", false).ok()) << "another job may begin where none did";
  EXPECT_TRUE(WorkDir::Open(path_, "name: b\n", false, refuse).ok()) << "one that goes on is not asked";
}

TEST_F(WorkDirTest, APlaceThatCannotBeADirectoryNamesTheFlag) {
  std::ofstream(temp_.File("file")) << "text";
  for (const std::string& path : {temp_.File("file"), temp_.File("file") + "/below"}) {
    const auto dir = WorkDir::Open(path, "name: a\n", false);
    ASSERT_FALSE(dir.ok());
    EXPECT_THAT(dir.error().message(), AllOf(HasSubstr(path), HasSubstr("choose another --work-dir")));
  }
}

TEST_F(WorkDirTest, AResumedRunMayHaveAnotherNumberOfRoundsAndNothingElse) {
  ASSERT_TRUE(WorkDir::Open(path_, "name: a\n", false).ok());
  std::ofstream(path_ + "/summary.json") << R"({"status": "completed"})";
  std::filesystem::create_directories(path_ + "/events");
  const std::string more = "name: a\nrounds: 3\n";
  EXPECT_EQ(WorkDir::Open(path_, more, false).error().code(), Code::kConflict);
  EXPECT_EQ(WorkDir::Open(path_, "name: b\nrounds: 3\n", false, nullptr, true).error().code(), Code::kConflict);
  {
    const auto dir = WorkDir::Open(path_, more, false, nullptr, true);
    ASSERT_TRUE(dir.ok()) << dir.error().message();
    EXPECT_EQ(dir->job_text(), "name: a\n");
    EXPECT_TRUE(dir->Completed());
    ASSERT_TRUE(dir->GoOn(more, false).ok());
    EXPECT_FALSE(dir->Completed());
    EXPECT_TRUE(std::filesystem::exists(path_ + "/events"));
    ASSERT_TRUE(dir->GoOn(more, true).ok());
    EXPECT_FALSE(std::filesystem::exists(path_ + "/events"));
  }
  EXPECT_TRUE(WorkDir::Open(path_, more, false).ok()) << "the same command goes on from here";
}

TEST_F(WorkDirTest, AnotherJobIsRefusedAndNothingIsTouched) {
  ASSERT_TRUE(WorkDir::Open(path_, "name: a\n", false).ok());
  std::ofstream(path_ + "/summary.json") << "{}";
  const auto other = WorkDir::Open(path_, "name: b\n", false);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kConflict);
  EXPECT_THAT(other.error().message(), HasSubstr("--restart"));
  EXPECT_TRUE(std::filesystem::exists(path_ + "/summary.json"));
}

TEST_F(WorkDirTest, RestartRemovesOnlyWhatARunLeaves) {
  ASSERT_TRUE(WorkDir::Open(path_, "name: a\n", false).ok());
  std::ofstream(path_ + "/summary.json") << R"({"status":"completed"})";
  std::ofstream(path_ + "/notes.txt") << "mine";
  for (const char* model : {"/model-best", "/model-base", "/model-base.tmp"}) std::filesystem::create_directories(path_ + model);
  const auto fresh = WorkDir::Open(path_, "name: b\n", true);
  ASSERT_TRUE(fresh.ok());
  EXPECT_FALSE(fresh->resumed());
  EXPECT_FALSE(fresh->Completed());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/notes.txt"));
  for (const char* model : {"/model-best", "/model-base", "/model-base.tmp"}) EXPECT_FALSE(std::filesystem::exists(path_ + model)) << "another job's" << model;
}

TEST_F(WorkDirTest, RestartTouchesNothingWhereNoRunBegan) {
  std::filesystem::create_directories(path_ + "/model");
  std::ofstream(path_ + "/model/weights") << "mine";
  const auto dir = WorkDir::Open(path_, "name: a\n", true);
  ASSERT_TRUE(dir.ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/model/weights"));
}

TEST_F(WorkDirTest, TheLockKeepsASecondRunOut) {
  const auto first = WorkDir::Open(path_, "name: a\n", false);
  ASSERT_TRUE(first.ok());
  const auto second = WorkDir::Open(path_, "name: a\n", false);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
}

TEST_F(WorkDirTest, SocketsOfADeepDirectoryLieElsewhere) {
  const std::string deep = path_ + "/" + std::string(90, 'd');
  std::string sockets;
  {
    const auto dir = WorkDir::Open(deep, "name: a\n", false);
    ASSERT_TRUE(dir.ok());
    sockets = dir->Endpoint("x.sock");
    EXPECT_LT(sockets.size(), 100u);
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(sockets.substr(6)).parent_path()));
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(sockets.substr(6)).parent_path())) << "left behind";
}

TEST_F(WorkDirTest, ATornSummaryIsNotACompletedRun) {
  const auto dir = WorkDir::Open(path_, "name: a\n", false);
  ASSERT_TRUE(dir.ok());
  std::ofstream(path_ + "/summary.json") << R"({"status":"comp)";
  EXPECT_FALSE(dir->Completed());
}

}  // namespace
}  // namespace tributary::cli
