// Transfer modes through real processes: the same job in each, the same bits at the end; refusals before anything starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class Modes : public testing::Test {
 protected:
  // 24 MiB in 3 tensors: each is larger than the largest chunk.
  Outcome RunMode(const std::string& mode, std::vector<std::string> more = {}) {
    std::vector<std::string> words{Binary("tributary"), "run", SourceFile("deploy/jobs/object-streaming.yaml"), "--set", "model.bytes=24MiB",
                                   "--set", "model.tensors=3", "--set", "transfer.mode=" + mode, "--work-dir", Work(mode), "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return RunProgram(words, dir_, seconds(120));
  }
  std::string Work(const std::string& mode) const { return dir_.File("run-" + mode); }
  const TempDirectory dir_;
};

TEST_F(Modes, EndWithTheSameModelBitForBit) {
  std::map<std::string, std::string> models;
  for (const char* mode : {"stream", "container", "regular", "file"}) {
    const Outcome outcome = RunMode(mode, {"--set", "rounds=2", "--set", "checkpoint.export=true"});
    ASSERT_EQ(outcome.exit_code, 0) << mode << ": " << outcome.err;
    const Json summary = ReadSummary(Work(mode));
    ASSERT_EQ(summary.value("rounds", Json::array()).size(), 2u) << mode;
    for (const Json& round : summary["rounds"]) EXPECT_EQ(round.value("bytes_up", std::uint64_t{0}), 2u * (24u << 20)) << mode;
    for (const Json& service : summary["services"]) EXPECT_EQ(service.value("restarts", -1), 0) << mode << service.dump();
    models[mode] = FileSha256(Work(mode) + "/model/model.safetensors");
    EXPECT_EQ(models[mode], models["stream"]) << mode;
  }
  // What takes the way through a file leaves none.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Work("file") + "/sites")) {
    EXPECT_EQ(entry.path().filename().string().find("transfer-"), std::string::npos) << entry.path();
  }
}

TEST_F(Modes, ABudgetThatHoldsNoMessageIsRefusedBeforeAnythingStarts) {
  for (const auto& [mode, needed] : std::map<std::string, std::string>{{"container", "17MiB"}, {"regular", "49MiB"}}) {
    const Outcome outcome = RunMode(mode, {"--memory-budget", "16MiB"});
    EXPECT_EQ(outcome.exit_code, 2) << mode;
    EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("--memory-budget"), HasSubstr(needed), HasSubstr("transfer.mode " + mode)));
    EXPECT_FALSE(std::filesystem::exists(Work(mode)));
  }
  EXPECT_EQ(RunMode("container", {"--memory-budget", "17MiB", "--set", "rounds=1"}).exit_code, 0);
}

TEST_F(Modes, AMessageHasAtMostOneGibibyte) {
  const Outcome outcome = RunMode("regular", {"--set", "model.bytes=1028MiB"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("transfer.mode"), HasSubstr("1073741824"), HasSubstr("stream")));
}

}  // namespace
}  // namespace tributary::e2e
