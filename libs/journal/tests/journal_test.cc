#include "tributary/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "libs/journal/src/sqlite.h"
#include "tributary/base/random.h"

namespace tributary::journal {
namespace {

using namespace federation;
using ::testing::HasSubstr;

class JournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<Journal> Open() {
    auto journal = Journal::Open(path);
    EXPECT_TRUE(journal.ok()) << (journal.ok() ? "" : journal.error().message());
    return journal.ok() ? std::move(*journal) : nullptr;
  }

  const TempDirectory directory;
  const std::string path = directory.File("coordinator.db");
};

JobRow Job(const std::string& id, JobState state = JobState::kRunning) {
  JobRow job;
  job.job = id;
  job.text = "name: " + id + "\n";
  job.state = state;
  job.order = 3;
  job.message = "it's \"quoted\"";
  job.started_ms = 1'700'000'000'123;
  job.rounds = 5;
  job.digest = "ab";
  return job;
}

RoundRow Round(const std::string& job, std::uint32_t number, RoundState state) {
  RoundRow round;
  round.job = job;
  round.round = number;
  round.state = state;
  round.generation = 2;
  round.slots = 1ull << 40;
  round.seconds = 0.1;
  round.participants = {"site/0", "site/1"};
  round.dropped = {"other/7"};
  round.metrics = {{"val_loss", 1.0 / 3}, {"train_loss", 1e-300}};
  round.bytes_up = 1ull << 50;
  return round;
}

TaskRow Task(const std::string& job, std::uint32_t round, wire::TaskKind kind, std::uint32_t index) {
  TaskRow task;
  task.job = job;
  task.round = round;
  task.kind = kind;
  task.index = index;
  task.attempt = 1;
  task.holder = "site/a";
  task.first_slot = 4;
  task.end_slot = 9;
  task.objects = {"jobs/j/rounds/1/updates/site/0.g1", "jobs/j/rounds/1/updates/site/0"};
  task.metrics = {{"samples", 12.5}};
  task.message = "two words";
  return task;
}

TEST_F(JournalTest, ANewJournalIsEmpty) {
  auto state = Open()->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(*state == State());
}

TEST_F(JournalTest, GivesBackWhatWasAppendedAfterReopening) {
  const std::vector<Decision> decisions = {Job("j"),
                                           Round("j", 0, RoundState::kDone),
                                           Round("j", 1, RoundState::kTrain),
                                           SeatRow{"j", 0, "site", "a"},
                                           Task("j", 1, wire::TaskKind::kTrain, 0),
                                           Task("j", 1, wire::TaskKind::kRemove, 0)};
  State expected;
  for (const auto& decision : decisions) expected.Apply(decision);
  ASSERT_TRUE(Open()->Append(decisions).ok());
  const auto state = Open()->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(*state == expected);
}

TEST_F(JournalTest, LoadIsWhatApplyMakesOfAnyDecisions) {
  SplitMix64 random(5);
  State expected;
  auto journal = Open();
  std::map<std::string, std::uint32_t> open_round;
  std::set<std::string> ended;
  for (int i = 0; i < 300; ++i) {
    const std::string job = fmt::format("job-{}", random.NextBelow(3));
    if (ended.count(job) != 0) continue;
    std::uint32_t& round = open_round[job];
    std::vector<Decision> decisions;
    if (expected.jobs.count(job) == 0) decisions.push_back(Job(job));
    switch (random.NextBelow(6)) {
      case 0: decisions.push_back(Round(job, round, RoundState::kAggregate)); break;
      case 1: decisions.push_back(SeatRow{job, static_cast<std::uint32_t>(random.NextBelow(3)), "site",
                                          random.NextBelow(2) == 0 ? "" : "x"}); break;
      case 2:
      case 3: {
        decisions.push_back(Round(job, round, RoundState::kTrain));
        TaskRow task = Task(job, round, static_cast<wire::TaskKind>(1 + random.NextBelow(6)),
                            static_cast<std::uint32_t>(random.NextBelow(3)));
        if (random.NextBelow(2) == 0) task.state = RowState::kDone;
        task.metrics["loss"] = random.NextUnit();
        decisions.push_back(task);
        break;
      }
      case 4:
        decisions.push_back(Round(job, round, RoundState::kDone));
        decisions.push_back(CloseRound{job, round});
        ++round;
        break;
      case 5:
        if (random.NextBelow(10) != 0) break;
        decisions.push_back(Job(job, JobState::kFailed));
        ended.insert(job);
        break;
    }
    for (const auto& decision : decisions) expected.Apply(decision);
    ASSERT_TRUE(journal->Append(decisions).ok());
    const auto state = journal->Load();
    ASSERT_TRUE(state.ok());
    ASSERT_TRUE(*state == expected) << i;
  }
}

TEST_F(JournalTest, KeepsTextRoundsAndUpdatesOfFinishedJobs) {
  auto journal = Open();
  TaskRow update = Task("j", 1, wire::TaskKind::kTrain, 0);
  update.state = RowState::kDone;
  ASSERT_TRUE(journal->Append({Job("j"), update, Round("j", 1, RoundState::kDone), CloseRound{"j", 1},
                               Round("j", 2, RoundState::kDone), Job("j", JobState::kCompleted)}).ok());
  EXPECT_EQ(journal->Job("j")->text, "name: j\n");
  EXPECT_EQ(journal->Job("k").error().code(), Code::kNotFound);
  const auto rounds = journal->Rounds("j", 0, 10);
  ASSERT_TRUE(rounds.ok());
  ASSERT_EQ(rounds->size(), 2u);
  EXPECT_TRUE((*rounds)[0] == Round("j", 1, RoundState::kDone));
  EXPECT_EQ(journal->Rounds("j", 1, 10)->size(), 1u);
  EXPECT_EQ(journal->Rounds("j", 0, 1)->size(), 1u);
  ASSERT_EQ(journal->Updates("j", 1)->size(), 1u);
  EXPECT_TRUE(journal->Updates("j", 1)->front() == update);
  EXPECT_TRUE(journal->Load()->tasks.empty());
}

TEST_F(JournalTest, AnotherProcessIsToldThatACoordinatorRuns) {
  auto journal = Open();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto second = Journal::Open(path);
    const bool told = !second.ok() && second.error().code() == Code::kUnavailable &&
                      second.error().message().find("another coordinator runs") != std::string::npos;
    _exit(told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(journal->Append({Job("j")}).ok());
}

TEST_F(JournalTest, SurvivesSigkillBetweenAppends) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto journal = Journal::Open(path);
    if (!journal.ok() || !(*journal)->Append({Job("j"), SeatRow{"j", 0, "site", "a"}}).ok()) _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto state = Open()->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->jobs.size(), 1u);
  EXPECT_EQ(state->seats.size(), 1u);
}

