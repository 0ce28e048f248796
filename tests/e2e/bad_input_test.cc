// What people and peers get wrong: one clear line that names the place and the remedy, exit code 1 or 2, nothing harmed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
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

TEST_F(BadInput, AnUnknownCommandIsNamedWithTheNearest) {
  const auto run = [this](std::vector<std::string> words) {
    words.insert(words.begin(), Binary("tributary"));
    return RunProgram(std::move(words), dir_);
  };
  const Outcome mistyped = run({"rnu", "job.yaml"});
  EXPECT_EQ(mistyped.exit_code, 2);
  EXPECT_EQ(mistyped.LastErrorLine(), "tributary: no command 'rnu'; did you mean 'run'? 'tributary --help' lists them");
  const Outcome unlike = run({"frobnicate"});
  EXPECT_EQ(unlike.exit_code, 2);
  EXPECT_EQ(unlike.LastErrorLine(), "tributary: no command 'frobnicate'; 'tributary --help' lists them");
  const Outcome second = run({"model", "exprot", "x"});
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_THAT(second.LastErrorLine(), AllOf(HasSubstr("'model exprot'"), HasSubstr("'model export'?")));
  const Outcome import = run({"model", "import", dir_.File("absent")});
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_THAT(import.LastErrorLine(), HasSubstr("absent has no readable config.json"));
  const Outcome help = run({"model", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("model export"));
  EXPECT_EQ(run({"model"}).exit_code, 2);
}

TEST_F(BadInput, AReportOfNothingSaysWhatItWants) {
  const auto run = [this](std::vector<std::string> words) {
    words.insert(words.begin(), {Binary("tributary"), "report"});
    return RunProgram(std::move(words), dir_);
  };
  EXPECT_EQ(run({dir_.path()}).exit_code, 2) << "no --html";
  const Outcome empty = run({dir_.path(), "--html", dir_.File("page.html")});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_THAT(empty.LastErrorLine(), HasSubstr("is no work directory of 'tributary run'"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("page.html")));
}

TEST_F(BadInput, AnImpossibleSiteNameIsSaidOnce) {
  const Outcome outcome = RunProgram({Binary("tributary-trainer"), "--site", "a b"}, dir_);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.LastErrorLine(),
            "tributary-trainer: --site: got 'a b', expected 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit");
}

TEST_F(BadInput, AJobWhoseNameIsTakenNamesTheFlag) {
  Program coordinator({Binary("tributary-coordinator"), "--listen", "ipc://" + dir_.File("c.sock"), "--metrics-address", "off",
                       "--state-dir", dir_.File("state"), "--blob-store", "ipc://" + dir_.File("store.sock")},
                      dir_);
  const std::vector<std::string> words{Binary("tributary"), "submit", SourceFile("deploy/jobs/synthetic.yaml"), "--coordinator",
                                       "ipc://" + dir_.File("c.sock")};
  EXPECT_EQ(RunProgram(words, dir_).exit_code, 0);
  const Outcome outcome = RunProgram(words, dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("synthetic exists"), HasSubstr("--set name=OTHER")));
}

TEST_F(BadInput, AStopIsToldOnceAndTheSameCommandGoesOn) {
  const std::vector<std::string> words{Binary("tributary"), "run",   SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=64MiB",
                                       "--set",             "rounds=6", "--work-dir", dir_.File("run"), "--no-progress"};
  Program program(words, dir_);
  while (program.Running() && program.ErrorSoFar().find("round 1 of 6 done") == std::string::npos) usleep(10000);
  program.Kill(SIGTERM);
  const Outcome stopped = program.Wait(seconds(60));
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_EQ(stopped.LastErrorLine(), "tributary run: stopped by signal 15; the same command goes on from here");
  EXPECT_THAT(stopped.out, testing::Not(HasSubstr("loss"))) << "no round of this job has one";
  EXPECT_EQ(RunProgram(words, dir_, seconds(120)).exit_code, 0);
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

TEST_F(BadInput, AModelThatNoTrainerTakesIsToldBeforeAByteOfItIsImported) {
  std::filesystem::create_directories(dir_.File("llm"));
  WriteFile(dir_.File("text"), "One line of a text.\n");
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  WriteFile(dir_.File("llm/model.safetensors"), std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + std::string(4, '\0'));
  WriteFile(dir_.File("job.yaml"), "name: tuned\nmodel: {source: " + dir_.File("llm") + "}\ndata: {name: text, format: text, path: " + dir_.File("text") + "}\n");
  // Nobody listens there: what asks a service first says so.
  const std::string nobody = "ipc://" + dir_.File("nobody.sock");
  const auto refused = [&](const std::string& config, const std::string& file, const std::string& cause) {
    WriteFile(dir_.File("llm/config.json"), config);
    const std::vector<std::vector<std::string>> commands{{"run", dir_.File("job.yaml"), "--work-dir", dir_.File("run"), "--no-progress"},
                                                         {"submit", dir_.File("job.yaml"), "--coordinator", nobody, "--blob-store", nobody}};
    for (auto words : commands) {
      words.insert(words.begin(), Binary("tributary"));
      const Outcome outcome = RunProgram(words, dir_, seconds(60));
      EXPECT_EQ(outcome.exit_code, words[1] == "run" ? 1 : 2);
      EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("model.source: " + dir_.File(file)), HasSubstr(cause)));
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
      EXPECT_FALSE(std::filesystem::exists(dir_.File("run"))) << "nothing was begun";
    }
  };
  refused(R"({"model_type": "qwen2"})", "llm/config.json", "model_type 'qwen2' is not supported; supported: gpt2, gpt_neo, llama, mistral, opt, resnet");
  WriteFile(dir_.File("llm/tokenizer.json"), R"({"version": "1.0", "model": {)");
  refused(R"({"model_type": "llama"})", "llm/tokenizer.json", "not valid JSON");
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
  const auto words = [&](const std::string& endpoint, const std::string& data) {
    std::vector<std::string> all{Binary("tributary-" + service), "--listen", endpoint, "--metrics-address", "off"};
    if (service == "coordinator") {
      all.insert(all.end(), {"--state-dir", dir.File(data), "--blob-store", "ipc://" + dir.File("store.sock")});
    } else {
      all.insert(all.end(), {"--data-dir", dir.File(data)});
    }
    return all;
  };
  // The first chooses a free port and tells it in its log.
  Program first(words("tcp://127.0.0.1:0", "first"), dir);
  const std::string kScheme = "tcp://127.0.0.1:";
  std::string port;
  while (port.empty() && first.Running()) {
    const std::string log = first.ErrorSoFar();
    const auto at = log.find(kScheme);
    if (log.find('\n', at) != std::string::npos && at != std::string::npos) {
      const auto begin = at + kScheme.size();
      port = log.substr(begin, log.find_first_not_of("0123456789", begin) - begin);
    }
    usleep(10000);
  }
  ASSERT_FALSE(port.empty()) << first.ErrorSoFar();
  const Outcome ping = RunProgram({Binary("tributary"), "ping", kScheme + port}, dir);
  ASSERT_EQ(ping.exit_code, 0) << ping.err;
  EXPECT_THAT(ping.out, HasSubstr(service));
  const Outcome second = RunProgram(words(kScheme + port, "second"), dir, seconds(20));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr("127.0.0.1:" + port), HasSubstr("in use"), HasSubstr("--listen")));
  first.Kill(SIGTERM);
  EXPECT_EQ(first.Wait(seconds(20)).exit_code, 0) << "SIGTERM is a clean stop";
}
INSTANTIATE_TEST_SUITE_P(Services, PortInUse, testing::Values("coordinator", "blob-store"), [](const auto& info) {
  return std::string(info.param) == "coordinator" ? "Coordinator" : "BlobStore";
});

