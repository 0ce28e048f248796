// Jobs that start from a model directory: all weights, and adapters over a 4-bit base.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/e2e/support.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class Source : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(dir_.File("text")) << TextOfLines();
    // The directory to start from is one that a job wrote.
    ASSERT_NO_FATAL_FAILURE(Run("base", "{family: gpt2, layers: 2, heads: 2, hidden: 32, positions: 32}", "", 20));
  }

  static std::string TextOfLines() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += fmt::format("line {} of a text that repeats itself, as easy texts do\n\n", i % 37);
    return text;
  }

  void Run(const std::string& name, const std::string& model, const std::string& more, int steps) {
    std::ofstream(dir_.File(name + ".yaml")) << fmt::format(
        "name: {}\nrounds: 2\ntasks: [train, validate]\nparticipants: {{min: 2}}\nmodel: {}\n"
        "data: {{name: text, format: text, path: {}, partition: {{count: 2}}}}\n"
        "train: {{mode: step, steps: {}, batch_size: 4, max_length: 32, learning_rate: 3e-3}}\n{}",
        name, model, dir_.File("text"), steps, more);
    const Outcome outcome =
        RunProgram({Binary("tributary"), "run", dir_.File(name + ".yaml"), "--work-dir", dir_.File(name), "--no-progress"}, dir_, seconds(120));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
  }
  double FirstLoss(const std::string& name, const char* metric) { return ReadSummary(dir_.File(name))["rounds"][0]["metrics"][metric]; }
  std::string SourceModel() const { return "{source: " + dir_.File("base/model") + "}"; }

  const TempDirectory dir_;
};

TEST_F(Source, AllWeightsAreTrainedOn) {
  ASSERT_NO_FATAL_FAILURE(Run("on", SourceModel(), "", 10));
  // It begins where the other ended, far below a fresh model's ln 257.
  EXPECT_LT(FirstLoss("on", "train_loss"), FirstLoss("base", "train_loss") - 0.5);
  const auto before = tensor::ReadSafetensorsHeader(dir_.File("base/model/model.safetensors"));
  const auto after = tensor::ReadSafetensorsHeader(dir_.File("on/model/model.safetensors"));
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(before->tensors.size(), after->tensors.size());
  for (std::size_t i = 0; i < before->tensors.size(); ++i) EXPECT_EQ(before->tensors[i].spec, after->tensors[i].spec);
}

TEST_F(Source, AdaptersAloneTravel) {
  ASSERT_NO_FATAL_FAILURE(Run("lora", SourceModel(),
                              "adapter: {lora: {r: 4, alpha: 8, dropout: 0.05, targets: [c_attn, c_fc]}, base: {quantization: nf4}}\n", 10));
  const auto header = tensor::ReadSafetensorsHeader(dir_.File("lora/model/adapter_model.safetensors"));
  ASSERT_TRUE(header.ok()) << header.error().message();
  EXPECT_EQ(header->tensors.size(), 2u * 2 * 2);
  std::uint64_t bytes = 0;
  for (const auto& stored : header->tensors) {
    EXPECT_EQ(stored.spec.name.rfind("base_model.model.transformer.h.", 0), 0u) << stored.spec.name;
    bytes += stored.bytes;
  }
  const auto config = ReadJsonFile(dir_.File("lora/model/adapter_config.json"));
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["base_model_name_or_path"], dir_.File("base/model"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("lora/model/config.json")));
  const Json summary = ReadSummary(dir_.File("lora"));
  EXPECT_EQ(summary["model"], "model/adapter_model.safetensors");
  for (const Json& round : summary["rounds"]) EXPECT_LE(round["bytes_up"].get<std::uint64_t>(), 2 * bytes);
  // The base comes down once for each trainer, in the first round.
  EXPECT_GT(summary["rounds"][0]["bytes_down"].get<std::uint64_t>(), summary["rounds"][1]["bytes_down"].get<std::uint64_t>());
  EXPECT_LT(FirstLoss("lora", "train_loss"), FirstLoss("base", "train_loss") - 0.5);
}

