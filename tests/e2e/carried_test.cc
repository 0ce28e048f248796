// A federation whose trainers have nothing but their data: model and tokenizer come from the blob-store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <thread>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class Carried : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(dir_.File("text"));
    for (int i = 0; i < 400; ++i) text << "line " << i % 37 << " of a text that repeats itself, as easy texts do\n\n";
    text.close();
    store_ = "ipc://" + dir_.File("store.sock");
    coordinator_ = "ipc://" + dir_.File("coordinator.sock");
  }
  void Start(std::vector<std::string> words) {
    words.insert(words.end(), {"--metrics-address", "off"});
    programs_.push_back(std::make_unique<Program>(std::move(words), dir_));
  }
  void StartServers() {
    Start({Binary("tributary-blob-store"), "--listen", store_, "--data-dir", dir_.File("blobs")});
    Start({Binary("tributary-coordinator"), "--listen", coordinator_, "--state-dir", dir_.File("state"), "--blob-store", store_, "--heartbeat", "100ms"});
    Start({Binary("tributary-aggregator"), "--coordinator", coordinator_});
  }
  void StartTrainers() {
    for (const char* site : {"one", "two"}) {
      Start({Binary("tributary-trainer"), "--coordinator", coordinator_, "--site", site, "--instance", site, "--data", "text=" + dir_.File("text")});
    }
  }
  Outcome Tributary(std::vector<std::string> words) {
    words.insert(words.begin(), Binary("tributary"));
    return RunProgram(std::move(words), dir_, seconds(120));
  }
  std::string Job(const std::string& name, const std::string& model, const std::string& path = "") {
    std::ofstream(dir_.File(name + ".yaml")) << fmt::format(
        "name: {}\nrounds: 2\ntasks: [train, validate]\nparticipants: {{min: 2}}\nmodel: {}\n"
        "data: {{name: text, format: text{}, partition: {{count: 2}}}}\n"
        "train: {{mode: step, steps: 4, batch_size: 4, max_length: 32, learning_rate: 3e-3}}\n",
        name, model, path.empty() ? "" : ", path: " + path);
    return dir_.File(name + ".yaml");
  }
  // A model directory, written by a job.
  void MakeDirectory() {
    const Outcome made = Tributary({"run", Job("base", "{family: gpt2, layers: 1, heads: 2, hidden: 32, positions: 32, tokenizer: " +
                                                          SourceFile("libs/text/tests/golden/gpt2_tokenizer.json") + "}", dir_.File("text")),
                                    "--work-dir", dir_.File("base"), "--no-progress"});
    ASSERT_EQ(made.exit_code, 0) << made.err << made.out;
    std::filesystem::copy(dir_.File("base/model"), dir_.File("model"));
    WriteFile(dir_.File("model/generation_config.json"), "{\"max_length\": 20}\n");
  }
  bool Completed(const std::string& job) {
    for (int i = 0; i < 1200; ++i) {
      const Outcome status = Tributary({"status", job, "--coordinator", coordinator_});
      if (status.out.find("completed") != std::string::npos) return true;
      if (status.out.find("failed") != std::string::npos) ADD_FAILURE() << status.out;
      if (status.out.find("failed") != std::string::npos) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  const TempDirectory dir_;
  std::string store_, coordinator_;
  std::vector<std::unique_ptr<Program>> programs_;
};

TEST_F(Carried, TrainersNeedNothingButTheirData) {
  ASSERT_NO_FATAL_FAILURE(MakeDirectory());
  StartServers();
  const Outcome submitted = Tributary({"submit", Job("tuned", "{source: " + dir_.File("model") + "}"), "--coordinator", coordinator_, "--blob-store", store_});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  // The same directory again gives the same objects, and what a job names itself is left to it.
  const Outcome imported = Tributary({"model", "import", dir_.File("model"), "--blob-store", store_});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.out, testing::MatchesRegex("models/model@[0-9a-f]+\nobject:models/model.tokenizer@[0-9a-f]+\n"));
  std::filesystem::remove_all(dir_.File("model"));
  StartTrainers();
  const std::string job = submitted.out.substr(0, submitted.out.find('\n'));
  ASSERT_TRUE(Completed(job));
  const Outcome exported = Tributary({"model", "export", job, dir_.File("out"), "--coordinator", coordinator_, "--blob-store", store_});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(ReadFile(dir_.File("out/tokenizer.json")), ReadFile(dir_.File("base/model/tokenizer.json")));
  EXPECT_EQ(ReadFile(dir_.File("out/generation_config.json")), "{\"max_length\": 20}\n");
  const Outcome text = Tributary({"generate", dir_.File("out"), "--prompt", "line", "--greedy", "--max-tokens", "4"});
  EXPECT_EQ(text.exit_code, 0) << text.err;

  // Written by hand: model.object alone, with the tokenizer that the import printed.
  const std::string object = imported.out.substr(0, imported.out.find('\n'));
  const std::string tokenizer = imported.out.substr(object.size() + 1, imported.out.size() - object.size() - 2);
  const Outcome second = Tributary({"submit", Job("hand", fmt::format("{{object: '{}', tokenizer: '{}'}}", object, tokenizer)), "--coordinator", coordinator_});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_TRUE(Completed(second.out.substr(0, second.out.find('\n'))));

  // Without it: what lies beside the object is taken, pinned, and the model does not read bytes.
  const Outcome bare = Tributary({"submit", Job("bare", "{object: models/model}"), "--coordinator", coordinator_, "--blob-store", store_});
  ASSERT_EQ(bare.exit_code, 0) << bare.err;
  EXPECT_EQ(bare.err, "");
  const std::string third = bare.out.substr(0, bare.out.find('\n'));
  ASSERT_TRUE(Completed(third));
  const Outcome again = Tributary({"model", "export", third, dir_.File("bare-out"), "--coordinator", coordinator_, "--blob-store", store_});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ReadFile(dir_.File("bare-out/tokenizer.json")), ReadFile(dir_.File("base/model/tokenizer.json")));
  // A job that says bytes has its way, and needs no store to say so.
  const Outcome bytes = Tributary({"submit", Job("bytes", "{object: models/model, tokenizer: bytes}"), "--coordinator", coordinator_});
  EXPECT_EQ(bytes.exit_code, 0) << bytes.err;
}

