#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs.h"
#include "tributary/job/job.h"

namespace tributary::job {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(ParseOverride, PathAndValue) {
  const auto change = ParseOverride("model.bytes=2GiB");
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->path, "model.bytes");
  EXPECT_EQ(change->value, "2GiB");
  EXPECT_EQ(ParseOverride("data.path=/a=b")->value, "/a=b");
  for (const char* bad : {"", "=1", "model.bytes"}) {
    EXPECT_THAT(ParseOverride(bad).error().message(), HasSubstr("expected path.to.key=value")) << bad;
  }
}

TEST(Overrides, ReplaceAddAndRemove) {
  const auto job = ParseJob(kText, "job.yaml",
                            {{"rounds", "9"}, {"tasks", "[train, validate]"}, {"checkpoint.every", "2"},
                             {"participants", "{quorum: 2}"}, {"train.max_length", "null"}});
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_EQ(job->rounds, 9u);
  EXPECT_TRUE(job->validate);
  EXPECT_EQ(job->checkpoint.every, 2u);
  EXPECT_EQ(job->participants.quorum, 2u);
  EXPECT_EQ(job->train.max_length, 128u);
}

TEST(Overrides, TheLastOneWins) {
  EXPECT_EQ(ParseJob(kText, "f", {{"rounds", "4"}, {"rounds", "5"}})->rounds, 5u);
}

TEST(Overrides, ErrorsNameTheFlag) {
  const auto error = [](const Override& change) { return ParseJob(kText, "job.yaml", {change}).error().message(); };
  EXPECT_EQ(error({"rounds", "x"}), "--set rounds: got 'x', expected a whole number of 1 to 1000000");
  EXPECT_EQ(error({"train.stepz", "2"}), "--set train.stepz: unknown key; did you mean 'steps'?");
  EXPECT_EQ(error({"participants", "{quorum: x}"}),
            "--set participants: participants.quorum: got 'x', expected a whole number of 1 to 65536");
  EXPECT_THAT(error({"rounds.x", "1"}), StartsWith("--set rounds.x: there is no 'x' below '3'"));
  EXPECT_THAT(error({"train..steps", "1"}), HasSubstr("keys joined by dots"));
  EXPECT_THAT(error({"", "1"}), HasSubstr("keys joined by dots"));
  EXPECT_THAT(error({"name", "[a"}), StartsWith("--set name: not valid YAML"));
  EXPECT_THAT(error({"name", "*a"}), StartsWith("--set name: "));
}

TEST(MergeOverrides, GivesTextThatParsesToTheSameJob) {
  const std::vector<Override> changes = {
      {"rounds", "9"}, {"data.path", "\"/srv/with: colon # and \\\"quote\\\"\""}, {"tasks", "[train, validate]"},
      {"train.learning_rate", "1e-3"}, {"participants.round_deadline", "90s"}};
  const auto merged = MergeOverrides(kText, "job.yaml", changes);
  ASSERT_TRUE(merged.ok()) << merged.error().message();
  const auto direct = ParseJob(kText, "job.yaml", changes);
  const auto again = ParseJob(*merged, "merged");
  ASSERT_TRUE(direct.ok()) << direct.error().message();
  ASSERT_TRUE(again.ok()) << again.error().message() << "\n" << *merged;
  EXPECT_EQ(again->rounds, 9u);
  EXPECT_EQ(again->data.path, "/srv/with: colon # and \"quote\"");
  EXPECT_EQ(again->data.path, direct->data.path);
  EXPECT_TRUE(again->validate);
  EXPECT_EQ(again->train.learning_rate, direct->train.learning_rate);
  EXPECT_EQ(again->participants.round_deadline, direct->participants.round_deadline);
  EXPECT_EQ(again->model.hidden, direct->model.hidden);
  // A second pass changes nothing: what travels is a fixed point.
  EXPECT_EQ(*MergeOverrides(*merged, "merged", {}), *merged);
}

TEST(MergeOverrides, PassesErrorsOn) {
  EXPECT_FALSE(MergeOverrides("name: [", "job.yaml", {}).ok());
  EXPECT_FALSE(MergeOverrides(kText, "job.yaml", {{"a..b", "1"}}).ok());
}

}  // namespace
}  // namespace tributary::job
