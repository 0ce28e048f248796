#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "services/cli/report/page.h"
#include "services/cli/report/report_data.h"

namespace tributary::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

wire::RoundStatus Round(std::uint32_t number) {
  wire::RoundStatus round;
  round.round = number;
  round.seconds = 12.5;
  round.participants = {"site/0", "site/1"};
  round.metrics = {{"train_loss", 5.0 / number}, {"val_loss", 6.0 / number}, {"seconds_train", 10}, {"seconds_seal", 1}};
  round.bytes_up = 1u << 20;
  round.bytes_down = 2u << 20;
  return round;
}

ReportData Completed(std::uint32_t rounds) {
  ReportData data;
  data.source = "the work directory /srv/run";
  data.job = "quickstart";
  data.state = "completed";
  data.seconds = 80;
  data.from_work_dir = true;
  data.memory_budget = 64u << 20;
  for (std::uint32_t i = 1; i <= rounds; ++i) data.rounds.push_back(Round(i));
  data.services = {{"blob-store", "blob-store", 40.0 * (1 << 20), 3, 0, {{"train", 30.0 * (1 << 20)}}}, {"trainer", "trainer-0", 300.0 * (1 << 20), 60, 0, {}}};
  data.memory.emplace();
  for (int second = 0; second < 60; ++second) {
    data.memory->Add(1e9 + second, "blob-store", 3e7, "train");
    data.memory->Add(1e9 + second, "trainer-0", 3e8, "train");
  }
  return data;
}

