#include "services/cli/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() : supervisor_(memory_, [this](const std::string& line) { said_.push_back(line); }) {}

  ServiceProcess Shell(const std::string& instance, const std::string& script) const {
    ServiceProcess process{"test", instance, {}};
    process.spec.binary = "/bin/sh";
    process.spec.arguments = {"-c", script};
    process.spec.log_path = directory_.File(instance + ".log");
    return process;
  }

  // Polls until `done` or an error; fails after ten seconds.
  template <class Done>
  Status PollUntil(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (const Status status = supervisor_.Poll(); !status.ok()) return status;
      if (std::chrono::steady_clock::now() > deadline) return MakeError(Code::kDeadline, "ten seconds are over");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return Ok();
  }

  const TempDirectory directory_;
  std::vector<std::string> said_;
  MemoryLog memory_;
  Supervisor supervisor_;
};

TEST_F(SupervisorTest, WhatIsKilledIsRestartedAndTold) {
  ASSERT_TRUE(supervisor_.Start(Shell("sleeper", "sleep 100")).ok());
  const pid_t first = supervisor_.children()[0].pid;
  ASSERT_EQ(kill(first, SIGKILL), 0);
  const Status status = PollUntil([&] { return supervisor_.children()[0].restarts == 1; });
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_NE(supervisor_.children()[0].pid, first);
  ASSERT_GE(said_.size(), 2u);
  EXPECT_THAT(said_[0], HasSubstr("signal 9"));
  EXPECT_THAT(said_[1], HasSubstr("sleeper restarted"));
}

TEST_F(SupervisorTest, WhatFailsAtEachStartIsGivenUpWithTheEndOfItsLog) {
  ASSERT_TRUE(supervisor_.Start(Shell("broken", "echo the disk is on fire; exit 1")).ok());
  const Status status = PollUntil([] { return false; });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
  ASSERT_FALSE(said_.empty());
  EXPECT_EQ(said_.back(), "broken: the disk is on fire");
  EXPECT_THAT(status.error().message(), AllOf(HasSubstr("broken"), HasSubstr(directory_.File("broken.log")), HasSubstr("the same command")));
  EXPECT_THAT(status.error().message(), Not(HasSubstr("\n"))) << "it is the last line that people see";
}

TEST_F(SupervisorTest, AUsageErrorIsNotTriedAgain) {
  ASSERT_TRUE(supervisor_.Start(Shell("usage", "exit 2")).ok());
  const Status status = PollUntil([] { return false; });
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("exit code 2"));
  EXPECT_EQ(supervisor_.children()[0].restarts, 0);
}

TEST_F(SupervisorTest, StopAllEndsAlsoWhatIgnoresSigterm) {
  ASSERT_TRUE(supervisor_.Start(Shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done")).ok());
  const pid_t pid = supervisor_.children()[0].pid;
  const std::string log = supervisor_.children()[0].process.spec.log_path;
  ASSERT_TRUE(PollUntil([&] { return TailOfFile(log, 1) == "ready\n"; }).ok());
  supervisor_.StopAll(std::chrono::seconds(0));
  EXPECT_EQ(kill(pid, 0), -1) << "the process is gone";
}

TEST(Process, AProgramThatIsNotThereEndsWith127) {
  const TempDirectory directory;
  ProcessSpec spec;
  spec.binary = "/nowhere/program";
  spec.log_path = directory.File("process.log");
  const auto pid = Spawn(spec);
  ASSERT_TRUE(pid.ok());
  std::optional<Ending> ending;
  while (!ending) ending = PollEnding(*pid);
  EXPECT_FALSE(ending->signalled);
  EXPECT_EQ(ending->code, 127);
}

TEST(Process, TheEnvironmentIsSetOnTopOfOurs) {
  const TempDirectory directory;
  ProcessSpec spec;
  spec.binary = "/bin/sh";
  spec.arguments = {"-c", "echo $TRIBUTARY_SUPERVISOR_TEST; test -n \"$PATH\""};
  spec.environment = {{"TRIBUTARY_SUPERVISOR_TEST", "seven"}};
  spec.log_path = directory.File("environment.log");
  const auto pid = Spawn(spec);
  ASSERT_TRUE(pid.ok());
  std::optional<Ending> ending;
  while (!ending) ending = PollEnding(*pid);
  EXPECT_EQ(ending->code, 0);
  EXPECT_EQ(TailOfFile(spec.log_path, 1), "seven\n");
}

TEST(Process, TheUsersSettingsStayWithTheUsersProgram) {
  const TempDirectory directory;
  setenv("TRIBUTARY_CONFIG", "/nowhere/settings.ini", 1);
  setenv("TRIBUTARY_TRAIN_MODULE", "/opt/module.so", 1);
  ProcessSpec spec;
  spec.binary = "/bin/sh";
  spec.arguments = {"-c", "echo config=$TRIBUTARY_CONFIG module=$TRIBUTARY_TRAIN_MODULE"};
  spec.log_path = directory.File("settings.log");
  const auto pid = Spawn(spec);
  unsetenv("TRIBUTARY_CONFIG");
  unsetenv("TRIBUTARY_TRAIN_MODULE");
  ASSERT_TRUE(pid.ok());
  std::optional<Ending> ending;
  while (!ending) ending = PollEnding(*pid);
  EXPECT_EQ(TailOfFile(spec.log_path, 1), "config= module=/opt/module.so\n");
}

}  // namespace
}  // namespace tributary::cli
