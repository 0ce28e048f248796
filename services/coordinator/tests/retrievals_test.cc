// Retrievals as a state machine: no sockets, a clock moved by hand.
#include "services/coordinator/retrievals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kDigest(64, 'a');

class RetrievalsTest : public ::testing::Test {
 protected:
  static wire::Hello Hello(const std::string& site, const std::string& instance, std::vector<std::string> offers) {
    wire::Hello hello;
    hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
    hello.site = site;
    hello.instance = instance;
    hello.offers = std::move(offers);
    return hello;
  }
  void Connect(const std::string& site, const std::string& instance, std::vector<std::string> offers) {
    retrievals_.Connect(site + "/" + instance, Hello(site, instance, std::move(offers)), now_);
  }
  Result<wire::Retrieval> Ask(const std::string& request, const std::string& site = "a", const std::string& name = "scans") {
    return retrievals_.Ask({request, site, name, false}, now_);
  }
  std::vector<wire::TaskSpec> Tasks(const std::string& worker) {
    wire::Assignment assignment;
    retrievals_.AddTasks(worker, assignment);
    return assignment.tasks;
  }
  // The worker reports its only task; "" for a heartbeat without one.
  void Report(const std::string& worker, const std::string& task, wire::TaskState state = wire::TaskState::kRunning,
              const std::string& phase = "offer", std::uint64_t done = 0) {
    std::vector<wire::TaskReport> reports;
    if (!task.empty()) {
      wire::TaskReport report;
      report.task = task;
      report.state = static_cast<std::uint32_t>(state);
      report.phase = phase;
      report.done = done;
      report.total = 100;
      if (state == wire::TaskState::kDone) report.digest = kDigest;
      if (state == wire::TaskState::kFailed) {
        report.code = static_cast<std::int32_t>(Code::kNotFound);
        report.message = "it is\ngone";
      }
      reports.push_back(std::move(report));
    }
    retrievals_.TakeReports(worker, reports, now_);
    EXPECT_THAT(reports, IsEmpty());
  }
  void Pass(Duration duration) {
    now_ += duration;
    retrievals_.Tick(now_);
  }

  Duration now_{1'000'000};
  Retrievals retrievals_{RetrievalLimits{}, "life", {"tcp://store:7710"}};
};

TEST_F(RetrievalsTest, GoesFromATrainerToTheClientAndIsRemoved) {
  Connect("a", "t0", {"scans", "notes"});
  const auto asked = Ask("r1");
  ASSERT_TRUE(asked.ok()) << asked.error().message();
  EXPECT_EQ(asked->state, "waiting");
  EXPECT_THAT(asked->message, HasSubstr("trainer a/t0 is asked"));
  EXPECT_EQ(asked->object, "");  // not before it is whole
  EXPECT_THAT(retrievals_.TakeChanged(), ElementsAre("a/t0"));
  ASSERT_EQ(Tasks("a/t0").size(), 1u);
  const wire::TaskSpec task = Tasks("a/t0").front();
  EXPECT_EQ(task.kind, static_cast<std::uint32_t>(wire::TaskKind::kOffer));
  EXPECT_EQ(task.base, "scans");
  EXPECT_EQ(task.output, "offers/a/life-1");
  EXPECT_EQ(task.job, "");

  Report("a/t0", task.task, wire::TaskState::kRunning, "queued");
  EXPECT_THAT(Ask("r1")->message, HasSubstr("sends other objects first"));
  Report("a/t0", task.task, wire::TaskState::kRunning, "offer", 40);
  EXPECT_EQ(Ask("r1")->state, "sending");
  EXPECT_EQ(Ask("r1")->done, 40u);
  EXPECT_EQ(Ask("r1")->trainer, "t0");
  Report("a/t0", task.task, wire::TaskState::kDone);
  const auto done = Ask("r1");
  EXPECT_EQ(done->state, "done");
  EXPECT_EQ(done->object, "offers/a/life-1");
  EXPECT_EQ(done->digest, kDigest);
  EXPECT_THAT(done->blob_stores, testing::ElementsAre("tcp://store:7710"));
  // Reported for as long as it is there; a process that was started anew must not put it once more.
  EXPECT_EQ(Tasks("a/t0").size(), 1u);
  Connect("a", "t0", {"scans", "notes"});
  EXPECT_THAT(Tasks("a/t0"), IsEmpty());

  EXPECT_EQ(retrievals_.Ask({"r1", "", "", true}, now_)->state, "over");
  ASSERT_EQ(Tasks("a/t0").size(), 1u);
  EXPECT_EQ(Tasks("a/t0").front().kind, static_cast<std::uint32_t>(wire::TaskKind::kRemove));
  EXPECT_THAT(Tasks("a/t0").front().objects, ElementsAre("offers/a/life-1"));
  Report("a/t0", Tasks("a/t0").front().task, wire::TaskState::kDone);
  EXPECT_THAT(Tasks("a/t0"), IsEmpty());
}

