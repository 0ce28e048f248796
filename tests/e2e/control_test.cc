// A federation that is steered from outside: submit, watch, stop, logs, resume, report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Control : public testing::Test {
 protected:
  Control() {
    coordinator_ = "ipc://" + dir_.File("c.sock");
    const std::string store = "ipc://" + dir_.File("s.sock");
    Start({"tributary-blob-store", "--listen", store, "--data-dir", dir_.File("blobs")});
    Start({"tributary-coordinator", "--listen", coordinator_, "--state-dir", dir_.File("state"), "--blob-store", store});
    aggregator_ = StartAggregator("aggregator-0");
    for (int i = 0; i < 2; ++i) trainers_[i] = StartTrainer(i);
  }
  Program* Start(std::vector<std::string> words) {
    words[0] = Binary(words[0]);
    words.insert(words.end(), {"--metrics-address", "off"});
    return services_.emplace_back(std::make_unique<Program>(std::move(words), dir_)).get();
  }
  Program* StartAggregator(const std::string& instance) { return Start({"tributary-aggregator", "--coordinator", coordinator_, "--instance", instance}); }
  Program* StartTrainer(int number) {
    const std::string name = fmt::format("t{}", number);
    return Start({"tributary-trainer", "--coordinator", coordinator_, "--site", "site", "--instance", name, "--ordinal", std::to_string(number), "--work-dir", dir_.File(name)});
  }
  std::vector<std::string> Words(std::vector<std::string> words) const {
    words.insert(words.begin(), Binary("tributary"));
    words.insert(words.end(), {"--coordinator", coordinator_});
    return words;
  }
  Outcome Tributary(std::vector<std::string> words) { return RunProgram(Words(std::move(words)), dir_, seconds(120)); }
  void Submit(const std::string& rounds) {
    const Outcome outcome = Tributary({"submit", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB", "--set", "rounds=" + rounds});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  template <class Condition>
  static bool Until(Condition condition, int milliseconds = 60'000) {
    for (int i = 0; i < milliseconds; ++i) {
      if (condition()) return true;
      usleep(1'000);
    }
    return false;
  }
  static bool Says(const Program* program, const std::string& text) { return program->ErrorSoFar().find(text) != std::string::npos; }
  // Waits until `status` says this.
  void Await(const std::string& what) {
    for (int i = 0; i < 3000; ++i) {
      if (Tributary({"status", "synthetic"}).out.find(what) != std::string::npos) return;
      usleep(20'000);
    }
    FAIL() << "status never says '" << what << "'";
  }

  const TempDirectory dir_;
  std::string coordinator_;
  std::vector<std::unique_ptr<Program>> services_;
  Program* aggregator_ = nullptr;
  Program* trainers_[2] = {};
};

TEST_F(Control, AStoppedJobTellsWhatHappenedAndGoesOn) {
  Submit("2000");
  Await("round 2: ");
  ASSERT_EQ(Tributary({"stop", "synthetic"}).exit_code, 0);
  const Outcome stopped = Tributary({"status", "--watch"});
  EXPECT_EQ(stopped.exit_code, 3);
  EXPECT_THAT(stopped.LastErrorLine(), HasSubstr("synthetic is stopped: stopped on request"));
  const Outcome logs = Tributary({"logs", "synthetic"});
  EXPECT_EQ(logs.exit_code, 0) << logs.err;
  EXPECT_THAT(logs.out, AllOf(HasSubstr("is queued: 2000 rounds"), HasSubstr("seat site/0 is taken by site/t0"), HasSubstr("round 1: the model is sealed, 2 updates"),
                              HasSubstr("is stopped: stopped on request")));

  const Outcome other = Tributary({"resume", "synthetic", "--set", "train.steps=3"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.LastErrorLine(), HasSubstr("rounds alone"));
  int done = 0;
  const std::string status = Tributary({"status", "synthetic"}).out;
  ASSERT_EQ(std::sscanf(status.c_str() + status.find("round:"), "round: %d of", &done), 1) << status;
  const Outcome resumed = Tributary({"resume", "synthetic", "--set", "rounds=" + std::to_string(done + 5)});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr(std::to_string(done) + " of " + std::to_string(done + 5) + " rounds are done"));
  const Outcome watched = Tributary({"status", "synthetic", "--watch"});
  EXPECT_EQ(watched.exit_code, 0) << watched.err;
  EXPECT_THAT(watched.out, AllOf(HasSubstr("done in"), HasSubstr("synthetic is completed after")));
  const Outcome followed = Tributary({"logs", "--follow"});
  EXPECT_EQ(followed.exit_code, 0);
  EXPECT_THAT(followed.out, AllOf(HasSubstr("is resumed behind round"), HasSubstr("goes on"), HasSubstr("is completed")));
  const Outcome nothing = Tributary({"resume", "synthetic"});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_THAT(nothing.LastErrorLine(), HasSubstr("--set rounds=N"));

  const Outcome report = Tributary({"report", "synthetic", "--html", dir_.File("page.html")});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(ReadFile(dir_.File("page.html")), AllOf(HasSubstr("✓ completed"), HasSubstr("id=\"rounds\""), HasSubstr("not told by a coordinator")));
}

TEST_F(Control, SubmitWaitsForTheEndAndItsExitCodeTellsWhichOneItWas) {
  const auto submit = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> words = {"submit", SourceFile("deploy/jobs/synthetic.yaml"), "--wait", "--set", "model.bytes=4MiB", "--set", "name=" + name};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Program>(Words(std::move(words)), dir_);
  };
  const Outcome completed = submit("short", {"--set", "rounds=2"})->Wait(seconds(120));
  EXPECT_EQ(completed.exit_code, 0) << completed.err;
  EXPECT_THAT(completed.out, AllOf(testing::StartsWith("short\n"), HasSubstr("round"), HasSubstr("short is completed after")));
  const auto long_one = submit("long", {"--set", "rounds=2000"});
  while (long_one->Running() && long_one->OutputSoFar().find("long\n") == std::string::npos) usleep(10'000);
  ASSERT_EQ(Tributary({"stop", "long"}).exit_code, 0);
  const Outcome stopped = long_one->Wait(seconds(120));
  EXPECT_EQ(stopped.exit_code, 3);
  EXPECT_THAT(stopped.LastErrorLine(), HasSubstr("tributary submit: long is stopped: stopped on request"));
  const Outcome failed = submit("failing", {"--set", "participants.min=2", "--set", "transfer.encoding=fp16", "--set", "transfer.delta=true", "--set", "strategy.max_norm=1e-30", "--set", "rounds=2"})->Wait(seconds(120));
  EXPECT_EQ(failed.exit_code, 1) << failed.out << failed.err;
  EXPECT_THAT(failed.LastErrorLine(), HasSubstr("tributary submit: failing is failed: "));
}

TEST_F(Control, AJobGoesBackToARoundThatIsKept) {
  ASSERT_EQ(Tributary({"submit", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB", "--set", "rounds=6", "--set", "checkpoint.every=2", "--set",
                       "checkpoint.keep=2"}).exit_code, 0);
  ASSERT_EQ(Tributary({"status", "--watch"}).exit_code, 0);
  const auto model = [&] {
    const std::string status = Tributary({"status", "synthetic"}).out;
    return status.substr(status.find("model:"), status.find('\n', status.find("model:")) - status.find("model:"));
  };
  const std::string before = model();
  EXPECT_THAT(before, HasSubstr("jobs/synthetic/models/6"));
  const auto resume = [&](const char* round) { return Tributary({"resume", "synthetic", "--from-round", round, "--blob-store", "ipc://" + dir_.File("s.sock")}); };
  const Outcome gone = resume("3");
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_THAT(gone.LastErrorLine(), HasSubstr("the blob-store has no model of round 3 of job synthetic"));
  const Outcome back = resume("4");
  ASSERT_EQ(back.exit_code, 0) << back.err;
  EXPECT_THAT(back.out, HasSubstr("4 of 6 rounds are done"));
  EXPECT_THAT(resume("4").LastErrorLine(), HasSubstr("stop it before it goes back to round 4"));
  ASSERT_EQ(Tributary({"status", "--watch"}).exit_code, 0);
  EXPECT_EQ(model(), before) << "the same bits again";
}

TEST_F(Control, ReplicasThatComeAndGoInTheMiddleOfARoundChangeNothing) {
  constexpr int kRounds = 12;
  const auto submit = [&](const std::string& name) {
    const Outcome outcome = Tributary({"submit", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "name=" + name, "--set", "model.bytes=16MiB", "--set", "transfer.chunk_bytes=256KiB",
                                       "--set", fmt::format("rounds={}", kRounds)});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  const auto digest = [&](const std::string& name) {
    const Outcome watched = Tributary({"status", name, "--watch"});
    EXPECT_EQ(watched.exit_code, 0) << watched.out << watched.err;
    const std::string status = Tributary({"status", name}).out;
    const auto at = status.find(fmt::format("jobs/{}/models/{} ", name, kRounds));
    return at == std::string::npos ? status : status.substr(status.find(' ', at) + 1, 64);  // of content alone, not of names
  };
  ASSERT_NO_FATAL_FAILURE(submit("calm"));
  const std::string expected = digest("calm");
  EXPECT_EQ(expected.find_first_not_of("0123456789abcdef"), std::string::npos) << expected;

  ASSERT_NO_FATAL_FAILURE(submit("moved"));
  // One trainer stands still before it has opened its update, and the round cannot go on.
  const auto status = [&] { return Tributary({"status", "moved"}).out; };
  int held = 0;
  for (int i = 0; i < 200 && held == 0; ++i) {
    usleep(20'000);
    trainers_[1]->Kill(SIGSTOP);
    usleep(200'000);  // what it said last has come
    int round = 0;
    const std::string text = status();
    if (const auto at = text.find("round:"); at != std::string::npos) std::sscanf(text.c_str() + at, "round: %d of", &round);
    ASSERT_LE(round, kRounds - 3) << "it was never met in the middle of a round: " << text;
    if (round >= 2 && text.find("(train)") != std::string::npos) held = round;
    else trainers_[1]->Kill(SIGCONT);
  }
  ASSERT_GT(held, 0) << status();

  // Up: two more aggregators and a spare.
  Program* const more[] = {StartAggregator("aggregator-1"), StartAggregator("aggregator-2")};
  Program* const spare = StartTrainer(2);
  for (const Program* one : {more[0], more[1], spare}) ASSERT_TRUE(Until([&] { return Says(one, "connected to the coordinator"); })) << one->ErrorSoFar();
  EXPECT_NE(status().find(fmt::format("round:  {} of {} (train)", held, kRounds)), std::string::npos) << "still that round: " << status();
  trainers_[1]->Kill(SIGCONT);
  // Down: the aggregator that was alone, once this round's aggregation has begun.
  const auto aggregates = [&](const Program* one, int round) { return Says(one, fmt::format("task moved.r{}.aggregate.", round)); };
  ASSERT_TRUE(Until([&] { return aggregates(aggregator_, held) || aggregates(more[0], held) || aggregates(more[1], held); }));
  aggregator_->Kill(SIGTERM);
  EXPECT_EQ(aggregator_->Wait(seconds(30)).exit_code, 0) << aggregator_->ErrorSoFar();
  // And the other trainer, with a task of the next round. The spare has its seat then, and begins that task anew.
  ASSERT_TRUE(Until([&] { return Says(trainers_[0], fmt::format("task moved.r{}.train.0", held + 1)); })) << trainers_[0]->ErrorSoFar();
  trainers_[0]->Kill(SIGTERM);
  EXPECT_EQ(trainers_[0]->Wait(seconds(30)).exit_code, 0) << trainers_[0]->ErrorSoFar();
  EXPECT_TRUE(Until([&] { return Says(spare, "seat: site/0"); })) << spare->ErrorSoFar();

  EXPECT_EQ(digest("moved"), expected);
  const std::string end = status();
  for (int round = 1; round <= kRounds; ++round) {
    const auto at = end.find(fmt::format("\nround {}: ", round));
    ASSERT_NE(at, std::string::npos) << end;
    EXPECT_NE(end.substr(at + 1, end.find('\n', at + 1) - at).find("2 participants"), std::string::npos) << end;
  }
  EXPECT_TRUE(aggregates(more[0], kRounds) || aggregates(more[1], kRounds));
}

// Everything on this machine: a run that is completed goes back, and on to more rounds.
TEST(Run, GoesOnFromAnyRoundThatItKeeps) {
  const TempDirectory dir;
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--work-dir", dir.File("run"), "--no-progress", "--set", "model.bytes=4MiB",
                                   "--set", "checkpoint={every: 2, keep: 2}"};
    words.insert(words.end(), more.begin(), more.end());
    return RunProgram(words, dir, seconds(120));
  };
  const std::vector<std::string> five{"--set", "rounds=5"};
  const auto with = [](std::vector<std::string> words, std::vector<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const Outcome nothing = run(with(five, {"--resume"}));
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_THAT(nothing.LastErrorLine(), HasSubstr("no run lies in"));
  const Outcome whole = run(five);
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const auto digest = [&] { return FileSha256(dir.File("run/model/model.safetensors")); };
  const std::string expected = digest();
  const Json rounds = ReadSummary(dir.File("run"))["rounds"];

  const Outcome back = run(with(five, {"--from-round", "2"}));
  ASSERT_EQ(back.exit_code, 0) << back.err;
  EXPECT_EQ(digest(), expected);
  const Json again = ReadSummary(dir.File("run"))["rounds"];
  ASSERT_EQ(again.size(), 5u);
  EXPECT_EQ(again[1], rounds[1]) << "a round that was not done anew";
  EXPECT_NE(again, rounds) << "three that were: hardly each in the same milliseconds";
  EXPECT_THAT(back.err, HasSubstr("synthetic goes on"));

  const Outcome gone = run(with(five, {"--from-round", "3"}));
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_THAT(gone.LastErrorLine(), HasSubstr("the blob-store has no model of round 3 of job synthetic"));
  const Outcome other = run({"--set", "rounds=6", "--resume", "--set", "train.add=3"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.LastErrorLine(), HasSubstr("holds the run of another job"));
  const std::vector<std::string> six{"--set", "rounds=6"};
  const Outcome more = run(with(six, {"--resume"}));
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(ReadSummary(dir.File("run"))["rounds"].size(), 6u);
  EXPECT_NE(digest(), expected);
  const Outcome same = run(six);
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("completed before"));
}

TEST_F(Control, WhoStopsWatchingTouchesNothing) {
  Submit("2000");
  Await("round 1: ");
  Program watch(Words({"status", "--watch"}), dir_);
  while (watch.Running() && watch.OutputSoFar().find("round") == std::string::npos) usleep(10'000);
  watch.Kill(SIGINT);
  const Outcome outcome = watch.Wait(seconds(30));
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("no longer watching"), HasSubstr("tributary stop synthetic")));
  EXPECT_THAT(Tributary({"status"}).out, Not(HasSubstr("stopped")));
  ASSERT_EQ(Tributary({"stop", "synthetic"}).exit_code, 0);
}

TEST_F(Control, AJobThatNobodyKnowsIsSaidToBeUnknown) {
  for (const char* command : {"logs", "resume", "status", "stop"}) {
    const Outcome outcome = Tributary({command, "nobody"});
    EXPECT_EQ(outcome.exit_code, 1) << command;
    EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("no job nobody")) << command;
  }
  const Outcome none = Tributary({"logs"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.LastErrorLine(), HasSubstr("this coordinator has no jobs"));
}

}  // namespace
}  // namespace tributary::e2e