TEST_F(Carried, AnObjectWithoutATokenizerIsSaidToReadBytes) {
  StartServers();
  const Outcome submitted = Tributary({"submit", Job("none", "{object: models/none}"), "--coordinator", coordinator_, "--blob-store", store_});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_THAT(submitted.err, HasSubstr("no tokenizer lies beside models/none: text is read as bytes; model.tokenizer names another"));
}

TEST_F(Carried, ANameElsewhereThanImportedModelsIsRefused) {
  ASSERT_NO_FATAL_FAILURE(MakeDirectory());
  const Outcome outcome = Tributary({"model", "import", dir_.File("model"), "--name", "mine", "--blob-store", store_});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("--name mine: imported models lie below models/, where services with keys may read them; give --name models/mine"));
}

TEST_F(Carried, AJobThatNamesItsTokenizerKeepsIt) {
  ASSERT_NO_FATAL_FAILURE(MakeDirectory());
  const auto run = [&](const std::string& name, const std::string& tokenizer) {
    const Outcome outcome = Tributary({"run", Job(name, "{source: " + dir_.File("model") + tokenizer + "}", dir_.File("text")), "--work-dir", dir_.File(name),
                                       "--no-progress"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
    return std::filesystem::exists(dir_.File(name + "/model/tokenizer.json"));
  };
  EXPECT_TRUE(run("own", ""));
  EXPECT_FALSE(run("bytes", ", tokenizer: bytes"));
}

TEST_F(Carried, ARelativeScriptIsRefused) {
  const Outcome outcome = Tributary({"submit", Job("script", "{script: tiny.pt}"), "--coordinator", coordinator_});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("model.script: 'tiny.pt' is relative"));
  EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("give the absolute path at which the file lies on their machines"));
}

TEST_F(Carried, AnObjectIsOfAFederation) {
  const std::string object = "object:models/x.tokenizer@" + std::string(64, 'a');
  const std::string job = Job("alone", "{family: gpt2, tokenizer: '" + object + "'}", dir_.File("text"));
  for (const char* command : {"run", "train"}) {
    const Outcome outcome = Tributary({command, job, "--work-dir", dir_.File("alone")});
    EXPECT_EQ(outcome.exit_code, 2) << command;
    EXPECT_THAT(outcome.LastErrorLine(), HasSubstr("model.tokenizer: " + object + " lies in a blob-store")) << command;
  }
}

}  // namespace
}  // namespace tributary::e2e
