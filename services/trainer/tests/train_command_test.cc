#include "services/trainer/train_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stop_token>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrainCommand : public testing::Test {
 protected:
  Status Train(std::uint64_t lines = 400, const std::vector<job::Override>& overrides = {}, bool resume = false, std::uint32_t from_round = 0) {
    std::ofstream text(temp_.File("text"));
    for (std::uint64_t i = 0; i < lines; ++i) text << "The line number " << i << " of a text.\n\n";
    text.close();
    const auto job = job::ParseJob(
        "name: alone\nrounds: 2\ntasks: [train, validate]\nmodel: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16}\n"
        "data: {name: text, format: text, validation_fraction: 0.5}\ntrain: {mode: step, steps: 2, batch_size: 2, max_length: 16}\n", "job.yaml",
        overrides);
    EXPECT_TRUE(job.ok());
    fs::create_directories(temp_.File("work"));
    TrainCommandSpec spec{*job, temp_.File("text"), temp_.File("work"), false, resume, from_round};
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

class ResumedTraining : public TrainCommand {
 protected:
  // Six rounds, of which every second is kept, two of them; Adam's moments stay.
  Status Go(bool resume = false, std::uint32_t from_round = 0, const char* rounds = "6") {
    return Train(400, {{"rounds", rounds}, {"checkpoint", "{every: 2, keep: 2}"}, {"train.optimizer_state", "kept"}}, resume, from_round);
  }
  std::string Model(const char* directory) {
    std::ifstream in(temp_.File(std::string("work/") + directory + "/model.safetensors"), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  Json Summary() { return *ReadJsonFile(temp_.File("work/summary.json")); }
};

TEST_F(ResumedTraining, FromAnyKeptRoundToTheSameModel) {
  ASSERT_TRUE(Go().ok());
  EXPECT_FALSE(fs::exists(temp_.File("work/model-2"))) << "two are kept: rounds 4 and 6, which is model/";
  const std::string expected = Model("model"), fourth = Model("model-4");
  const Json rounds = Summary()["rounds"];
  ASSERT_EQ(rounds.size(), 6u);
  const int trainings = module_.calls.trainings;
  const Status resumed = Go(true, 4);
  ASSERT_TRUE(resumed.ok()) << resumed.error().message();
  EXPECT_EQ(module_.calls.trainings, trainings + 2);
  EXPECT_EQ(module_.calls.optimizer_steps, 10u) << "of five rounds before the last";
  EXPECT_EQ(Model("model"), expected);
  EXPECT_EQ(Model("model-4"), fourth);
  const Json summary = Summary();
  EXPECT_EQ(summary["from_round"], 4);
  ASSERT_EQ(summary["rounds"].size(), 6u);
  EXPECT_EQ(summary["rounds"][0], rounds[0]);
  EXPECT_EQ(summary["rounds"][5]["metrics"], rounds[5]["metrics"]);
}

TEST_F(ResumedTraining, OneThatWasStoppedGoesOnBehindItsNewestModel) {
  ASSERT_TRUE(Go().ok());
  const std::string expected = Model("model");
  fs::remove_all(temp_.File("work"));
  int trained = module_.calls.trainings;
  module_.calls.on_evaluate = [&] {
    if (module_.calls.trainings == trained + 5) raise(SIGTERM);
  };
  ExpectStopped(Go(), SIGTERM);
  module_.calls.on_evaluate = nullptr;
  trained = module_.calls.trainings;
  ASSERT_TRUE(Go(true).ok());
  EXPECT_EQ(module_.calls.trainings, trained + 2) << "behind round 4";
  EXPECT_EQ(Model("model"), expected);
}

TEST_F(ResumedTraining, ACompletedOneGoesOnToMoreRoundsOnly) {
  ASSERT_TRUE(Go(false, 0, "4").ok());
  const Status nothing = Go(true, 0, "4");
  EXPECT_EQ(nothing.error().code(), Code::kConflict);
  EXPECT_THAT(nothing.error().message(), HasSubstr("--set rounds=N"));
  ASSERT_TRUE(Go(true).ok());
  EXPECT_EQ(module_.calls.optimizer_steps, 10u);
}

TEST_F(ResumedTraining, WhatAnEarlierTrainingLeftIsNotGoneOnFrom) {
  ASSERT_TRUE(Go().ok());
  ASSERT_TRUE(Train(400, {{"rounds", "5"}, {"checkpoint", "{every: 3}"}}).ok());
  ASSERT_TRUE(fs::exists(temp_.File("work/model-4"))) << "of the first one";
  EXPECT_THAT(Train(400, {{"rounds", "5"}, {"checkpoint", "{every: 3}"}}, true, 4).error().message(), HasSubstr("no model of round 4, but those of 3, 5"));
}

TEST_F(ResumedTraining, RoundsThatAreNotThereAreNamed) {
  EXPECT_THAT(Go(true).error().message(), HasSubstr("no finished training lies in " + temp_.File("work")));
  ASSERT_TRUE(Go().ok());
  const Status gone = Go(true, 3);
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  EXPECT_THAT(gone.error().message(), HasSubstr("no model of round 3, but those of 4, 6"));
  EXPECT_TRUE(fs::exists(temp_.File("work/summary.json"))) << "nothing was touched";
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
