// Jobs side by side: two models are trained at once over four trainers, and are what they would be if each were trained alone.
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

class JobsSideBySide : public testing::Test {
 protected:
  JobsSideBySide() {
    coordinator_ = "ipc://" + dir_.File("c.sock");
    store_ = "ipc://" + dir_.File("s.sock");
    Start({"tributary-blob-store", "--listen", store_, "--data-dir", dir_.File("blobs")});
    StartCoordinator();
    for (const char* name : {"aggregator-0", "aggregator-1"}) Start({"tributary-aggregator", "--coordinator", coordinator_, "--instance", name});
    for (const char* name : {"t0", "t1", "t2", "t3"}) {
      Start({"tributary-trainer", "--coordinator", coordinator_, "--site", "site", "--instance", name, "--work-dir", dir_.File(name)});
    }
  }
  std::unique_ptr<Program> Launch(std::vector<std::string> words) {
    words[0] = Binary(words[0]);
    words.insert(words.end(), {"--metrics-address", "off"});
    return std::make_unique<Program>(std::move(words), dir_);
  }
  void Start(std::vector<std::string> words) { services_.push_back(Launch(std::move(words))); }
  void StartCoordinator() {
    coordinator_process_ = Launch({"tributary-coordinator", "--listen", coordinator_, "--state-dir", dir_.File("state"), "--blob-store", store_});
  }
  Outcome Tributary(std::vector<std::string> words, bool with_store = false) {
    words.insert(words.begin(), Binary("tributary"));
    words.insert(words.end(), {"--coordinator", coordinator_});
    if (with_store) words.insert(words.end(), {"--blob-store", store_});
    return RunProgram(std::move(words), dir_, seconds(120));
  }
  // `kind`: which of the two models, with its own size, layout, data type and encoding.
  void Submit(const std::string& name, int kind, int rounds) {
    std::vector<std::string> words{"submit", SourceFile("deploy/jobs/synthetic.yaml")};
    const auto set = [&](const std::string& value) { words.insert(words.end(), {"--set", value}); };
    set("name=" + name);
    set("rounds=" + std::to_string(rounds));
    set(kind == 1 ? "model.bytes=8MiB" : "model.bytes=5MiB");
    set(kind == 1 ? "model.tensors=4" : "model.tensors=7");
    set(kind == 1 ? "model.seed=1" : "model.seed=2");
    set(kind == 1 ? "transfer.encoding=native" : "transfer.encoding=int8");
    set("transfer.chunk_bytes=256KiB");
    const Outcome outcome = Tributary(words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  // "running", and the round that is under way, from `tributary list`.
  std::pair<std::string, int> StateOf(const std::string& job) {
    const std::string list = Tributary({"list"}).out;
    for (std::size_t at = 0; at < list.size(); at = list.find('\n', at) + 1) {
      char name[64], state[16];
      int round = -1;
      if (std::sscanf(list.c_str() + at, "%63s %15s round %d", name, state, &round) == 3 && name == job) return {state, round};
    }
    return {"", -1};
  }
  void AwaitRound(const std::string& job, int round) {
    for (int i = 0; i < 3000; ++i) {
      if (StateOf(job).second >= round) return;
      usleep(20'000);
    }
    FAIL() << job << " never gets to round " << round;
  }
  void Finish(const std::string& job) {
    const Outcome watched = Tributary({"status", job, "--watch"});
    EXPECT_EQ(watched.exit_code, 0) << watched.err;
    EXPECT_THAT(watched.out, HasSubstr(job + " is completed after"));
  }
  // Stops the job in the middle of a round and lets it go on to its end, soon. The rounds that it has then made.
  int End(const std::string& job) {
    EXPECT_EQ(Tributary({"stop", job}).exit_code, 0);
    const int rounds = StateOf(job).second + 3;
    const Outcome resumed = Tributary({"resume", job, "--set", "rounds=" + std::to_string(rounds)});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    Finish(job);
    return rounds;
  }
  std::string ModelOf(const std::string& job) {
    const std::string path = dir_.File("model-" + job);
    const Outcome exported = Tributary({"model", "export", job, path}, true);
    EXPECT_EQ(exported.exit_code, 0) << exported.err;
    return FileSha256(path + "/model.safetensors");
  }

  const TempDirectory dir_;
  std::string coordinator_;
  std::string store_;
  std::unique_ptr<Program> coordinator_process_;
  std::vector<std::unique_ptr<Program>> services_;
};

TEST_F(JobsSideBySide, TwoModelsAreTheSameAsAloneWhateverHappensToTheOthers) {
  Submit("first", 1, 5000);
  Submit("second", 2, 5000);
  AwaitRound("first", 1);
  AwaitRound("second", 1);
  EXPECT_EQ(StateOf("first").first, "running");
  EXPECT_EQ(StateOf("second").first, "running");
  // A third finds no trainer; it goes and nobody notices.
  Submit("third", 1, 2);
  EXPECT_EQ(StateOf("third").first, "queued");
  EXPECT_THAT(Tributary({"status", "third"}).out, AllOf(HasSubstr("state:  queued"), HasSubstr("waiting for 2 free trainers: 0 now")));
  const Outcome newest = Tributary({"status"});
  EXPECT_THAT(newest.out, HasSubstr("job:    second"));
  EXPECT_THAT(newest.err, HasSubstr("2 jobs run; this is second"));
  ASSERT_EQ(Tributary({"stop", "third"}).exit_code, 0);

  coordinator_process_->Kill(SIGKILL);
  coordinator_process_->Wait(seconds(10));
  StartCoordinator();
  const int before = StateOf("second").second;
  AwaitRound("first", StateOf("first").second + 2);
  AwaitRound("second", before + 2);
  const int first_rounds = End("first");
  AwaitRound("second", StateOf("second").second + 2);
  const int second_rounds = End("second");
  const Outcome logs = Tributary({"logs", "second"});
  EXPECT_THAT(logs.out, AllOf(HasSubstr("task second.r1.train.0"), Not(HasSubstr("task first"))));

  Submit("first-alone", 1, first_rounds);
  Finish("first-alone");
  Submit("second-alone", 2, second_rounds);
  Finish("second-alone");
  const std::string first = ModelOf("first");
  const std::string second = ModelOf("second");
  EXPECT_NE(first, second);
  EXPECT_EQ(first, ModelOf("first-alone"));
  EXPECT_EQ(second, ModelOf("second-alone"));
}

}  // namespace
}  // namespace tributary::e2e