// A file system of its own, small enough to fill.
class SmallDisk {
 public:
  SmallDisk(std::string path, const char* size) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    if (mount("tmpfs", path_.c_str(), "tmpfs", 0, size) != 0) why_not_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (why_not_.empty()) umount2(path_.c_str(), MNT_DETACH);
  }
  const std::string& why_not() const { return why_not_; }
  void Fill() const {
    std::ofstream filler(path_ + "/filler", std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (filler << block << std::flush) continue;
  }
  void Free() const { std::filesystem::remove(path_ + "/filler"); }

 private:
  const std::string path_;
  std::string why_not_;
};

// Something else fills the disk in the middle of a run: each service may be the one to notice.
TEST_F(BadInput, ADiskThatFillsUpIsNamedAndHarmsNothingSealed) {
  const SmallDisk disk(dir_.File("small"), "size=48m");
  if (!disk.why_not().empty()) GTEST_SKIP() << "a disk to fill needs the right to mount a tmpfs: " << disk.why_not();
  const std::string work = dir_.File("small/run");
  std::vector<std::string> words{Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB", "--set",
                                 "model.fill=constant", "--set", "rounds=60", "--work-dir", work, "--no-progress"};
  Program program(words, dir_);
  while (program.Running() && program.ErrorSoFar().find("round 2 of 60 done") == std::string::npos) usleep(1000);
  ASSERT_TRUE(program.Running()) << program.ErrorSoFar();
  // Again and again: a round's updates that are removed leave room.
  for (const auto end = std::chrono::steady_clock::now() + seconds(60); program.Running() && std::chrono::steady_clock::now() < end;) {
    disk.Fill();
    usleep(1000);
  }
  const Outcome full = program.Wait(seconds(1));
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.LastErrorLine(), AllOf(HasSubstr("tributary run: "), HasSubstr("the disk of " + work + " is full"), HasSubstr("free some")))
      << full.err;

  // Model N is 0.5 + N · (1 + 2) / 2 in every element.
  int sealed = 0;
  for (const auto& object : std::filesystem::directory_iterator(work + "/blob-store/objects")) {
    const std::string name = object.path().filename().string();
    const std::string kModels = "jobs+synthetic+models+";
    if (name.rfind(kModels, 0) != 0 || !std::filesystem::exists(object.path() / "root")) continue;
    ++sealed;
    const float expected = 0.5f + 1.5f * std::stof(name.substr(kModels.size()));
    const std::string data = ReadFile((object.path() / "data").string());
    // Of equal chunks one lies on the disk.
    ASSERT_GE(data.size(), 1u << 20);
    for (std::size_t i = 0; i < data.size(); i += sizeof(float)) {
      float value;
      std::memcpy(&value, data.data() + i, sizeof value);
      ASSERT_EQ(value, expected) << name << " at byte " << i;
    }
  }
  EXPECT_GT(sealed, 0) << "a round was done, so there is a model";

  // The remedy that was printed works.
  disk.Free();
  if (full.LastErrorLine().find("'--restart'") != std::string::npos) words.push_back("--restart");
  const Outcome again = RunProgram(words, dir_, seconds(120));
  EXPECT_EQ(again.exit_code, 0) << full.LastErrorLine() << "\n" << again.err;
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
