#include "services/cli/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Summary, HasTheKeysThatChecksRead) {
  MemoryLog memory;
  memory.OnStart("aggregator-0", getpid());
  std::vector<Supervisor::Child> children(1);
  children[0].process.service = "aggregator";
  children[0].process.instance = "aggregator-0";
  const TempDirectory directory;
  ASSERT_TRUE(memory.Open(directory.path()).ok());
  memory.SetPhase("aggregate");
  memory.Sample();

  RunOutcome outcome;
  outcome.job = "job";
  outcome.status = "completed";
  outcome.seconds = 1.5;
  outcome.model = "model/model.safetensors";
  wire::RoundStatus round;
  round.round = 1;
  round.participants = {"local/0", "local/1"};
  round.metrics = {{"train_loss", 2.5}, {"val_loss", 2.25}, {"bytes_deduplicated", 512}};
  round.bytes_up = 1024;
  round.dropped = {"local/2", "local/3"};
  round.dropped_because = {"its partition gets no record"};
  outcome.rounds.push_back(round);

  const Json summary = Json::parse(MakeSummary(outcome, children, memory).dump());
  EXPECT_EQ(summary["job"], "job");
  EXPECT_EQ(summary["status"], "completed");
  EXPECT_EQ(summary["rounds"][0]["participants"].size(), 2u);
  EXPECT_EQ(summary["rounds"][0]["metrics"]["val_loss"], 2.25);
  EXPECT_EQ(summary["rounds"][0]["bytes_up"], 1024);
  EXPECT_EQ(summary["rounds"][0]["dropped"], Json::parse(R"(["local/2", "local/3"])"));
  EXPECT_EQ(summary["rounds"][0]["dropped_because"], Json::parse(R"({"local/2": "its partition gets no record"})"));
  EXPECT_EQ(summary["rounds"][0]["bytes_deduplicated"], 512);
  EXPECT_FALSE(summary["rounds"][0]["metrics"].contains("bytes_deduplicated"));
  EXPECT_EQ(summary["services"][0]["pid"], getpid());
  EXPECT_GT(summary["services"][0]["peak_rss_bytes"].get<std::uint64_t>(), 1u << 20);
  EXPECT_GT(summary["services"][0]["phases"]["aggregate"]["peak_rss_bytes"].get<std::uint64_t>(), 1u << 20);
  EXPECT_EQ(summary["model"], "model/model.safetensors");

  const std::string text = SummaryText(summary, "/srv/run");
  EXPECT_THAT(text, HasSubstr("2.5000"));
  EXPECT_THAT(text, HasSubstr("2.2500"));
  EXPECT_THAT(text, HasSubstr("aggregator-0"));
  EXPECT_THAT(text, HasSubstr("/srv/run/model/model.safetensors"));
}

TEST(Summary, ARoundWithoutALossShowsADash) {
  const Json summary = Json::parse(
      R"({"job":"x","status":"completed","rounds":[{"round":1,"metrics":{}},{"round":2,"metrics":{"val_loss":1.5}}]})");
  const std::string text = SummaryText(summary, "/w");
  EXPECT_THAT(text, HasSubstr("  1             -  "));
  EXPECT_THAT(text, HasSubstr("  2        1.5000  "));
}

TEST(Summary, AColumnThatNoRoundHasIsLeftOut) {
  const Json summary = Json::parse(R"({"job":"x","status":"completed","rounds":[{"round":1,"metrics":{},"bytes_up":1024}]})");
  const std::string text = SummaryText(summary, "/w");
  EXPECT_THAT(text, Not(HasSubstr("loss")));
  EXPECT_THAT(text, Not(HasSubstr("tokens/s")));
  EXPECT_THAT(text, Not(HasSubstr(" -")));
  EXPECT_THAT(text, HasSubstr("1.0 KiB"));
}

}  // namespace
}  // namespace tributary::cli
