// Adapters over a model that no directory has: what a run and a training write besides them, so that somebody can use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class SeededBase : public testing::Test {
 protected:
  SeededBase() {
    std::string text;
    for (int i = 0; i < 200; ++i) text += fmt::format("line {} of a text that repeats itself, as easy texts do\n\n", i % 37);
    WriteFile(dir_.File("text"), text);
    WriteFile(dir_.File("job.yaml"), Job("model: {family: gpt2, layers: 2, heads: 2, hidden: 128, positions: 32, initializer_range: 0.1, seed: 3}\n" + Adapter("")));
  }
  std::string Job(const std::string& model) const {
    return "name: seeded\nrounds: 1\ntasks: [train, validate]\n" + model + "data: {name: text, format: text, path: " + dir_.File("text") +
           "}\ntrain: {mode: step, steps: 8, batch_size: 2, max_length: 32, learning_rate: 1e-2}\ncheckpoint: {max_shard_size: 1MB}\n";
  }
  static std::string Adapter(const std::string& more) { return "adapter: {" + more + "lora: {r: 4, alpha: 8, targets: [c_attn]}}\n"; }
  Outcome Tributary(std::vector<std::string> words) {
    words.insert(words.begin(), Binary("tributary"));
    return RunProgram(words, dir_, seconds(120));
  }
  std::string BaseOf(const std::string& model) {
    const auto config = ReadJsonFile(dir_.File(model + "/adapter_config.json"));
    return config.ok() ? (*config)["base_model_name_or_path"].get<std::string>() : config.error().message();
  }
  // What a job that starts from these adapters over this base, and learns next to nothing, gives on what is held out.
  double LossOver(const std::string& base, const std::string& adapters) {
    WriteFile(dir_.File("again.yaml"), Job("model: {source: " + base + "}\n" + Adapter("source: " + adapters + ", ")));
    const Outcome outcome = Tributary({"train", dir_.File("again.yaml"), "--work-dir", dir_.File("again"), "--no-progress", "--set", "train.steps=1", "--set",
                                       "train.learning_rate=1e-30"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? LossOf("again") : 0;
  }
  double LossOf(const std::string& work) { return ReadSummary(dir_.File(work))["rounds"].back()["metrics"]["val_loss"]; }

  const TempDirectory dir_;
};

TEST_F(SeededBase, ARunLeavesWhatItsAdaptersLieOver) {
  const std::vector<std::string> run{"run", dir_.File("job.yaml"), "--work-dir", dir_.File("run"), "--no-progress"};
  const Outcome first = Tributary(run);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string base = dir_.File("run/model-base");
  EXPECT_THAT(first.out, HasSubstr("base:    " + base + "\n"));
  EXPECT_EQ(ReadSummary(dir_.File("run"))["model_base"], "model-base");
  EXPECT_EQ(BaseOf("run/model"), base);
  const std::string shard = base + "/model-00001-of-00002.safetensors";
  ASSERT_TRUE(std::filesystem::exists(shard)) << "checkpoint.max_shard_size";

  // The two together are the model that was validated, and over another seed's base they are another one.
  EXPECT_NEAR(LossOver(base, dir_.File("run/model")), LossOf("run"), 1e-4);
  const Outcome other = Tributary({"train", dir_.File("job.yaml"), "--write-base", dir_.File("other"), "--set", "model.seed=4"});
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_GT(std::abs(LossOver(dir_.File("other"), dir_.File("run/model")) - LossOf("run")), 1e-2);
  EXPECT_NE(FileSha256(dir_.File("other/model-00001-of-00002.safetensors")), FileSha256(shard));

  const Outcome text = Tributary({"generate", dir_.File("run/model"), "--prompt", "line", "--greedy", "--max-tokens", "8"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out.rfind("line", 0), 0u);

  const auto written = std::filesystem::last_write_time(shard);
  auto more = run;
  more.insert(more.end(), {"--resume", "--set", "rounds=2"});
  const Outcome second = Tributary(more);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(std::filesystem::last_write_time(shard), written) << "once is enough";
}

TEST_F(SeededBase, ATrainingWithoutFederationWritesTheSame) {
  const Outcome trained = Tributary({"train", dir_.File("job.yaml"), "--work-dir", dir_.File("alone"), "--no-progress"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(BaseOf("alone/model"), dir_.File("alone/model-base"));
  EXPECT_NEAR(LossOver(dir_.File("alone/model-base"), dir_.File("alone/model")), LossOf("alone"), 1e-4);
  // By itself: for adapters that came from elsewhere.
  const Outcome written = Tributary({"train", dir_.File("job.yaml"), "--write-base", dir_.File("base")});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  for (const char* file : {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}) {
    EXPECT_EQ(FileSha256(dir_.File(std::string("base/") + file)), FileSha256(dir_.File(std::string("alone/model-base/") + file))) << file;
  }
  WriteFile(dir_.File("whole.yaml"), Job("model: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 32}\n"));
  const Outcome whole = Tributary({"train", dir_.File("whole.yaml"), "--write-base", dir_.File("nothing")});
  EXPECT_EQ(whole.exit_code, 2);
  EXPECT_THAT(whole.LastErrorLine(), HasSubstr("--write-base: seeded trains all weights"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("nothing")));
}

}  // namespace
}  // namespace tributary::e2e
