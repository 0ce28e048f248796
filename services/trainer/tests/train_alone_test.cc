// What a training alone refuses before its first step, and what its summary tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"
#include "services/trainer/train_command.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrainAloneTest : public testing::Test {
 protected:
  // Of so many records of text.
  Status Train(int records, const std::string& tasks) {
    std::ofstream text(temp_.File("records.jsonl"));
    for (int i = 0; i < records; ++i) text << R"({"text": "The record number )" << i << R"( of a text, long enough for a window."})" << "\n";
    text.close();
    const auto job = job::ParseJob(
        "name: alone\nrounds: 2\ntasks: " + tasks + "\nmodel: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16}\n"
        "data: {name: notes, format: jsonl, validation_fraction: 0.5}\ntrain: {mode: step, steps: 2, batch_size: 2, max_length: 16}\n", "job.yaml");
    EXPECT_TRUE(job.ok());
    fs::create_directories(temp_.File("work"));
    return TrainAlone({*job, temp_.File("records.jsonl"), temp_.File("work"), false}, [this] { return Result<train::Module*>(&module_); });
  }

  const TempDirectory temp_;
  FakeModule module_;
};

TEST_F(TrainAloneTest, NothingHeldOutIsToldBeforeTheFirstStep) {
  const Status status = Train(1, "[train, validate]");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("data 'notes' at " + temp_.File("records.jsonl") + ": nothing is held out of it to validate on"));
  EXPECT_THAT(status.error().message(), HasSubstr("data.validation_fraction"));
  EXPECT_EQ(module_.calls.models, 0);
  EXPECT_EQ(module_.calls.trainings, 0);
  EXPECT_TRUE(Train(1, "[train]").ok());
  EXPECT_EQ(module_.calls.trainings, 2);
}

TEST_F(TrainAloneTest, TheSummaryHasTheMetricsOfAFederationsRound) {
  const Status status = Train(40, "[train, validate]");
  ASSERT_TRUE(status.ok()) << status.error().message();
  const auto summary = ReadJsonFile(temp_.File("work/summary.json"));
  ASSERT_TRUE(summary.ok());
  ASSERT_EQ((*summary)["rounds"].size(), 2u);
  for (const Json& round : (*summary)["rounds"]) {
    const Json& metrics = round["metrics"];
    EXPECT_DOUBLE_EQ(metrics["val_perplexity"].get<double>(), std::exp(metrics["val_loss"].get<double>()));
  }
}

}  // namespace
}  // namespace tributary::trainer