// A tag that is opened with what a browser fetches.
void ExpectSelfContained(const std::string& page) {
  for (const char* part : {"http://", "https://", "src=", "url(", "@import", "<link rel=\"stylesheet", "<iframe", "<object"}) EXPECT_THAT(page, Not(HasSubstr(part)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

TEST(ReportPage, HasEveryPartOfACompletedRun) {
  const std::string page = ReportPage(Completed(5));
  for (const char* part : {"✓ completed", "id=\"loss\"", "id=\"memory-servers\"", "id=\"memory-trainers\"", "id=\"rounds\"", "id=\"bytes\"", "budget 64.0 MiB", "from 6 in round 1"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(page, Not(HasSubstr("To look at")));
  ExpectSelfContained(page);
}

TEST(ReportPage, OfARunWithoutARoundSaysSo) {
  ReportData data;
  data.job = "empty";
  data.from_work_dir = true;
  const std::string page = ReportPage(data);
  EXPECT_THAT(page, HasSubstr("not ended"));
  EXPECT_THAT(page, HasSubstr("nothing to draw"));
  ExpectSelfContained(page);
}

TEST(ReportPage, OfOneRound) {
  const std::string page = ReportPage(Completed(1));
  EXPECT_THAT(page, HasSubstr("in round 1"));
  ExpectSelfContained(page);
}

TEST(ReportPage, OfAThousandRoundsStaysSmallAndTellsWhatItMerged) {
  const std::string page = ReportPage(Completed(1000));
  EXPECT_LT(page.size(), 1'000'000u);
  EXPECT_THAT(page, HasSubstr("One bar stands for 10 rounds"));
  EXPECT_THAT(page, HasSubstr("One point stands for 3 rounds"));
  EXPECT_THAT(page, HasSubstr("(the last 400 of 1000)"));
  ExpectSelfContained(page);
}

TEST(ReportPage, LetsNoPeerWriteMarkup) {
  const std::string evil = "</title></script><script>alert(1)</script><img src=x>\"'";
  ReportData data = Completed(2);
  data.job = data.message = data.state = data.source = data.model = data.model_digest = evil;
  data.missing = {evil};
  data.rounds[0].dropped = {evil};
  data.rounds[0].dropped_because = {evil};
  data.rounds[1].metrics[evil] = 1;
  data.services[0].instance = evil;
  data.services[0].phase_peaks = {{evil, 1}};
  data.memory->Add(1e9 + 60, evil, 1, evil);
  data.seats.push_back({evil, evil, evil, 1, 2, evil, {}});
  const std::string page = ReportPage(data);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("&lt;img src=x&gt;"));
}

TEST(NoticeSection, NamesWhatSomebodyShouldLookAt) {
  ReportData data = Completed(3);
  data.message = "round 3 has 1 of the 2 updates";
  data.rounds[1].dropped = {"site/1", "site/2"};
  data.rounds[1].dropped_because = {"its update is not finite"};
  data.services[0].restarts = 2;
  data.services[0].peak_rss_bytes = 200.0 * (1 << 20);
  const std::string html = NoticeSection(data);
  EXPECT_THAT(html, HasSubstr("round 3 has 1 of the 2 updates"));
  EXPECT_THAT(html, HasSubstr("1 round went without site/1 (its update is not finite), site/2."));
  EXPECT_THAT(html, HasSubstr("Restarted: blob-store (2 times)"));
  EXPECT_THAT(html, HasSubstr("Above the budget by more than 32.0 MiB"));
  EXPECT_EQ(NoticeSection(Completed(3)), "");
}

TEST(ReportOfStatus, SaysWhatACoordinatorDoesNotTell) {
  wire::JobStatus status;
  status.job = "job-1";
  status.state = "running";
  status.rounds = 9;
  status.finished = {Round(1)};
  status.seats.push_back({"site/0", "trainer-0", "train", 3, 10, "steps", {{"train_loss", 1.5}}});
  const std::string page = ReportPage(ReportOfStatus(status, "tcp://host:7700"));
  EXPECT_THAT(page, HasSubstr("… running"));
  EXPECT_THAT(page, HasSubstr("of 9"));
  EXPECT_THAT(page, HasSubstr("are not told by a coordinator"));
  EXPECT_THAT(page, HasSubstr("3 of 10 steps"));
  EXPECT_THAT(page, Not(HasSubstr("id=\"memory-servers\"")));
}

TEST(ReadWorkDir, TakesWhatIsThere) {
  const TempDirectory dir;
  EXPECT_FALSE(IsWorkDir(dir.path()));
  std::ofstream(dir.File("memory.csv")) << "unix_seconds,instance,pid,rss_bytes,rss_peak_bytes,phase\n1.0,coordinator,7,4096,8192,start\n";
  ASSERT_TRUE(IsWorkDir(dir.path()));
  auto running = ReadWorkDir(dir.path());
  ASSERT_TRUE(running.ok());
  EXPECT_EQ(running->state, "");
  EXPECT_THAT(NoticeSection(*running), HasSubstr("no summary.json yet"));
  EXPECT_THAT(ReportPage(*running), HasSubstr("4.0 KiB"));

  std::ofstream(dir.File("summary.json")) << R"({"job": "j", "status": "failed", "message": "why", "seconds": "soon", "memory_budget_bytes": -5,
    "rounds": [7, {"round": 1, "metrics": {"train_loss": "x", "val_loss": 2}, "participants": [1, "a/0"], "bytes_up": 1e300,
      "dropped": ["a/1", "a/2"], "dropped_because": {"a/2": "late", "a/1": 5}}], "services": {"a": 1}})";
  const auto data = ReadWorkDir(dir.path());
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->seconds, 0) << "what is of another type counts as absent";
  ASSERT_EQ(data->rounds.size(), 1u);
  EXPECT_EQ(data->rounds[0].metrics, (std::map<std::string, double>{{"val_loss", 2}}));
  EXPECT_EQ(data->rounds[0].participants, (std::vector<std::string>{"a/0"}));
  EXPECT_EQ(data->rounds[0].dropped_because, (std::vector<std::string>{"", "late"}));
  ExpectSelfContained(ReportPage(*data));

  std::ofstream(dir.File("summary.json")) << "[]";
  EXPECT_EQ(ReadWorkDir(dir.path()).error().code(), Code::kInvalidArgument);
}

TEST(Table, ShowsTheLastRowsOfMany) {
  TableData table{"Rounds", {"round", "loss"}, {}};
  for (int i = 0; i < 10; ++i) table.rows.push_back({std::to_string(i), "<1>"});
  const std::string html = Table(table, 4);
  EXPECT_THAT(html, HasSubstr("(the last 4 of 10)"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">6</th><td>&lt;1&gt;</td>"));
  EXPECT_THAT(html, Not(HasSubstr(">5</th>")));
}

}  // namespace
}  // namespace tributary::cli
