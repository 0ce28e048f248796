// The benchmarks at sizes that need no time: what they write, and what they refuse. How fast anything is stays untested here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "libs/base/testing/sanitized.h"
#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class Bench : public testing::Test {
 protected:
  Outcome Run(std::vector<std::string> words) {
    words.insert(words.begin(), {Binary("tributary"), "bench"});
    words.insert(words.end(), {"--json", json_, "--scratch", dir_.path().string()});
    return RunProgram(std::move(words), dir_, seconds(110));
  }
  Json Result() const {
    auto json = ReadJsonFile(json_);
    EXPECT_TRUE(json.ok()) << json.error().message();
    return json.ok() ? *json : Json::object();
  }
  // A number above zero at a path like "/baseline/bytes_per_second".
  void ExpectPositive(const Json& json, const std::string& path) const {
    const Json::json_pointer pointer(path);
    ASSERT_TRUE(json.contains(pointer)) << path << " is missing in " << json.dump(1);
    ASSERT_TRUE(json.at(pointer).is_number()) << path;
    EXPECT_GT(json.at(pointer).get<double>(), 0) << path;
  }
  bool ScratchIsLeft() const {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().filename().string().starts_with("tributary-bench-")) return true;
    }
    return false;
  }
  const TempDirectory dir_;
  const std::string json_ = dir_.File("bench.json");
};

