// What people and peers get wrong: one clear line that names the place and the remedy, exit code 1 or 2, nothing harmed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class BadInput : public testing::Test {
 protected:
  Outcome RunJob(std::vector<std::string> extra) {
    std::vector<std::string> words{Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB",
                                   "--work-dir",         dir_.File("run"), "--no-progress"};
    words.insert(words.end(), extra.begin(), extra.end());
    return RunProgram(std::move(words), dir_, seconds(60));
  }
  const TempDirectory dir_;
};

TEST_F(BadInput, AnUnknownJobKeyIsNamedWithFileAndLine) {
  WriteFile(dir_.File("job.yaml"), "name: x\nrounds: 1\nmodle: {family: synthetic}\n");
  const Outcome outcome = RunProgram({Binary("tributary"), "run", dir_.File("job.yaml"), "--work-dir", dir_.File("run")}, dir_);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("job.yaml:3"), HasSubstr("modle"), HasSubstr("model")));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("run"))) << "nothing is begun for a job that is refused";
}

TEST_F(BadInput, AMistypedJobValueIsNamedWithWhatWasExpected) {
  const Outcome outcome = RunJob({"--set", "rounds=many"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("rounds"), HasSubstr("many"), HasSubstr("expected")));
}

TEST_F(BadInput, AnImpossibleValueIsRefused) {
  const Outcome outcome = RunJob({"--set", "participants.quorum=9"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("quorum"));
}

TEST_F(BadInput, AMissingJobFileIsNamed) {
  const Outcome outcome = RunProgram({Binary("tributary"), "run", "/nowhere/job.yaml"}, dir_);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("/nowhere/job.yaml"));
}

TEST_F(BadInput, AnUnknownFlagIsNamed) {
  const Outcome outcome = RunJob({"--trainer", "2"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("trainer"));
}

TEST_F(BadInput, MissingDataNamesThePlaceAndTheFlag) {
  const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/quickstart.yaml"), "--data", "fortunes=/nowhere/text",
                               "--work-dir", dir_.File("run")},
                              dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("/nowhere/text"), HasSubstr("--data fortunes=PATH")));
}

TEST_F(BadInput, ADataFlagThatTheJobHasNoUseForIsAUsageError) {
  const auto run = [this](const std::string& data) {
    return RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/quickstart.yaml"), "--data", data, "--work-dir", dir_.File("run")},
                      dir_);
  };
  const Outcome malformed = run("fortunes");
  EXPECT_EQ(malformed.exit_code, 2);
  EXPECT_THAT(malformed.LastErrorLine(), HasSubstr("--data fortunes=PATH"));
  const Outcome mistyped = run("fortunse=/usr/share/games/fortunes");
  EXPECT_EQ(mistyped.exit_code, 2);
  EXPECT_THAT(mistyped.LastErrorLine(), HasSubstr("did you mean 'fortunes'?"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("run")));
}

TEST_F(BadInput, ADataDirectoryWithoutTextIsToldBeforeAnythingStarts) {
  std::filesystem::create_directories(dir_.File("images"));
  WriteFile(dir_.File("images/cat"), std::string(100, '\0'));
  const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/quickstart.yaml"), "--data",
                                      "fortunes=" + dir_.File("images"), "--work-dir", dir_.File("run")},
                                     dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("no text file"), HasSubstr(dir_.File("images"))));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("run")));
}

TEST_F(BadInput, ADirectoryWithoutRoomIsToldBeforeAnythingStarts) {
  for (const char* time : {"first", "second"}) {
    const Outcome outcome = RunJob({"--set", "model.bytes=64TiB"});
    EXPECT_EQ(outcome.exit_code, 1) << time;
    EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("has room for"), HasSubstr("--work-dir"))) << time;
    for (const char* name : {"job.yaml", "logs", "sites", "coordinator", "blob-store", "summary.json"}) {
      EXPECT_FALSE(std::filesystem::exists(dir_.File("run/") + name)) << name << ": a run was begun";
    }
  }
  const Outcome smaller = RunJob({"--set", "model.bytes=1MiB"});
  EXPECT_EQ(smaller.exit_code, 0) << "the remedy must work without --restart: " << smaller.err;
}

TEST_F(BadInput, TheUsersVariablesDoNotReachTheServices) {
  const std::map<std::string, std::string> environment{{"TRIBUTARY_BLOB_STORE", "tcp://127.0.0.1:1"},
                                                       {"TRIBUTARY_LISTEN", "nonsense"},
                                                       {"TRIBUTARY_ORDINAL", "nonsense"}};
  Program program({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=1MiB", "--work-dir",
                   dir_.File("run"), "--no-progress"},
                  dir_, environment);
  const Outcome outcome = program.Wait(seconds(60));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(BadInput, AWorkDirectoryThatCannotBeMadeNamesTheFlag) {
  const Outcome outcome =
      RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--work-dir", "/etc/passwd"}, dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("/etc/passwd"), HasSubstr("choose another --work-dir")));
}

TEST_F(BadInput, TheWorkDirectoryOfAnotherJobIsLeftAlone) {
  ASSERT_EQ(RunJob({}).exit_code, 0);
  const std::string before = FileSha256(dir_.File("run/model/model.safetensors"));
  const Outcome outcome = RunJob({"--set", "rounds=1"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("another job"), HasSubstr("--restart")));
  EXPECT_EQ(FileSha256(dir_.File("run/model/model.safetensors")), before);
  const Outcome again = RunJob({});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("completed before"));
}

