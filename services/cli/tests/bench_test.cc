#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <tuple>

#include "libs/base/testing/temp_directory.h"
#include "services/cli/bench/forked.h"
#include "services/cli/bench/pair.h"
#include "services/cli/bench/rates.h"
#include "services/cli/bench/scrape.h"
#include "services/cli/bench/transfer_client.h"
#include "tributary/chart/bar_chart.h"

namespace tributary::cli {
namespace {

using testing::HasSubstr;

TEST(Forked, GivesTheResultWhatTheProcessUsedAndWhatItTold) {
  const pid_t here = getpid();
  auto forked = Forked::Start("child", [&](const Forked::Tell& tell) -> Result<Json> {
    tell("one line {with braces}");
    return Json{{"other", getpid() != here}};
  });
  ASSERT_TRUE(forked.ok());
  const auto told = forked->Told();
  ASSERT_TRUE(told.ok()) << told.error().message();
  EXPECT_EQ(*told, "one line {with braces}");
  const auto outcome = forked->Finish();
  ASSERT_TRUE(outcome.ok()) << outcome.error().message();
  EXPECT_EQ(outcome->value, (Json{{"other", true}}));
  EXPECT_GT(outcome->peak_rss_bytes, 0u);
}

TEST(Forked, AnErrorOfTheChildIsTheParents) {
  for (const bool told_first : {false, true}) {
    auto forked = Forked::Start("child", [](const Forked::Tell&) -> Result<Json> { return MakeError(Code::kDataLoss, "a bit is gone"); });
    ASSERT_TRUE(forked.ok());
    const Status status = told_first ? forked->Told().status() : forked->Finish().status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), Code::kDataLoss);
    EXPECT_THAT(status.error().message(), HasSubstr("child: a bit is gone"));
  }
}

TEST(Forked, AChildThatDiesIsNamed) {
  auto forked = Forked::Start("poor child", [](const Forked::Tell&) -> Result<Json> { _exit(3); });
  ASSERT_TRUE(forked.ok());
  const auto outcome = forked->Finish();
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message(), HasSubstr("poor child"));
}

TEST(Pair, MovesEveryMessageInBothDirections) {
  for (const bool router_sends : {false, true}) {
    transport::BarePair pair;
    pair.router_sends = router_sends;
    pair.messages = 20;
    pair.message_bytes = 64 << 10;
    const auto run = RunPair("tcp://127.0.0.1:*", pair, true);
    ASSERT_TRUE(run.ok()) << run.error().message();
    EXPECT_GT(run->bytes_per_second, 0);
  }
}

TEST(Floor, CountsEveryByteOfAJob) {
  // Two rounds, three trainers, S = 10: the first model; then 3 updates and a mean a round; each trainer gets a model a round, the
  // aggregator each update; the export.
  const JobBytes bytes = BytesOfJob(10, 3, 2);
  EXPECT_EQ(bytes.hashed, 10u + 2 * 40u);
  EXPECT_EQ(bytes.read, 2 * 60u + 10u);
  EXPECT_EQ(bytes.moved, bytes.hashed + bytes.read);
  EXPECT_EQ(bytes.written, bytes.hashed + 10u);
  EXPECT_EQ(bytes.synced, 10u + 20u + 10u);
}

TEST(Floor, IsTheSlowerOfProcessorsAndDisk) {
  JobBytes bytes;
  bytes.moved = 100;
  bytes.hashed = 10;
  bytes.written = 20;
  bytes.read = 30;
  bytes.synced = 5;
  Rates rates;
  rates.socket_cpu = 1;
  rates.sha256_cpu = 2;
  rates.write_cpu = 3;
  rates.read_cpu = 4;
  rates.cores = 2;
  rates.sync_wall = 1;
  EXPECT_DOUBLE_EQ(FloorOf(bytes, rates).seconds(), (100 + 20 + 60 + 120) / 2.0);
  rates.sync_wall = 1000;
  EXPECT_DOUBLE_EQ(FloorOf(bytes, rates).seconds(), 5000);
}

TEST(TransferMode, TheBudgetHoldsTheLargestMessageTwice) {
  TransferPlan plan;
  plan.bytes = 96_MiB;
  plan.tensors = 3;
  plan.chunk_bytes = 1_MiB;
  plan.memory_budget = 64_MiB;
  for (const auto& [name, message, budget] : {std::tuple{"stream", 1_MiB, 64_MiB}, {"file", 1_MiB, 64_MiB}, {"container", 32_MiB, 65_MiB},
                                              {"regular", 96_MiB, 193_MiB}}) {
    const auto mode = ModeOf(name, plan);
    ASSERT_TRUE(mode.ok()) << name;
    EXPECT_EQ(mode->largest_message, message) << name;
    EXPECT_EQ(mode->memory_budget, budget) << name;
  }
  plan.bytes = 3_GiB;
  EXPECT_TRUE(ModeOf("container", plan).ok());
  EXPECT_THAT(ModeOf("regular", plan).error().message(), HasSubstr("at most 1073741824"));
}

TEST(Scrape, TakesNumbersByNameAndLabels) {
  const Samples samples = ParseMetrics("# HELP a b\na 1\nb{x=\"y z\"} 2.5e3\nnonsense\nc NaNsense x\n");
  EXPECT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples.at("a"), 1);
  EXPECT_EQ(samples.at("b{x=\"y z\"}"), 2500);
  EXPECT_EQ(ScrapeMetrics("nowhere").error().code(), Code::kInvalidArgument);
}

TEST(Chart, IsOneDocumentWithEveryLabelAndUnit) {
  const std::string svg = chart::BarChart("Title & <more>", {{"Panel", "MiB", {"one", "two"}, {{"a", {1, 2}}, {"b", {0, 1500}}}, false},
                                                      {"Stacked", "seconds", {"three"}, {{"c", {0}}, {"d", {0}}}, true}});
  for (const char* text : {"Title &amp; &lt;more&gt;", ">MiB<", ">seconds<", ">one<", ">three<", ">b<", ">1500<"}) EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Scratch, IsGoneAfterwards) {
  const TempDirectory parent;
  std::string file;
  {
    const auto scratch = Scratch::Make(parent.path().string());
    ASSERT_TRUE(scratch.ok());
    file = scratch->File("x");
    const auto rates = MeasureRates(*scratch, 1_MiB);
    ASSERT_TRUE(rates.ok()) << rates.error().message();
    EXPECT_GT(rates->sync_wall, 0);
  }
  EXPECT_TRUE(std::filesystem::is_empty(parent.path()));
}

}  // namespace
}  // namespace tributary::cli