TEST_F(Bench, AggregateTellsItsRateAndThatOfReading) {
  for (const char* dtype : {"f32", "f16", "bf16"}) {
    const Outcome outcome = Run({"aggregate", "--clients", "3", "--bytes", "1MiB", "--dtype", dtype, "--chunk-bytes", "64KiB", "--repeats", "1"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json json = Result();
    for (const char* key : {"/seconds", "/bytes_per_second", "/read_bytes_per_second", "/ratio"}) ExpectPositive(json, key);
    EXPECT_EQ(json.value("clients", 0), 3);
    EXPECT_EQ(json.value("bytes", 0), 1 << 20);
    EXPECT_EQ(json.value("dtype", ""), dtype);
    EXPECT_THAT(outcome.out, HasSubstr("GB/s"));
  }
}

TEST_F(Bench, TransferTellsBothDirectionsAndThePeakOfEachProcess) {
  const Outcome outcome = Run({"transfer", "--bytes", "8MiB", "--repeats", "2", "--memory-budget", "16MiB"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Result();
  EXPECT_EQ(json.value("bytes", 0), 8 << 20);
  EXPECT_EQ(json.value("chunk_bytes", 0), 1 << 20);
  for (const char* key : {"/baseline/bytes_per_second", "/baseline/hashed_bytes_per_second", "/modes/stream/put_bytes_per_second",
                          "/modes/stream/get_bytes_per_second", "/modes/stream/seconds", "/modes/stream/peak_rss_bytes/blob-store",
                          "/modes/stream/peak_rss_bytes/client"}) {
    ExpectPositive(json, key);
  }
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("bare"), HasSubstr("stream")));
  EXPECT_FALSE(ScratchIsLeft());
}

TEST_F(Bench, TransferMovesTheSameTensorsInEveryModeAndPlotsThem) {
  const std::string plot = dir_.File("modes.svg");
  const Outcome outcome = Run({"transfer", "--bytes", "32MiB", "--tensors", "4", "--repeats", "1", "--memory-budget", "16MiB", "--plot", plot});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Result();
  EXPECT_EQ(json.value("tensors", 0), 4);
  const std::string svg = ReadFile(plot);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_THAT(svg, AllOf(HasSubstr("prefers-color-scheme: dark"), HasSubstr(">MiB<"), HasSubstr(">seconds<")));
  const std::map<std::string, std::uint64_t> largest{{"stream", 1 << 20}, {"file", 1 << 20}, {"container", 8 << 20}, {"regular", 32 << 20}};
  for (const auto& [mode, message] : largest) {
    const std::string at = "/modes/" + mode;
    for (const char* key : {"/put_bytes_per_second", "/get_bytes_per_second", "/seconds", "/peak_rss_bytes/blob-store", "/peak_rss_bytes/client"}) {
      ExpectPositive(json, at + key);
    }
    EXPECT_EQ(json["modes"][mode].value("largest_message_bytes", std::uint64_t{0}), message) << mode;
    EXPECT_GE(json["modes"][mode].value("memory_budget_bytes", std::uint64_t{0}), 16u << 20) << mode;
    EXPECT_THAT(outcome.out, HasSubstr(mode));
    EXPECT_THAT(svg, HasSubstr(">" + mode + "<"));
  }
  // All at once is held at once, on both sides.
  for (const char* process : {"blob-store", "client"}) EXPECT_GE(json["modes"]["regular"]["peak_rss_bytes"].value(process, 0), 32 << 20) << process;
  EXPECT_FALSE(ScratchIsLeft());
}

TEST_F(Bench, TransferRefusesAMessageThatIsTooLarge) {
  const Outcome outcome = Run({"transfer", "--bytes", "1025MiB", "--mode", "regular", "--repeats", "1"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("regular"), HasSubstr("at most 1073741824")));
}

TEST_F(Bench, MemoryTellsEachProcessByOwnerWithAndWithoutStreaming) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory is above every ceiling, and at its highest at another moment";
  const std::string plot = dir_.File("memory.svg");
  const Outcome outcome = Run({"memory", "--bytes", "48MiB", "--real-model=false", "--plot", plot});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Result();
  for (const char* mode : {"stream", "regular"}) {
    for (const char* process : {"coordinator", "blob-store", "aggregator-0", "trainer-0", "trainer-1"}) {
      const std::string at = std::string("/modes/") + mode + "/processes/" + process;
      ExpectPositive(json, at + "/peak_rss_bytes");
      ExpectPositive(json, at + "/base_rss_bytes");
      ExpectPositive(json, at + "/ceiling_bytes");
      EXPECT_EQ(json.at(Json::json_pointer(at + "/torch_bytes")), 0) << at;
    }
  }
  // A whole model in one message is held in a buffer to be sent, and in a frame to be read.
  const Json& trainer = json["modes"]["regular"]["processes"]["trainer-0"];
  EXPECT_GE(trainer.value("pool_bytes", 0), 48 << 20);
  EXPECT_GE(trainer.value("zeromq_bytes", 0), 48 << 20);
  EXPECT_THAT(ReadFile(plot), AllOf(HasSubstr("ZeroMQ"), HasSubstr("trainer-0")));
  EXPECT_FALSE(ScratchIsLeft());
}

TEST_F(Bench, MemoryNamesACeilingThatWasExceeded) {
  const Outcome outcome = Run({"memory", "--bytes", "4MiB", "--real-model=false", "--ceiling", "1MiB"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("coordinator held"), HasSubstr("its ceiling is 1.0 MiB")));
  EXPECT_FALSE(Result()["exceeded"].empty());
}

TEST_F(Bench, AGridTellsWhetherPeaksFollowModelOrTrainers) {
  const Outcome outcome = Run({"memory", "--grid", "0.0625x1,0.0625x1"});
  const Json json = Result();
  // On a busy machine even the same job differs: what counts here is that the verdict is told.
  EXPECT_EQ(outcome.exit_code, json.at("exceeded").empty() ? 0 : 1) << outcome.err;
  ASSERT_EQ(json["grid"].size(), 2u);
  for (const char* service : {"coordinator", "blob-store", "aggregator", "trainer"}) {
    ExpectPositive(json["grid"][1], std::string("/peak_rss_bytes/") + service);
    const Json& spread = json["spread"][service];
    EXPECT_EQ(spread.value("flat", false), spread.value("bytes", 0) <= spread.value("allowed_bytes", 0)) << service;
  }
}

TEST_F(Bench, RoundTellsTheJobsTimeItsFloorAndThePeakOfEachService) {
  const Outcome outcome = Run({"round", "--bytes", "4MiB", "--trainers", "2", "--rounds", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Result();
  EXPECT_EQ(json.value("bytes", 0), 4 << 20);
  EXPECT_EQ(json.value("trainers", 0), 2);
  EXPECT_EQ(json.value("rounds", 0), 2);
  for (const char* key : {"/seconds", "/floor_seconds", "/floor/cpu_seconds", "/floor/disk_seconds", "/peak_rss_bytes/coordinator",
                          "/peak_rss_bytes/blob-store", "/peak_rss_bytes/aggregator", "/peak_rss_bytes/trainer"}) {
    ExpectPositive(json, key);
  }
  EXPECT_FALSE(ScratchIsLeft());
}

TEST_F(Bench, WrongWordsAreAUsageErrorThatNamesThem) {
  struct {
    std::vector<std::string> words;
    const char* named;
  } const cases[] = {
      {{"aggregate", "--dtype", "f64"}, "f64"},        {{"aggregate", "--clients", "0"}, "clients"},
      {{"aggregate", "--bytes", "many"}, "many"},      {{"transfer", "--chunk-bytes", "8MiB"}, "chunk-bytes"},
      {{"transfer", "--repeats", "0"}, "repeats"},     {{"transfer", "--color"}, "color"},
      {{"transfer", "--mode", "bulk"}, "bulk"},        {{"memory", "--grid", "2by4"}, "2by4"},
      {{"round", "--trainers", "0"}, "trainers"},      {{"round", "--memory-budget", "1KiB"}, "memory-budget"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = Run(c.words);
    EXPECT_EQ(outcome.exit_code, 2) << c.named;
    EXPECT_THAT(outcome.LastErrorLine(), HasSubstr(c.named));
  }
  EXPECT_EQ(RunProgram({Binary("tributary"), "bench"}, dir_).exit_code, 2);
  EXPECT_EQ(RunProgram({Binary("tributary"), "bench", "speed"}, dir_).exit_code, 2);
}

TEST_F(Bench, AScratchDirectoryThatIsNotThereIsNamed) {
  const Outcome outcome =
      RunProgram({Binary("tributary"), "bench", "transfer", "--bytes", "1MiB", "--scratch", dir_.File("nowhere")}, dir_);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), AllOf(HasSubstr("nowhere"), HasSubstr("--scratch")));
}

}  // namespace
}  // namespace tributary::e2e
