#include "services/cli/invocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>

namespace tributary::cli {
namespace {

// What /bin/sh makes of a word.
std::string Shell(const std::string& word) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("printf %s " + word).c_str(), "r"), pclose);
  std::array<char, 256> buffer{};
  return {buffer.data(), fread(buffer.data(), 1, buffer.size(), pipe.get())};
}

TEST(Invocation, PlainPathsStandAsTheyAre) {
  EXPECT_EQ(ShellWord("build/bin/tributary"), "build/bin/tributary");
  EXPECT_EQ(ShellWord("/srv/run_1.2/a-b"), "/srv/run_1.2/a-b");
}

TEST(Invocation, WhateverTheWordTheShellGivesItBack) {
  for (const char* word : {"/my runs/a", "it's", "a$HOME`ls`\\x", "~/run", "*", "a;b&c", "\"", "new\nline", "gr\xc3\xbc\xc3\x9f"}) {
    EXPECT_EQ(Shell(ShellWord(word)), word);
  }
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(Invocation, TheCommandIsTheOneThatWasTyped) {
  EXPECT_THAT(InvokedAs(), testing::HasSubstr("cli_test"));
  EXPECT_EQ(TryCommand("tributary", "/srv/run"), "tributary generate /srv/run/model --prompt \"The \"");
  EXPECT_EQ(TryCommand("./build dir/tributary", "/my work"), "'./build dir/tributary' generate '/my work/model' --prompt \"The \"");
  EXPECT_EQ(ReportWords("./build dir/tributary", "/my work"), "'./build dir/tributary' report '/my work' --html '/my work/report.html'");
}

TEST(Invocation, AFailedRunHintsOnlyAtWhatHelps) {
  EXPECT_EQ(EndText("failed", "no quorum", true), "no quorum; '--resume' lets it go on behind its newest round, '--restart' runs the job anew");
  EXPECT_THAT(EndText("failed", "no such layer", false), testing::AllOf(testing::HasSubstr("no such layer; "), testing::HasSubstr("'--restart'"),
                                                                         testing::Not(testing::HasSubstr("--resume"))));
  EXPECT_THAT(EndText("stopped", "stopped", false), testing::AllOf(testing::HasSubstr("'--resume'"), testing::Not(testing::HasSubstr("newest round"))));
}

}  // namespace
}  // namespace tributary::cli
