#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "services/blob-store/tests/harness.h"
#include "services/cli/commands.h"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ObjectCommands : public ::testing::Test {
 protected:
  struct Said {
    int exit_code = -1;
    std::string out, err;
  };
  Said Call(int (*command)(int, char**), std::vector<std::string> words) {
    words.insert(words.begin(), "tributary");
    words.insert(words.end(), {"--blob-store", server_.endpoint(), "--memory-budget", "8MiB"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Said said;
    said.exit_code = command(static_cast<int>(words.size()), argv.data());
    said.out = ::testing::internal::GetCapturedStdout();
    said.err = ::testing::internal::GetCapturedStderr();
    return said;
  }
  std::string Path(const std::string& name) const { return (temp_.path() / name).string(); }
  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  TempDirectory temp_;
  service::testing::Server server_;
};

TEST_F(ObjectCommands, WhatIsPutIsGot) {
  fs::create_directories(Path("tree/sub"));
  const std::string large(3 << 20, 'x');
  std::ofstream(Path("tree/sub/large")) << large;
  std::ofstream(Path("tree/small")) << "small";
  const Said put = Call(PutCommand, {"shared/tree", Path("tree")});
  EXPECT_EQ(put.exit_code, 0) << put.err;
  ASSERT_EQ(put.out.size(), 64 + std::string(" shared/tree\n").size()) << put.out;
  EXPECT_THAT(put.err, HasSubstr("3.0 MiB moved"));
  const Said got = Call(GetCommand, {"shared/tree", Path("copy"), "--digest", put.out.substr(0, 64)});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, put.out);
  EXPECT_EQ(Read(Path("copy/sub/large")), large);
  EXPECT_EQ(Read(Path("copy/small")), "small");
}

TEST_F(ObjectCommands, MistakesAreOneLineWithTheirExitCode) {
  std::ofstream(Path("f")) << "hello";
  EXPECT_EQ(Call(PutCommand, {"shared/f", Path("f")}).exit_code, 0);

  const Said job = Call(PutCommand, {"jobs/a/models/1", Path("f")});
  EXPECT_EQ(job.exit_code, 2);
  EXPECT_THAT(job.err, HasSubstr("names under 'jobs/' belong to jobs"));
  const Said nothing = Call(PutCommand, {"shared/g", Path("nothing")});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_EQ(nothing.err, "tributary put: there is nothing at " + Path("nothing") + "\n");
  std::ofstream(Path("f")) << "other";
  EXPECT_THAT(Call(PutCommand, {"shared/f", Path("f")}).err, HasSubstr("choose another name or replace it"));

  const Said absent = Call(GetCommand, {"shared/none", Path("x")});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_THAT(absent.err, HasSubstr("there is no object 'shared/none'"));
  const Said there = Call(GetCommand, {"shared/f", Path("f")});
  EXPECT_EQ(there.exit_code, 1);
  EXPECT_THAT(there.err, HasSubstr("--force"));
  const Said digest = Call(GetCommand, {"shared/f", Path("y"), "--digest", std::string(64, '0')});
  EXPECT_EQ(digest.exit_code, 1);
  EXPECT_FALSE(fs::exists(Path("y")));
  EXPECT_EQ(Call(GetCommand, {"shared/f"}).exit_code, 2);
}

}  // namespace
}  // namespace tributary::cli
