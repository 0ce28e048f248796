// The synthetic job through real processes: memory of every process, and the arithmetic of the result.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "libs/base/testing/sanitized.h"
#include "tests/e2e/support.h"
#include "tributary/tensor/safetensors.h"
#include "tributary/tfevents/event.h"
#include "tributary/tfevents/records.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kModelBytes = kSanitized ? 64u << 20 : 2ull << 30;

// Instances by the moment of their row.
std::map<std::string, std::set<std::string>> RowsOf(const std::string& csv) {
  std::map<std::string, std::set<std::string>> rows;
  std::istringstream lines(ReadFile(csv));
  std::string line;
  std::getline(lines, line);  // the names of the columns
  while (std::getline(lines, line)) {
    const auto first = line.find(',');
    const auto second = line.find(',', first + 1);
    rows[line.substr(0, first)].insert(line.substr(first + 1, second - first - 1));
  }
  return rows;
}

// The goal of the project in one assertion: 2 GiB pass through processes of at most 96 MiB each.
TEST(Synthetic, TwoGibibytesThroughServicesOfNinetySixMebibytes) {
  const TempDirectory dir;
  const std::string work = dir.File("run");
  const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=" + std::to_string(kModelBytes),
                               "--work-dir", work},
                              dir, seconds(540));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json summary = ReadSummary(work);
  EXPECT_EQ(summary.value("status", ""), "completed");
  for (const char* instance : {"coordinator", "blob-store", "aggregator-0", "trainer-0", "trainer-1"}) {
    if (!kSanitized) {
      EXPECT_LE(PeakMiB(summary, instance), 96.0) << instance;
    }
  }
  ASSERT_EQ(summary.value("rounds", Json::array()).size(), 2u);
  // Each trainer reads the model and sends an update: no byte is saved by not moving it.
  for (const Json& round : summary["rounds"]) {
    EXPECT_EQ(round.value("bytes_up", std::uint64_t{0}), 2 * kModelBytes);
    EXPECT_GE(round.value("bytes_down", std::uint64_t{0}), 2 * kModelBytes);
  }
  for (const Json& service : summary["services"]) EXPECT_EQ(service.value("restarts", -1), 0) << service.dump();
  // Each row of the logs has every process, and there are about as many rows as the job had seconds.
  for (const char* csv : {"/memory.csv", "/cpu.csv"}) {
    const auto rows = RowsOf(work + csv);
    EXPECT_GE(static_cast<double>(rows.size()), summary.value("seconds", 0.0) / 2) << csv;
    for (const auto& [at, instances] : rows) {
      EXPECT_EQ(instances, (std::set<std::string>{"aggregator-0", "blob-store", "coordinator", "trainer-0", "trainer-1"})) << csv << " at " << at;
    }
  }
}

// What TensorBoard reads: one file, an event for each round, every checksum right; the same command again adds nothing.
TEST(Synthetic, LeavesAnEventForEachRound) {
  const TempDirectory dir;
  const std::vector<std::string> words{Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=4MiB", "--set", "rounds=3", "--no-progress",
                                       "--work-dir", dir.File("run")};
  ASSERT_EQ(RunProgram(words, dir, seconds(120)).exit_code, 0);
  ASSERT_EQ(RunProgram(words, dir, seconds(120)).exit_code, 0);
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir.File("run/events"))) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_NE(files[0].find("/events.out.tfevents."), std::string::npos);
  const std::string text = ReadFile(files[0]);
  const tfevents::Records found = tfevents::ReadRecords(text);
  EXPECT_EQ(found.whole, text.size());
  ASSERT_EQ(found.records.size(), 4u);
  EXPECT_EQ(tfevents::DecodeEvent(found.records[0])->file_version, "brain.Event:2");
  for (std::int64_t round = 1; round <= 3; ++round) {
    const auto event = tfevents::DecodeEvent(found.records[static_cast<std::size_t>(round)]);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->step, round);
    EXPECT_EQ(event->values.at("bytes/up"), 2.0 * (4 << 20));
    EXPECT_GT(event->values.at("memory_peak_mib/blob-store"), 1);
  }
}

