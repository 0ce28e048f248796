#include "services/trainer/train_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stop_token>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrainCommand : public testing::Test {
 protected:
  Status Train(std::uint64_t lines = 400) {
    std::ofstream text(temp_.File("text"));
    for (std::uint64_t i = 0; i < lines; ++i) text << "The line number " << i << " of a text.\n\n";
    text.close();
    const auto job = job::ParseJob(
        "name: alone\nrounds: 2\ntasks: [train, validate]\nmodel: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16}\n"
        "data: {name: text, format: text, validation_fraction: 0.5}\ntrain: {mode: step, steps: 2, batch_size: 2, max_length: 16}\n", "job.yaml");
    EXPECT_TRUE(job.ok());
    fs::create_directories(temp_.File("work"));
    TrainCommandSpec spec{*job, temp_.File("text"), temp_.File("work"), false};
    return TrainAlone(spec, [this] {
      if (at_load_ != 0) raise(at_load_);
      if (!load_.ok()) return Result<train::Module*>(load_.error());
      return Result<train::Module*>(&module_);
    });
  }
  void ExpectStopped(const Status& status, int signal) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), Code::kCancelled);
    EXPECT_EQ(status.error().message(), fmt::format("stopped by signal {}", signal));
    EXPECT_FALSE(fs::exists(temp_.File("work/summary.json")));
  }

  const TempDirectory temp_;
  FakeModule module_;
  int at_load_ = 0;
  Status load_;
};

TEST_F(TrainCommand, WithoutASignalItEnds) {
  const Status status = Train();
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_EQ(module_.calls.evaluations, 2);
  EXPECT_TRUE(fs::exists(temp_.File("work/summary.json")));
}

TEST_F(TrainCommand, ASignalEndsAValidation) {
  int batches = 0;
  module_.calls.on_evaluate = [&] {
    if (++batches == 3) raise(SIGTERM);
  };
  ExpectStopped(Train(), SIGTERM);
  EXPECT_EQ(batches, 3);
  EXPECT_EQ(module_.calls.trainings, 1);
}

TEST_F(TrainCommand, ASignalEndsTheTokenizing) {
  std::jthread killer([&](std::stop_token ended) {
    std::error_code ec;
    const fs::path tokens = temp_.path() / "work/tokens";
    while (!ended.stop_requested() && (!fs::exists(tokens, ec) || fs::is_empty(tokens, ec))) std::this_thread::yield();
    kill(getpid(), SIGTERM);
  });
  ExpectStopped(Train(1'500'000), SIGTERM);
  EXPECT_EQ(module_.calls.trainings, 0);
}

TEST_F(TrainCommand, ASignalBetweenPhasesIsNotForgotten) {
  at_load_ = SIGINT;
  ExpectStopped(Train(), SIGINT);
  EXPECT_EQ(module_.calls.trainings, 0);
  // The next training has nothing to do with it.
  at_load_ = 0;
  EXPECT_TRUE(Train().ok());
}

TEST_F(TrainCommand, AnEarlierSummarySaysNothingOfATrainingThatDidNotEnd) {
  ASSERT_TRUE(Train().ok());
  ASSERT_TRUE(fs::exists(temp_.File("work/summary.json")));
  at_load_ = SIGTERM;
  ExpectStopped(Train(), SIGTERM);
  at_load_ = 0;
  ASSERT_TRUE(Train().ok());
  load_ = Error(Code::kIo, "no module");
  EXPECT_FALSE(Train().ok());
  EXPECT_FALSE(fs::exists(temp_.File("work/summary.json")));
}

TEST_F(TrainCommand, WhatWasCancelledWithoutASignalIsNoSuccess) {
  load_ = Error(Code::kCancelled, "cancelled by nobody");
  const Status status = Train();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kCancelled);
  EXPECT_EQ(status.error().message(), "cancelled by nobody");
}

TEST_F(TrainCommand, HandlersOfBeforeAreBack) {
  ASSERT_TRUE(Train().ok());
  struct sigaction now {};
  sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace tributary::trainer
