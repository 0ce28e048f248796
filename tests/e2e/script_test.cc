// Jobs of a TorchScript file, and an optimizer whose state is kept between rounds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/e2e/support.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class Script : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(dir_.File("text"));
    for (int i = 0; i < 400; ++i) text << "line " << i % 37 << " of a text that repeats itself, as easy texts do\n\n";
    std::filesystem::copy_file(TRIBUTARY_SCRIPTS "/script_bytes.pt", dir_.File("bytes.pt"));
  }

  Outcome Run(const std::string& command, const std::string& name, const std::string& model, const std::string& train = "") {
    std::ofstream(dir_.File(name + ".yaml")) << fmt::format(
        "name: {}\nrounds: 3\ntasks: [train, validate]\nparticipants: {{min: 2}}\nmodel: {}\n"
        "data: {{name: text, format: text, path: {}, partition: {{count: 2}}}}\n"
        "train: {{mode: step, steps: 15, batch_size: 4, max_length: 32, learning_rate: 1e-2, schedule: constant{}}}\n",
        name, model, dir_.File("text"), train);
    return RunProgram({Binary("tributary"), command, dir_.File(name + ".yaml"), "--work-dir", dir_.File(name), "--no-progress"}, dir_, seconds(240));
  }
  std::string Model() const { return "{script: " + dir_.File("bytes.pt") + "}"; }
  std::string Weights(const std::string& name) const {
    std::ifstream in(dir_.File(name + "/model/model.safetensors"), std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    return bytes.str();
  }
  void ExpectLearned(const Json& summary) {
    const Json& rounds = summary["rounds"];
    ASSERT_EQ(rounds.size(), 3u);
    EXPECT_LT(rounds[2]["metrics"]["val_loss"].get<double>(), rounds[0]["metrics"]["val_loss"].get<double>() - 0.2);
    EXPECT_FALSE(rounds[2]["metrics"].contains("val_accuracy"));
  }

  const TempDirectory dir_;
};

TEST_F(Script, AFederationTrainsAndExportsIt) {
  const Outcome outcome = Run("run", "own", Model(), ", optimizer_state: kept");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
  ExpectLearned(ReadSummary(dir_.File("own")));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("generate")));
  const auto header = tensor::ReadSafetensorsHeader(dir_.File("own/model/model.safetensors"));
  ASSERT_TRUE(header.ok()) << header.error().message();
  std::vector<std::string> names;
  for (const auto& stored : header->tensors) names.push_back(stored.spec.name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("embed.weight", "head.weight", "head.bias"));
  const auto config = ReadJsonFile(dir_.File("own/model/config.json"));
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["model_type"], "torchscript");
  EXPECT_EQ((*config)["script"], dir_.File("bytes.pt"));
  // The optimizer's state is another one than a fresh one, and the same in every run.
  ASSERT_EQ(Run("run", "again", Model(), ", optimizer_state: kept").exit_code, 0);
  EXPECT_EQ(Weights("again"), Weights("own"));
  ASSERT_EQ(Run("run", "fresh", Model()).exit_code, 0);
  EXPECT_NE(Weights("fresh"), Weights("own"));
}

TEST_F(Script, ItIsTrainedAloneToo) {
  const Outcome outcome = Run("train", "alone", Model(), ", optimizer_state: kept");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
  ExpectLearned(ReadSummary(dir_.File("alone")));
  // Three rounds of an optimizer that is kept are one training of three times the steps.
  const Outcome once = RunProgram({Binary("tributary"), "train", dir_.File("alone.yaml"), "--work-dir", dir_.File("once"), "--no-progress", "--set",
                                   "rounds=1", "--set", "train.steps=45"}, dir_, seconds(240));
  ASSERT_EQ(once.exit_code, 0) << once.err << once.out;
  EXPECT_EQ(Weights("once"), Weights("alone"));
  const Outcome generate = RunProgram({Binary("tributary"), "generate", dir_.File("alone/model"), "--prompt", "a"}, dir_, seconds(60));
  EXPECT_NE(generate.exit_code, 0);
  EXPECT_THAT(generate.LastErrorLine(), HasSubstr("set model.script"));
}

TEST_F(Script, AFileThatIsNotThereIsSaidBeforeAnythingStarts) {
  const Outcome outcome = Run("run", "bad", "{script: " + dir_.File("nowhere.pt") + "}");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("model.script: " + dir_.File("nowhere.pt") + " is no file that can be read"));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("bad")));
}

TEST_F(Script, AFileThatIsNoScriptFailsTheJobWithItsOwnLine) {
  std::ofstream(dir_.File("text.pt")) << "no module";
  const Outcome outcome = Run("run", "bad", "{script: " + dir_.File("text.pt") + "}");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err + outcome.out, HasSubstr("text.pt is no TorchScript file; write it with torch.jit.script(module).save(PATH)"));
}

}  // namespace
}  // namespace tributary::e2e