TEST_F(JournalTest, AFileThatIsNoJournalIsRefusedAndUnchanged) {
  const std::string text = "this is a letter, not a database; " + std::string(4096, 'x');
  std::ofstream(path) << text;
  const auto journal = Journal::Open(path);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.error().code(), Code::kDataLoss);
  EXPECT_THAT(journal.error().message(), HasSubstr(path));
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
}

TEST_F(JournalTest, ADamagedJournalIsRefused) {
  {
    auto journal = Open();
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(journal->Append({Job(fmt::format("job-{}", i))}).ok());
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(8192, '\x5a');
  }
  const auto journal = Journal::Open(path);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.error().code(), Code::kDataLoss);
  EXPECT_THAT(journal.error().message(), HasSubstr("damaged"));
}

TEST_F(JournalTest, AJournalOfANewerReleaseIsRefused) {
  { ASSERT_TRUE(Open()->Append({Job("j")}).ok()); }
  {
    // user_version is the big-endian number at byte 60 of the header.
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);
    file.write("\0\0\0\x63", 4);
  }
  const auto journal = Journal::Open(path);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.error().code(), Code::kProtocol);
  EXPECT_THAT(journal.error().message(), HasSubstr("schema 99"));
}

TEST_F(JournalTest, AJournalOfTheFirstSchemaGetsTheColumnsThatCameLater) {
  {
    auto journal = Open();
    auto job = Job("j");
    job.state = federation::JobState::kRunning;
    federation::RoundRow round;
    round.job = "j";
    round.digest = "d";
    ASSERT_TRUE(journal->Append({job, round}).ok());
  }
  {
    auto database = Database::Open(path);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)->Execute("ALTER TABLE rounds DROP COLUMN broadcast_digest; ALTER TABLE rounds DROP COLUMN broadcast_error; "
                                     "ALTER TABLE tasks DROP COLUMN broadcast_digest; ALTER TABLE jobs DROP COLUMN resumes; DROP TABLE log; PRAGMA user_version=1;").ok());
  }
  for (int i = 0; i < 2; ++i) {
    auto journal = Open();
    auto state = journal->Load();
    ASSERT_TRUE(state.ok()) << state.error().message();
    auto round = state->rounds.at({"j", 0});
    EXPECT_EQ(round.digest, "d");
    EXPECT_EQ(round.broadcast_digest, i == 0 ? "" : "b");
    round.broadcast_digest = "b";
    ASSERT_TRUE(journal->Append({round}).ok());
  }
}