TEST_F(RetrievalsTest, TellsWhatThereIsInstead) {
  EXPECT_EQ(Ask("r").error().code(), Code::kUnavailable);
  EXPECT_THAT(Ask("r").error().message(), HasSubstr("no site that is offers anything"));
  Connect("b", "t0", {"notes"});
  Connect("a", "t0", {});
  EXPECT_THAT(Ask("r", "c").error().message(), HasSubstr("no trainer of site 'c' is connected; sites that offer something: b"));
  EXPECT_EQ(Ask("r", "b").error().code(), Code::kNotFound);
  EXPECT_THAT(Ask("r", "b").error().message(), HasSubstr("site 'b' offers no 'scans'; it offers: notes"));
  EXPECT_THAT(Ask("r", "a").error().message(), HasSubstr("site 'a' offers nothing; its administrator lists"));
  EXPECT_EQ(Ask("../r", "b", "notes").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Ask("r", "b", "/etc/passwd").error().code(), Code::kInvalidArgument);
  const auto offers = retrievals_.Offers("", now_).offers;
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_EQ(offers[0].site, "b");
  EXPECT_EQ(offers[0].name, "notes");
  EXPECT_EQ(offers[0].trainers, 1u);
  EXPECT_THAT(retrievals_.Offers("a", now_).offers, IsEmpty());
}

