#include "services/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tributary::cli {
namespace {

TEST(Bar, FillsFromLeftToRight) {
  EXPECT_EQ(Bar(0, 10, 10), "[----------]");
  EXPECT_EQ(Bar(5, 10, 10), "[#####-----]");
  EXPECT_EQ(Bar(10, 10, 10), "[##########]");
}

TEST(Bar, StaysWithinItsWidthForOddNumbers) {
  EXPECT_EQ(Bar(20, 10, 4), "[####]") << "more done than planned";
  EXPECT_EQ(Bar(3, 0, 4), "[----]") << "nothing planned";
}

// A running round with one seat that downloads and one that trains.
wire::JobStatus Training() {
  wire::JobStatus status;
  status.job = "quickstart";
  status.state = "running";
  status.phase = "train";
  status.round = 2;
  status.rounds = 5;
  status.seats.resize(2);
  status.seats[0].seat = "local/0";
  status.seats[0].state = "download";
  status.seats[0].done = 1u << 20;
  status.seats[0].total = 4u << 20;
  status.seats[0].unit = "bytes";
  status.seats[1].seat = "local/1";
  status.seats[1].state = "train";
  status.seats[1].done = 37;
  status.seats[1].total = 300;
  status.seats[1].unit = "steps";
  status.seats[1].metrics = {{"train_loss", 2.3456}, {"tokens_per_second", 5100.4}};
  return status;
}

wire::JobStatus Waiting(std::uint32_t trainers) {
  wire::JobStatus status;
  status.phase = "wait";
  status.rounds = 5;
  status.seats.resize(2);
  for (std::uint32_t i = 0; i < 2; ++i) {
    status.seats[i].seat = i < trainers ? "local/0" : "-/1";
    status.seats[i].state = i < trainers ? "idle" : "free";
  }
  return status;
}

TEST(ProgressLine, TellsWhatEachSeatDoes) {
  EXPECT_EQ(ProgressLine(Training()),
            "round 2 of 5: training | local/0 downloading, 1.0 MiB of 4.0 MiB | local/1 training, step 37 of 300, loss 2.346, "
            "5100 tokens/s");
}

TEST(ProgressLine, ATaskThatHasNotToldItsPhaseIsStarting) {
  auto status = Training();
  status.seats.resize(1);
  status.seats[0].state = "run";
  status.seats[0].total = 0;
  EXPECT_EQ(ProgressLine(status), "round 2 of 5: training | local/0 starting");
}

TEST(ProgressLine, BeforeTheFirstRoundItTellsWhatIsWaitedFor) {
  EXPECT_EQ(ProgressLine(Waiting(0)), "waiting for trainers: 0 of 2");
  EXPECT_EQ(ProgressLine(Waiting(1)), "waiting for trainers: 1 of 2");
  auto status = Waiting(2);
  EXPECT_EQ(ProgressLine(status), "waiting to begin");
  status.phase = "init";
  status.seats[0].state = "init";
  EXPECT_EQ(ProgressLine(status), "making the first model | local/0 making the model");
}

TEST(ProgressLine, BetweenRoundsALostTrainerIsMissed) {
  auto status = Waiting(2);
  status.round = 3;
  status.seats[1].state = "lost";
  status.seats[1].seat = "local/1";
  status.message = "start another trainer";
  EXPECT_EQ(ProgressLine(status), "round 3 of 5 done, waiting for trainers: 1 of 2; start another trainer | local/1 lost");
}

TEST(ProgressLine, AggregationCountsSlots) {
  auto status = Training();
  status.phase = "aggregate";
  status.seats.clear();
  status.slots_done = 3;
  status.slots_total = 8;
  EXPECT_EQ(ProgressLine(status), "round 2 of 5: averaging the updates, slot 3 of 8");
}

TEST(ProgressBlock, HasALineForTheRoundOneForEachSeatAndThePeaks) {
  MemoryLog memory;
  memory.OnStart("blob-store", getpid());
  memory.OnStart("trainer-0", getpid());
  memory.Sample();
  const auto lines = ProgressBlock(Training(), {{{"local/0", "3.0 MiB/s"}}, {PeakLine(memory)}});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "quickstart  round 2 of 5: training");
  EXPECT_EQ(lines[1], "  local/0      downloading [#####---------------] 1.0 MiB of 4.0 MiB, 3.0 MiB/s");
  EXPECT_EQ(lines[2], "  local/1      training    [##------------------] step 37 of 300, loss 2.346, 5100 tokens/s");
  EXPECT_THAT(lines[3], testing::StartsWith("  peak memory:  blob-store "));
  EXPECT_THAT(lines[3], testing::Not(testing::HasSubstr("trainer-0"))) << "trainers are as large as their models";
}