TEST_F(JournalTest, KeepsTheLogOfAJobInTheTransactionOfItsDecisions) {
  using federation::Note;
  const auto note = [](const char* job, const char* text) { return Note{Note::Level::kWarning, text, job, 77}; };
  ASSERT_TRUE(Open()->Append({Job("j")}, {note("j", "one"), note("", "of no job"), note("k", "other"), note("j", "two")}).ok());
  auto journal = Open();
  ASSERT_TRUE(journal->Append({}, {note("j", "three")}).ok());
  const auto lines = journal->Log("j", 1, 10);
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines->size(), 2u);
  EXPECT_EQ((*lines)[0].number, 2u);
  EXPECT_EQ((*lines)[0].text, "two");
  EXPECT_EQ((*lines)[1].text, "three");
  EXPECT_EQ((*lines)[1].time_ms, 77);
  EXPECT_TRUE((*lines)[1].warning);
  EXPECT_EQ(journal->Log("j", 0, 1)->size(), 1u);
}

TEST_F(JournalTest, DropsTheOldestLines) {
  auto journal = Open();
  std::vector<federation::Note> notes(kLinesKept + 1000, {federation::Note::Level::kInfo, "line", "j", 1});
  ASSERT_TRUE(journal->Append({}, notes).ok());
  EXPECT_EQ(journal->Log("j", 0, 1)->at(0).number, 1001u);
  EXPECT_EQ(journal->Log("j", kLinesKept + 999, 10)->size(), 1u);
}

TEST_F(JournalTest, AnAbandonedRoundIsGoneButForItsRemovals) {
  ASSERT_TRUE(Open()->Append({Job("j"), Round("j", 1, RoundState::kDone), Round("j", 2, RoundState::kTrain), Task("j", 2, wire::TaskKind::kTrain, 0),
                              Task("j", 2, wire::TaskKind::kRemove, 0), federation::AbandonRound{"j", 2}}).ok());
  auto journal = Open();
  const auto newest = journal->NewestRounds("j");
  ASSERT_TRUE(newest.ok());
  ASSERT_EQ(newest->size(), 1u);
  EXPECT_EQ(newest->front().round, 1u);
  EXPECT_TRUE(journal->Updates("j", 2)->empty());
  EXPECT_EQ(journal->Load()->tasks.size(), 1u);
}

TEST_F(JournalTest, TheRoundsAfterAnAbandonedOneAreGoneWithIt) {
  ASSERT_TRUE(Open()->Append({Job("j"), Job("k"), Round("j", 1, RoundState::kDone), Round("j", 2, RoundState::kDone), Round("j", 3, RoundState::kDone),
                              Task("j", 3, wire::TaskKind::kTrain, 0), Round("k", 3, RoundState::kDone), federation::AbandonRound{"j", 2}}).ok());
  auto journal = Open();
  EXPECT_EQ(journal->NewestRounds("j")->front().round, 1u);
  EXPECT_TRUE(journal->Updates("j", 3)->empty());
  EXPECT_EQ(journal->NewestRounds("k")->front().round, 3u);
}

TEST_F(JournalTest, AMissingDirectoryIsNamed) {
  const auto journal = Journal::Open(directory.File("none/coordinator.db"));
  ASSERT_FALSE(journal.ok());
  EXPECT_THAT(journal.error().message(), HasSubstr(directory.File("none/coordinator.db")));
}

TEST_F(JournalTest, AFullDiskFailsTheAppendAndHarmsNothing) {
  { ASSERT_TRUE(Open()->Append({Job("j")}).ok()); }
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto journal = Journal::Open(path);
    if (!journal.ok()) _exit(2);
    // A file size limit stands for a full disk: the write fails half way.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{65536, 65536};
    setrlimit(RLIMIT_FSIZE, &limit);
    JobRow big = Job("big");
    big.text = std::string(200'000, 'x');
    if ((*journal)->Append({big}).ok()) _exit(3);
    // Small decisions still go: the failed transaction was undone.
    _exit((*journal)->Append({SeatRow{"j", 0, "site", "a"}}).ok() ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const auto state = Open()->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->jobs.size(), 1u);
  EXPECT_EQ(state->seats.size(), 1u);
}

}  // namespace
}  // namespace tributary::journal
