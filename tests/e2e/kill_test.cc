// SIGKILL at seeded moments: the job ends with the same bytes as one that nobody touched.
//
// TRIBUTARY_KILLS (default 2) kills of each service; ten are run by tests/e2e/kill-each-service-ten-times.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/e2e/support.h"
#include "tributary/base/random.h"

namespace tributary::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr const char* kJob = R"(name: kill
rounds: 4
participants: {min: 2, fraction: 1.0, quorum: 2, round_deadline: 2m, seed: 1}
tasks: [train, validate]
model: {family: gpt2, layers: 2, heads: 2, hidden: 128, positions: 64, seed: 7}
data: {name: text, format: text, partition: {scheme: by-file, count: 2, seed: 1}}
train: {mode: step, steps: 25, batch_size: 8, learning_rate: 1e-3, schedule: cosine, max_length: 64}
strategy: {name: fedavg, weights: samples}
transfer: {chunk_bytes: 8KiB}
)";

int Kills() {
  const char* set = std::getenv("TRIBUTARY_KILLS");
  return set != nullptr ? std::max(1, std::atoi(set)) : 2;
}

// When to kill: at a line of a log, and a random while after it.
struct Moment {
  const char* phase;
  const char* log;   // in the work directory
  const char* task;  // "{}" is the round
  int at_most_ms;    // after the line
};
constexpr Moment kMoments[] = {
    {"download", "sites/local/1/log", "task kill.r{}.validate.1: download", 20},
    {"training", "sites/local/1/log", "task kill.r{}.train.1: train", 1000},
    {"upload", "sites/local/1/log", "task kill.r{}.train.1: upload", 40},
    {"aggregation", "logs/aggregator-0.log", "task kill.r{}.aggregate.0: aggregate", 40},
    {"seal", "logs/aggregator-0.log", "task kill.r{}.seal.0: seal", 5},
};

// The newest row of memory.csv about this instance: its process.
pid_t Newest(const std::string& work, const std::string& instance) {
  std::ifstream in(work + "/memory.csv");
  pid_t process = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::string time, name, pid;
    std::getline(cells, time, ',');
    std::getline(cells, name, ',');
    std::getline(cells, pid, ',');
    if (name == instance) process = static_cast<pid_t>(std::atoi(pid.c_str()));
  }
  return process;
}

class Kill : public testing::Test {
 protected:
  void SetUp() override {
    WriteFile(dir_.File("job.yaml"), kJob);
    std::filesystem::create_directories(dir_.File("text"));
    for (int i = 0; i < 4; ++i) WriteFile(dir_.File("text/part" + std::to_string(i)), SampleText(static_cast<std::uint64_t>(i), 20000));
  }

  std::vector<std::string> Words(const std::string& work) const {
    std::vector<std::string> words{Binary("tributary"), "run",         dir_.File("job.yaml"), "--data", "text=" + dir_.File("text"),
                                   "--work-dir",        dir_.File(work), "--no-progress"};
    for (const std::string& set : sets_) words.insert(words.end(), {"--set", set});
    if (work != "reference") words.insert(words.end(), words_.begin(), words_.end());
    return words;
  }

  std::string ModelDigest(const std::string& work) const { return FileSha256(dir_.File(work) + "/model/model.safetensors"); }

  // The run that nobody touches, and how long it takes.
  void RunReference() {
    const auto begun = steady_clock::now();
    const Outcome outcome = RunProgram(Words("reference"), dir_);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    length_ = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);
    expected_ = ModelDigest("reference");
  }

  // Each moment in turn, in a random round but the last (whose end no aggregator is needed for); `first` so that few kills of each service meet all moments together.
  void KillOften(const std::string& instance, std::uint64_t seed, std::size_t first) {
    RunReference();
    SplitMix64 random(seed);
    for (int i = 0; i < Kills(); ++i) {
      const Moment& moment = kMoments[(first + static_cast<std::size_t>(i)) % std::size(kMoments)];
      const std::string line = fmt::format(fmt::runtime(moment.task), 1 + random.NextBelow(3));
      const milliseconds delay(random.NextBelow(static_cast<std::uint64_t>(moment.at_most_ms)));
      const std::string when = fmt::format("{} killed in {}, {} ms after '{}'", instance, moment.phase, delay.count(), line);
      const std::string work = instance + "-" + std::to_string(i);
      Program program(Words(work), dir_);
      while (program.Running() && ReadFile(dir_.File(work + "/" + moment.log)).find(line) == std::string::npos) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      const pid_t victim = Newest(dir_.File(work), instance);
      ASSERT_NE(victim, 0) << when;
      std::this_thread::sleep_for(delay);
      ASSERT_TRUE(program.Running()) << "the run ended too early: " << when;
      kill(victim, SIGKILL);
      const Outcome outcome = program.Wait(seconds(240));
      ASSERT_EQ(outcome.exit_code, 0) << when << "\n" << outcome.err;
      EXPECT_EQ(ModelDigest(work), expected_) << when;
      EXPECT_NE(outcome.err.find(instance + " restarted"), std::string::npos) << "the restart is not told:\n" << outcome.err;
      fmt::print("{}: the same model\n", when);
    }
  }

  const TempDirectory dir_;
  milliseconds length_{0};
  std::string expected_;
  std::vector<std::string> sets_;   // of the job
  std::vector<std::string> words_;  // of the runs that are disturbed
};

TEST_F(Kill, BlobStore) { KillOften("blob-store", 11, 2); }
// The model is that of a run with one blob-store.
TEST_F(Kill, OneOfTheBlobStoresShards) {
  words_ = {"--shards", "2"};
  KillOften("blob-store-1", 17, 3);
}
TEST_F(Kill, Coordinator) { KillOften("coordinator", 12, 4); }
TEST_F(Kill, Aggregator) { KillOften("aggregator-0", 13, 3); }
// Between a slot of the model and its encoded form, among other moments.
TEST_F(Kill, AggregatorThatEncodesABroadcast) {
  sets_ = {"transfer.broadcast=int8", "transfer.encoding=int8", "transfer.delta=true"};
  KillOften("aggregator-0", 16, 3);
}
TEST_F(Kill, Trainer) { KillOften("trainer-1", 14, 0); }

TEST_F(Kill, TributaryRunItselfResumes) {
  RunReference();
  SplitMix64 random(15);
  const std::string work = "resumed";
  int killed = 0;
  for (int i = 0; i < Kills(); ++i) {
    Program program(Words(work), dir_);
    std::this_thread::sleep_for(milliseconds(static_cast<int>((0.15 + 0.5 * random.NextUnit()) * static_cast<double>(length_.count()))));
    if (!program.Running()) break;
    program.Kill(SIGKILL);
    program.Wait(seconds(10));
    ++killed;
    // Its children must be gone, or the next run would meet them.
    const pid_t blob_store = Newest(dir_.File(work), "blob-store");
    const auto deadline = steady_clock::now() + seconds(5);
    while (blob_store != 0 && kill(blob_store, 0) == 0 && steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  EXPECT_GT(killed, 0);
  const Outcome outcome = RunProgram(Words(work), dir_);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(ModelDigest(work), expected_);
}

}  // namespace
}  // namespace tributary::e2e
