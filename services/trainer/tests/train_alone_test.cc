// What a training alone refuses before its first step, and what its summary tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"
#include "services/trainer/seeded_base.h"
#include "services/trainer/train_command.h"
#include "tributary/json/json.h"
#include "tributary/modeldir/directory.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TrainAloneTest : public testing::Test {
 protected:
  // Of so many records of text.
  Status Train(int records, const std::string& tasks, const std::vector<job::Override>& overrides = {}, bool resume = false) {
    std::ofstream text(temp_.File("records.jsonl"));
    for (int i = 0; i < records; ++i) text << R"({"text": "The record number )" << i << R"( of a text, long enough for a window."})" << "\n";
    text.close();
    const auto job = job::ParseJob(
        "name: alone\nrounds: 2\ntasks: " + tasks + "\nmodel: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16}\n"
        "data: {name: notes, format: jsonl, validation_fraction: 0.5}\ntrain: {mode: step, steps: 2, batch_size: 2, max_length: 16}\n", "job.yaml", overrides);
    EXPECT_TRUE(job.ok());
    fs::create_directories(temp_.File("work"));
    return TrainAlone({*job, temp_.File("records.jsonl"), temp_.File("work"), false, resume}, [this] { return Result<train::Module*>(&module_); });
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

TEST_F(TrainAloneTest, TheBaseOfASeedIsWrittenOnceAndNamedByItsAdapters) {
  const std::vector<job::Override> adapted{{"adapter", "{lora: {r: 2}}"}, {"checkpoint", "{every: 1, keep: 2}"}};
  const Status status = Train(4, "[train]", adapted);
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_EQ(module_.calls.models, 2);
  const std::string base = temp_.File("work/model-base");
  const auto directory = modeldir::OpenModelDirectory(base);
  ASSERT_TRUE(directory.ok()) << directory.error().message();
  EXPECT_EQ(directory->weights.size(), FakeTensors().size());
  for (const char* model : {"model", "model-1"}) {
    const auto config = ReadJsonFile(temp_.File("work/") + model + "/adapter_config.json");
    ASSERT_TRUE(config.ok()) << model;
    EXPECT_EQ((*config)["base_model_name_or_path"], base) << model;
  }
  EXPECT_EQ((*ReadJsonFile(temp_.File("work/summary.json")))["model_base"], "model-base");

  auto more = adapted;
  more.push_back({"rounds", "3"});
  const Status resumed = Train(4, "[train]", more, true);
  ASSERT_TRUE(resumed.ok()) << resumed.error().message();
  EXPECT_EQ(module_.calls.models, 3) << "it has the base from before";

  fs::remove_all(temp_.File("work"));
  ASSERT_TRUE(Train(4, "[train]").ok());
  EXPECT_FALSE(fs::exists(base)) << "a model of all weights has none below it";
}

TEST_F(TrainAloneTest, OnlyABaseOfASeedIsWritten) {
  const auto write = [&](const std::string& rest) {
    const auto job = job::ParseJob("name: alone\n" + rest + "\ndata: {name: notes, format: jsonl}\n", "job.yaml");
    EXPECT_TRUE(job.ok()) << job.error().message();
    return WriteSeededBase(*job, [this] { return Result<train::Module*>(&module_); }, temp_.File("base"));
  };
  const Status whole = write("model: {family: gpt2, layers: 1, heads: 1, hidden: 8}");
  EXPECT_EQ(whole.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(whole.error().message(), HasSubstr("alone trains all weights"));
  EXPECT_THAT(write("model: {source: /srv/llm}\nadapter: {lora: {r: 2}}").error().message(), HasSubstr("the base of alone is model.source /srv/llm"));
  EXPECT_THAT(write("model: {object: models/llm}\nadapter: {lora: {r: 2}}").error().message(), HasSubstr("the base of alone is model.object models/llm"));
  EXPECT_EQ(module_.calls.models, 0);
  EXPECT_FALSE(fs::exists(temp_.File("base")));
}

}  // namespace
}  // namespace tributary::trainer