TEST(ProgressBlock, ManySeatsAreCutShort) {
  auto status = Training();
  status.seats.resize(100, status.seats[1]);
  const auto lines = ProgressBlock(status, {{}, {"  below"}});
  EXPECT_EQ(lines.size(), 15u);
  EXPECT_EQ(lines[13], "  … and 88 more trainers");
}

TEST(RoundTeller, TellsLossesBytesAndWhoWasLeftOut) {
  wire::RoundStatus round;
  round.round = 2;
  round.seconds = 12.52;
  round.metrics = {{"train_loss", 2.34567}};
  round.bytes_up = 1u << 20;
  round.dropped = {"b/1"};
  EXPECT_EQ(RoundTeller().Tell(round, 5), "round 2 of 5 done in 12.5 s, train loss 2.3457, 1.0 MiB up, 0 B down, without b/1");
}

TEST(RoundTeller, TellsACauseOnceAndAgainWhenItIsAnother) {
  RoundTeller teller;
  wire::RoundStatus round;
  round.round = 1;
  round.dropped = {"b/1", "c/2"};
  round.dropped_because = {"its partition gets no record"};  // fewer than seats: as many as the frame had room for
  EXPECT_EQ(teller.Tell(round, 5), "round 1 of 5 done in 0.0 s, 0 B up, 0 B down, without b/1 (its partition gets no record), without c/2");
  round.round = 2;
  EXPECT_EQ(teller.Tell(round, 5), "round 2 of 5 done in 0.0 s, 0 B up, 0 B down, without b/1, without c/2");
  round.dropped_because = {"its disk is full", "late"};
  EXPECT_EQ(teller.Tell(round, 5), "round 2 of 5 done in 0.0 s, 0 B up, 0 B down, without b/1 (its disk is full), without c/2 (late)");
}

TEST(RoundTeller, WarnsWhereNoSeatCouldValidate) {
  RoundTeller teller;
  wire::RoundStatus round;
  round.round = 1;
  round.metrics = {{"val_seats", 1}, {"val_seats_empty", 1}, {"val_loss", 2.5}};
  EXPECT_THAT(teller.Tell(round, 5), testing::Not(testing::HasSubstr("!"))) << "one seat of two is enough";
  round.metrics = {{"val_seats", 0}, {"val_seats_empty", 2}};
  EXPECT_THAT(teller.Tell(round, 5), testing::HasSubstr("\n! round 1: no seat could validate the model: nothing is held out of the data of 2; raise data.validation"));
  round.round = 2;
  EXPECT_THAT(teller.Tell(round, 5), testing::Not(testing::HasSubstr("!"))) << "told already";
  round.metrics = {{"val_seats", 0}};
  EXPECT_THAT(teller.Tell(round, 5), testing::HasSubstr("\n! round 2: no seat could validate the model; the job's log says why"));
}

// Off a terminal: a file.
TEST(ProgressView, OffATerminalWritesALineOnlyWhereSomethingChanged) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressView view(true, file);
    auto status = Training();
    view.Update(status, {{}, {"  2 rounds left"}});
    view.Update(status, {{}, {"  2 rounds left"}});
    status.phase = "seal";
    status.seats.clear();
    view.Update(status, {});
    view.Say("a line");
  }
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_EQ(text,
            "round 2 of 5: training | local/0 downloading, 1.0 MiB of 4.0 MiB | local/1 training, step 37 of 300, loss 2.346, 5100 tokens/s | 2 rounds left\n"
            "round 2 of 5: sealing the model\na line\n");
}

}  // namespace
}  // namespace tributary::cli