TEST_F(BadInput, ASecondRunInTheSameDirectoryIsRefused) {
  Program first({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=512MiB", "--work-dir",
                 dir_.File("run"), "--no-progress"},
                dir_);
  while (first.Running() && !std::filesystem::exists(dir_.File("run/memory.csv"))) usleep(10000);
  const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=512MiB",
                               "--work-dir", dir_.File("run")},
                              dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("in use by another"));
}

TEST_F(BadInput, ABudgetTooSmallForItsChunksIsNamedWithWhatIsNeeded) {
  const Outcome outcome = RunJob({"--memory-budget", "8MiB", "--set", "transfer.chunk_bytes=4MiB"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("at least 16.0 MiB"));
}

// A port in use: each service says which, and how to choose another.
class PortInUse : public testing::TestWithParam<const char*> {};

TEST_P(PortInUse, IsNamedWithTheFlag) {
  const TempDirectory dir;
  const std::string service = GetParam();
  const bool coordinator = service == "coordinator";
  const std::vector<std::string> words{Binary("tributary-" + service), "--listen", "tcp://127.0.0.1:47123", "--metrics-address", "off",
                                       coordinator ? "--state-dir" : "--data-dir", dir.File("data")};
  auto first_words = words;
  if (coordinator) first_words.insert(first_words.end(), {"--blob-store", "tcp://127.0.0.1:47124"});
  Program first(first_words, dir);
  Outcome ping;
  for (int i = 0; i < 50 && ping.exit_code != 0; ++i) {
    ping = RunProgram({Binary("tributary"), "ping", "tcp://127.0.0.1:47123", "--timeout", "200ms"}, dir);
  }
  ASSERT_EQ(ping.exit_code, 0) << ping.err;
  EXPECT_THAT(ping.out, HasSubstr(service));
  auto second_words = first_words;
  second_words.back() = coordinator ? second_words.back() : dir.File("other");
  if (coordinator) second_words[6] = dir.File("other");
  const Outcome second = RunProgram(second_words, dir, seconds(20));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr("127.0.0.1:47123"), HasSubstr("in use"), HasSubstr("--listen")));
  first.Kill(SIGTERM);
  EXPECT_EQ(first.Wait(seconds(20)).exit_code, 0) << "SIGTERM is a clean stop";
}
INSTANTIATE_TEST_SUITE_P(Services, PortInUse, testing::Values("coordinator", "blob-store"), [](const auto& info) {
  return std::string(info.param) == "coordinator" ? "Coordinator" : "BlobStore";
});

// Disk full in the middle: a small tmpfs gives real ENOSPC. Needs root to mount.
TEST_F(BadInput, ADiskThatFillsUpFailsTheJobWithItsName) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting a tmpfs needs root";
  const std::string mount_point = dir_.File("small");
  std::filesystem::create_directories(mount_point);
  if (mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=24m") != 0) GTEST_SKIP() << "tmpfs cannot be mounted here";
  const Outcome outcome = RunProgram({Binary("tributary-blob-store"), "--listen", "ipc://" + dir_.File("s.sock"), "--metrics-address", "off",
                               "--data-dir", mount_point + "/sub/" + std::string(300, 'x')},
                              dir_, seconds(20));
  EXPECT_EQ(outcome.exit_code, 1) << "a directory that cannot be made";
  // 8 MiB pass the check of room (5 models), 4 of them do not fit beside the journal when something else fills the disk.
  WriteFile(mount_point + "/filler", std::string(20 << 20, 'x'));
  const Outcome full = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB", "--work-dir",
                            mount_point + "/run", "--no-progress"},
                           dir_, seconds(60));
  umount2(mount_point.c_str(), MNT_DETACH);
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.LastErrorLine(), HasSubstr("room"));
}

TEST_F(BadInput, GenerateRefusesATruncatedModelFile) {
  std::filesystem::create_directories(dir_.File("model"));
  WriteFile(dir_.File("model/config.json"),
            R"({"model_type":"gpt2","n_layer":1,"n_head":1,"n_embd":8,"n_positions":8,"vocab_size":257})");
  WriteFile(dir_.File("model/model.safetensors"), std::string("\xff\xff\0\0\0\0\0\0{}", 10));
  const Outcome outcome = RunProgram({Binary("tributary"), "generate", dir_.File("model"), "--prompt", "x"}, dir_, seconds(60));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("model.safetensors"), HasSubstr("truncated")));
}

TEST_F(BadInput, GenerateRefusesAMissingDirectory) {
  const Outcome outcome = RunProgram({Binary("tributary"), "generate", "/nowhere/model", "--prompt", "x"}, dir_, seconds(60));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("/nowhere/model"));
}

}  // namespace
}  // namespace tributary::e2e
