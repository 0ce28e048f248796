// What a run tells of seats that could not take part, and of data that is too small.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/support.h"
#include "tributary/json/json.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(Reasons, ASeatWithoutDataAndARoundWithoutValidationAreToldOnceWithTheirCause) {
  const TempDirectory dir;
  WriteFile(dir.File("notes.jsonl"), R"({"text": "One single record of text, which is long enough for a window of eight bytes."})"
                                     "\n");
  WriteFile(dir.File("job.yaml"),
            "name: small\nrounds: 2\ntasks: [train, validate]\nparticipants: {min: 2}\n"
            "model: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 8}\n"
            "data: {name: notes, format: jsonl, path: " + dir.File("notes.jsonl") + ", partition: {count: 2}}\n"
            "train: {mode: step, steps: 1, batch_size: 1, max_length: 8}\n");
  const Outcome outcome = RunProgram({Binary("tributary"), "run", dir.File("job.yaml"), "--work-dir", dir.File("run"), "--no-progress"}, dir, seconds(120));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string cause = "data 'notes': partition 1 of 2 gets no record";
  EXPECT_THAT(outcome.err, HasSubstr(", without local/1 (" + cause));
  EXPECT_EQ(outcome.err.find(cause), outcome.err.rfind(cause)) << "once, not with each round";
  EXPECT_THAT(outcome.err, HasSubstr("\n! round 1: no seat could validate the model"));
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("goes on where it was"))) << "nothing was here before";
  const auto summary = ReadJsonFile(dir.File("run/summary.json"));
  ASSERT_TRUE(summary.ok());
  ASSERT_EQ((*summary)["rounds"].size(), 2u);
  for (const Json& round : (*summary)["rounds"]) {
    EXPECT_EQ(round["dropped"], Json::parse(R"(["local/1"])"));
    EXPECT_THAT(round["dropped_because"]["local/1"].get<std::string>(), HasSubstr(cause));
    EXPECT_FALSE(round["metrics"].contains("val_loss"));
  }
}

}  // namespace
}  // namespace tributary::e2e