// A constant model: every element begins as c and after R rounds is c + R · (w0·1 + w1·2) up to fp32.
TEST(Synthetic, EveryElementIsTheWeightedMean) {
  const TempDirectory dir;
  const std::string work = dir.File("run");
  const Outcome outcome =
      RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=5MiB", "--set", "model.tensors=3",
           "--set", "model.fill=constant", "--set", "rounds=3", "--set", "strategy.weights=equal", "--work-dir", work, "--no-progress"},
          dir, seconds(120));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string path = work + "/model/model.safetensors";
  const auto header = tensor::ReadSafetensorsHeader(path);
  ASSERT_TRUE(header.ok()) << header.error().message();
  EXPECT_EQ(header->tensors.size(), 3u);
  std::ifstream in(path, std::ios::binary);
  for (const auto& stored : header->tensors) {
    std::vector<float> values(stored.bytes / sizeof(float));
    in.seekg(static_cast<std::streamoff>(stored.file_offset));
    in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(stored.bytes));
    ASSERT_TRUE(in);
    // 0.5, then 3 rounds of (1 + 2) / 2.
    const float first = values.front();
    for (const float value : values) ASSERT_EQ(value, first);
    EXPECT_FLOAT_EQ(first, 5.0f);
  }
}

std::uint64_t BytesOnDisk(const std::string& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat info {};
    if (entry.is_regular_file() && stat(entry.path().c_str(), &info) == 0) bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

// What the jobs do that are larger than the disk: every byte crosses the sockets, few lie on the disk, and nothing useless is left.
TEST(Synthetic, ATiledModelTakesTheRoomOfItsDistinctBytes) {
  const TempDirectory dir;
  const std::string work = dir.File("run");
  constexpr std::uint64_t kBytes = 256u << 20;
  const Outcome outcome =
      RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/large-model-128gb.yaml"), "--set", "model.bytes=256MiB", "--set",
                  "model.distinct=4MiB", "--set", "rounds=2", "--work-dir", work, "--no-progress"},
                 dir, seconds(300));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json summary = ReadSummary(work);
  for (const Json& round : summary["rounds"]) EXPECT_EQ(round.value("bytes_up", std::uint64_t{0}), 2 * kBytes);
  EXPECT_FALSE(summary.contains("model")) << "it is not exported";
  EXPECT_EQ(summary.value("model_digest", "").size(), 64u);
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(work + "/blob-store/objects")) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"jobs+large-model-128gb+models+2"});
  EXPECT_LT(BytesOnDisk(work + "/blob-store"), kBytes / 8);
  const Outcome scrub = RunProgram({Binary("tributary-blob-store"), "--scrub", "--data-dir", work + "/blob-store"}, dir);
  EXPECT_EQ(scrub.exit_code, 0) << scrub.out;
}

TEST(Synthetic, TheSameSeedGivesTheSameBytesForAnyNumberOfAggregators) {
  const TempDirectory dir;
  std::vector<std::string> digests;
  for (const char* aggregators : {"1", "3"}) {
    const std::string work = dir.File(std::string("run") + aggregators);
    const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=20MiB",
                                 "--aggregators", aggregators, "--work-dir", work, "--no-progress"},
                                dir, seconds(120));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    digests.push_back(FileSha256(work + "/model/model.safetensors"));
  }
  EXPECT_EQ(digests[0], digests[1]);
}

// libtorch is 152 MB: a synthetic job must not map it. Looked at while the trainers work, and bounded by the peak above.
TEST(Synthetic, NoProcessMapsLibtorch) {
  const TempDirectory dir;
  const std::string work = dir.File("run");
  Program program({Binary("tributary"), "run", SourceFile("deploy/jobs/synthetic.yaml"), "--set", "model.bytes=64MiB", "--set", "rounds=8",
                   "--work-dir", work, "--no-progress"},
                  dir);
  int looked = 0;
  while (program.Running()) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string process = entry.path().string();
      if (ReadFile(process + "/cmdline").find(work) == std::string::npos) continue;
      const std::string maps = ReadFile(process + "/maps");
      if (maps.empty()) continue;
      EXPECT_EQ(maps.find("libtorch"), std::string::npos) << ReadFile(process + "/comm");
      if (ReadFile(process + "/comm").rfind("tributary-train", 0) == 0) ++looked;
    }
  }
  EXPECT_EQ(program.Wait().exit_code, 0);
  EXPECT_GT(looked, 0) << "no trainer was seen";
}

}  // namespace
}  // namespace tributary::e2e
