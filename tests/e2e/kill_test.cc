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
transfer: {chunk_bytes: 16KiB}
)";

int Kills() {
  const char* set = std::getenv("TRIBUTARY_KILLS");
  return set != nullptr ? std::max(1, std::atoi(set)) : 2;
}

struct Process {
  pid_t pid = 0;
  std::string phase;
};

// The newest row of memory.csv about this instance: its process and the phase the job is in.
Process Newest(const std::string& work, const std::string& instance) {
  std::ifstream in(work + "/memory.csv");
  Process process;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::string time, name, pid, rss, peak, phase;
    std::getline(cells, time, ',');
    std::getline(cells, name, ',');
    std::getline(cells, pid, ',');
    std::getline(cells, rss, ',');
    std::getline(cells, peak, ',');
    std::getline(cells, phase, ',');
    if (name == instance) process = {static_cast<pid_t>(std::atoi(pid.c_str())), phase};
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
    return {Binary("tributary"), "run",         dir_.File("job.yaml"), "--data", "text=" + dir_.File("text"),
            "--work-dir",        dir_.File(work), "--no-progress"};
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

  void KillOften(const std::string& instance, std::uint64_t seed) {
    RunReference();
    SplitMix64 random(seed);
    for (int i = 0; i < Kills(); ++i) {
      const std::string work = instance + "-" + std::to_string(i);
      // Anywhere between the start and just before the end of an undisturbed run.
      const milliseconds delay(static_cast<int>(random.NextUnit() * 0.9 * static_cast<double>(length_.count())));
      Program program(Words(work), dir_);
      const auto begun = steady_clock::now();
      Process victim;
      while (program.Running() && (steady_clock::now() - begun < delay || victim.pid == 0)) {
        std::this_thread::sleep_for(milliseconds(5));
        victim = Newest(dir_.File(work), instance);
      }
      ASSERT_NE(victim.pid, 0) << "the run ended before " << instance << " was seen";
      kill(victim.pid, SIGKILL);
      const Outcome outcome = program.Wait(seconds(240));
      ASSERT_EQ(outcome.exit_code, 0) << instance << " killed after " << delay.count() << " ms in phase " << victim.phase << "\n" << outcome.err;
      EXPECT_EQ(ModelDigest(work), expected_) << instance << " killed after " << delay.count() << " ms in phase " << victim.phase;
      EXPECT_NE(outcome.err.find(instance + " restarted"), std::string::npos) << "the restart is not told:\n" << outcome.err;
      fmt::print("{} killed after {} ms, in phase {}: the same model\n", instance, delay.count(), victim.phase);
    }
  }

  const TempDirectory dir_;
  milliseconds length_{0};
  std::string expected_;
};

TEST_F(Kill, BlobStore) { KillOften("blob-store", 11); }
TEST_F(Kill, Coordinator) { KillOften("coordinator", 12); }
TEST_F(Kill, Aggregator) { KillOften("aggregator-0", 13); }
TEST_F(Kill, Trainer) { KillOften("trainer-1", 14); }

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
    const Process blob_store = Newest(dir_.File(work), "blob-store");
    const auto deadline = steady_clock::now() + seconds(5);
    while (blob_store.pid != 0 && kill(blob_store.pid, 0) == 0 && steady_clock::now() < deadline) {
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