TEST_F(Source, AJobStartsFromEarlierAdapters) {
  const std::string lora = "lora: {r: 4, alpha: 8, targets: [c_attn]}";
  ASSERT_NO_FATAL_FAILURE(Run("first", SourceModel(), "adapter: {" + lora + "}\n", 10));
  const std::string from = "adapter: {source: " + dir_.File("first/model") + ", ";
  ASSERT_NO_FATAL_FAILURE(Run("second", SourceModel(), from + lora + "}\n", 1));
  EXPECT_LT(FirstLoss("second", "val_loss"), FirstLoss("first", "val_loss"));
  const Outcome alone = RunProgram({Binary("tributary"), "train", dir_.File("second.yaml"), "--work-dir", dir_.File("alone"), "--no-progress", "--set",
                                    "train.learning_rate=1e-30"}, dir_, seconds(60));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  // Without a step to speak of the adapters come out as they went in.
  EXPECT_EQ(FileSha256(dir_.File("alone/model/adapter_model.safetensors")), FileSha256(dir_.File("first/model/adapter_model.safetensors")));

  for (const char* command : {"run", "train"}) {
    const Outcome other = RunProgram({Binary("tributary"), command, dir_.File("second.yaml"), "--work-dir", dir_.File("other"), "--no-progress", "--set",
                                      "adapter.lora.r=2"}, dir_, seconds(60));
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_THAT(other.LastErrorLine(), HasSubstr("adapter.source: " + dir_.File("first/model") + "/adapter_config.json: its adapters have r 4"));
  }
}

TEST_F(Source, AnAdapterWritesTextOverItsBase) {
  ASSERT_NO_FATAL_FAILURE(Run("lora", SourceModel(), "adapter: {lora: {r: 4, alpha: 8, targets: [c_attn]}}\n", 10));
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{Binary("tributary"), "generate", dir_.File("lora/model"), "--prompt", "line", "--greedy", "--max-tokens", "12"};
    words.insert(words.end(), more.begin(), more.end());
    return RunProgram(words, dir_, seconds(60));
  };
  const Outcome text = generate({});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out.rfind("line", 0), 0u);
  EXPECT_EQ(generate({"--base", dir_.File("base/model")}).out, text.out);
  const Outcome lost = generate({"--base", dir_.File("nowhere")});
  EXPECT_EQ(lost.exit_code, 1);
  EXPECT_THAT(lost.LastErrorLine(), HasSubstr("--base DIR"));
}

TEST_F(Source, AModelThatCannotBeMadeNamesItsDirectoryAndOnlyTheWayOnThatHelps) {
  std::ofstream(dir_.File("bad.yaml")) << "name: bad\nmodel: {source: " << dir_.File("base/model") << "}\ndata: {name: text, format: text, path: " << dir_.File("text")
                                       << "}\nadapter: {lora: {r: 2, targets: [q_proj]}}\n";
  const Outcome outcome = RunProgram({Binary("tributary"), "run", dir_.File("bad.yaml"), "--work-dir", dir_.File("bad"), "--no-progress"}, dir_, seconds(120));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("model.source: " + dir_.File("base/model") + ": adapter.lora.targets: no linear layer of this model is called 'q_proj'"));
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("'--restart' runs the job anew"));
  EXPECT_THAT(outcome.LastErrorLine(), testing::Not(HasSubstr("--resume"))) << "no round was finished";
  const Outcome alone = RunProgram({Binary("tributary"), "train", dir_.File("bad.yaml"), "--work-dir", dir_.File("alone"), "--no-progress"}, dir_, seconds(60));
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_THAT(alone.LastErrorLine(), HasSubstr("model.source: " + dir_.File("base/model") + ": adapter.lora.targets"));
}

TEST_F(Source, ADirectoryThatIsNoneIsSaidBeforeAnythingStarts) {
  std::ofstream(dir_.File("bad.yaml")) << "name: bad\nmodel: {source: " << dir_.File("nowhere") << "}\ndata: {name: text, format: text}\n";
  const Outcome outcome = RunProgram({Binary("tributary"), "run", dir_.File("bad.yaml"), "--data", "text=" + dir_.File("text"), "--work-dir",
                                      dir_.File("bad"), "--no-progress"}, dir_, seconds(60));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("model.source: " + dir_.File("nowhere") + " has no readable config.json"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("bad")));
}

}  // namespace
}  // namespace tributary::e2e