TEST_F(RetrievalsTest, AFailureIsToldWithItsReasonAndWhatWasBegunIsRemoved) {
  Connect("a", "t0", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  Report("a/t0", "offers/a/life-1", wire::TaskState::kFailed);
  const auto failed = Ask("r");
  EXPECT_EQ(failed->state, "failed");
  EXPECT_EQ(failed->message, "it is gone");
  EXPECT_EQ(failed->code, static_cast<std::int32_t>(Code::kNotFound));
  ASSERT_TRUE(retrievals_.Ask({"r", "", "", true}, now_).ok());
  EXPECT_THAT(Tasks("a/t0").front().objects, ElementsAre("offers/a/life-1"));
}

TEST_F(RetrievalsTest, ASilentClientIsGoneAndWhatWasPutForItGoes) {
  Connect("a", "t0", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  for (int i = 0; i < 5; ++i) {
    Pass(Duration(10'000));
    Report("a/t0", "offers/a/life-1");
    ASSERT_TRUE(Ask("r").ok());
  }
  for (int i = 0; i < 3; ++i) {
    Report("a/t0", "offers/a/life-1");
    Pass(Duration(10'000));
  }
  ASSERT_EQ(Tasks("a/t0").size(), 1u);
  EXPECT_EQ(Tasks("a/t0").front().kind, static_cast<std::uint32_t>(wire::TaskKind::kRemove));
}

TEST_F(RetrievalsTest, AnotherTrainerOfTheSiteTakesOverAndItAloneCounts) {
  Connect("a", "t0", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  Report("a/t0", "offers/a/life-1", wire::TaskState::kRunning, "offer", 40);
  Connect("b", "t0", {"scans"});
  retrievals_.Disconnect("a/t0", now_);
  EXPECT_EQ(Ask("r")->state, "waiting");
  EXPECT_THAT(Ask("r")->message, HasSubstr("trainer a/t0 has been away"));
  Pass(Duration(20'000));
  EXPECT_THAT(Ask("r")->message, HasSubstr("has been away for 20"));  // nobody else of the site: it may come back
  Connect("a", "t1", {"scans"});
  EXPECT_EQ(Ask("r")->trainer, "t1");
  EXPECT_EQ(Tasks("a/t1").front().output, "offers/a/life-2");
  // The first one comes back with what it has: it is another object now, which is removed.
  Report("a/t0", "offers/a/life-1", wire::TaskState::kDone);
  EXPECT_EQ(Ask("r")->state, "waiting");
  bool removed = false;
  for (const std::string worker : {"a/t0", "a/t1", "b/t0"}) {
    for (const auto& task : Tasks(worker)) removed = removed || (!task.objects.empty() && task.objects.front() == "offers/a/life-1");
  }
  EXPECT_TRUE(removed);
}

TEST_F(RetrievalsTest, ATrainerThatLeavesOrOffersItNoLongerIsNotWaitedFor) {
  Connect("a", "t0", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  Connect("a", "t0", {"notes"});
  EXPECT_THAT(Ask("r")->message, HasSubstr("no trainer of site 'a' that offers 'scans' is connected"));
  Connect("a", "t1", {"scans"});
  EXPECT_EQ(Ask("r")->trainer, "t1");
  retrievals_.Forget("a/t1", now_);
  EXPECT_EQ(Ask("r")->trainer, "");
  // What was begun is removed by whoever is there and knows how.
  std::vector<std::string> objects;
  for (const auto& task : Tasks("a/t0")) objects.insert(objects.end(), task.objects.begin(), task.objects.end());
  EXPECT_THAT(objects, ElementsAre("offers/a/life-1", "offers/a/life-2"));
}

TEST_F(RetrievalsTest, TheLeastLoadedTrainerIsAskedAndThereIsALimit) {
  Connect("a", "t0", {"scans"});
  Connect("a", "t1", {"scans"});
  for (std::size_t i = 0; i < RetrievalLimits{}.retrievals; ++i) ASSERT_TRUE(Ask(fmt::format("r{}", i)).ok());
  EXPECT_EQ(Tasks("a/t0").size(), Tasks("a/t1").size());
  EXPECT_EQ(Ask("more").error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(Ask("r0").ok());
  EXPECT_EQ(Ask("r0", "a", "notes").error().code(), Code::kConflict);
}

TEST_F(RetrievalsTest, ReportsOfOthersTasksChangeNothing) {
  Connect("a", "t0", {"scans"});
  Connect("a", "t1", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  const std::string other = Ask("r")->trainer == "t0" ? "a/t1" : "a/t0";
  Report(other, "offers/a/life-1", wire::TaskState::kDone);
  Report(other, "offers/a/life-1/remove", wire::TaskState::kDone);
  Report("nobody", "offers/a/life-1", wire::TaskState::kDone);
  EXPECT_EQ(Ask("r")->state, "waiting");
  std::vector<wire::TaskReport> reports(2);
  reports[0].task = "job.r1.train.0";
  reports[1].task = "offers/old-9";
  retrievals_.TakeReports(other, reports, now_);
  ASSERT_EQ(reports.size(), 1u);  // the federation's
  EXPECT_EQ(reports[0].task, "job.r1.train.0");
  // What an earlier coordinator asked for is removed by whoever has it.
  ASSERT_EQ(Tasks(other).size(), 1u);
  EXPECT_THAT(Tasks(other).front().objects, ElementsAre("offers/old-9"));
  Report(other, "offers/old-9/remove", wire::TaskState::kDone);
  EXPECT_THAT(Tasks(other), IsEmpty());
}

TEST_F(RetrievalsTest, DoneWithoutADigestIsAFailure) {
  Connect("a", "t0", {"scans"});
  ASSERT_TRUE(Ask("r").ok());
  std::vector<wire::TaskReport> reports(1);
  reports[0].task = "offers/a/life-1";
  reports[0].state = static_cast<std::uint32_t>(wire::TaskState::kDone);
  retrievals_.TakeReports("a/t0", reports, now_);
  EXPECT_EQ(Ask("r")->state, "failed");
}

TEST_F(RetrievalsTest, AHelloWithBadOffersIsRefused) {
  EXPECT_FALSE(Retrievals::Check(Hello("a", "t", {"../x"})).ok());
  EXPECT_FALSE(Retrievals::Check(Hello("a", "t", std::vector<std::string>(65, "x"))).ok());
  EXPECT_TRUE(Retrievals::Check(Hello("a", "t", {"x"})).ok());
}

}  // namespace
}  // namespace tributary::service
