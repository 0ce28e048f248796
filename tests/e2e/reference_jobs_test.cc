// The reference fine-tuning jobs of deploy/jobs at reduced size, on real data (TRIBUTARY_TEST_DATA; skipped without it).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "tests/e2e/support.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class ReferenceJobs : public testing::Test {
 protected:
  void SetUp() override {
    const char* const data = std::getenv("TRIBUTARY_TEST_DATA");
    if (data == nullptr || *data == 0) GTEST_SKIP() << "TRIBUTARY_TEST_DATA is not set: real data is not at hand";
    data_ = data;
  }

  void Unpack(const std::string& archive, const std::string& members) {
    const Outcome outcome = RunProgram({"/bin/tar", "-xJf", data_ + "/" + archive, "-C", dir_.path().string(), "--wildcards", members}, dir_, seconds(120));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  static std::vector<std::string> WithSets(std::vector<std::string> words, const std::vector<std::string>& sets) {
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    return words;
  }
  // The summary of `tributary run` of the job.
  Json Run(const std::string& job, const std::string& data, const std::vector<std::string>& sets) {
    const std::string work = dir_.File(job + ".run");
    const Outcome outcome = RunProgram(WithSets({Binary("tributary"), "run", SourceFile("deploy/jobs/" + job + ".yaml"), "--work-dir", work,
                                                 "--no-progress", "--data", data}, sets), dir_, seconds(240));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
    return outcome.exit_code == 0 ? ReadSummary(work) : Json();
  }

  const TempDirectory dir_;
  std::string data_;
};

TEST_F(ReferenceJobs, ReviewsAreLearntAndAFederationDoesAsWellAsOneMachine) {
  ASSERT_NO_FATAL_FAILURE(Unpack("imdb-aclImdb.tar.xz", "aclImdb/*/*/12*"));
  const std::string data = "imdb=" + dir_.File("aclImdb");
  std::vector<std::string> sets = {"model.source=null", "model.family=gpt2", "model.layers=2", "model.heads=4", "model.hidden=64", "model.positions=64",
                                   "model.initializer_range=0.08", "train.max_length=64", "train.mode=step", "train.epochs=null", "train.steps=40",
                                   "train.gradient_accumulation=1", "train.learning_rate=2e-3", "train.schedule=cosine", "data.packing=true",
                                   "data.validation_samples=200", "rounds=3"};
  sets.push_back("train.batch_size=8");
  const Json federated = Run("tensor-stream-gpt2-imdb", data, sets);
  ASSERT_TRUE(federated.is_object());
  const double reached = federated["rounds"].back()["metrics"]["val_loss"];
  // A model that knows nothing gives each of 257 tokens the same: ln 257 = 5.55. Letter frequencies alone reach about 3.1.
  EXPECT_LT(reached, std::log(257.0) - 2.5);
  EXPECT_GT(federated["rounds"].back()["metrics"]["val_accuracy"].get<double>(), 0.2);
  EXPECT_TRUE(federated.contains("best"));
  EXPECT_TRUE(std::filesystem::exists(dir_.File("tensor-stream-gpt2-imdb.run/model-best/model.safetensors")));

  // The same number of optimizer steps at batch N x b on the union.
  sets.back() = "train.batch_size=16";
  const std::string work = dir_.File("central");
  const Outcome outcome = RunProgram(WithSets({Binary("tributary"), "train", SourceFile("deploy/jobs/tensor-stream-gpt2-imdb.yaml"), "--work-dir", work,
                                               "--no-progress", "--data", data}, sets), dir_, seconds(240));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json central = ReadSummary(work);
  const double alone = central["rounds"].back()["metrics"]["val_loss"];
  fmt::print("validation loss: federated {:.4f}, central {:.4f}\n", reached, alone);
  EXPECT_NEAR(reached, alone, 0.02 * alone);
  EXPECT_TRUE(std::filesystem::exists(work + "/model/config.json"));
}

TEST_F(ReferenceJobs, AdaptersLearnInstructionsOverAFourBitLlama) {
  const Json summary = Run("flowertune-smollm2-alpaca", "alpaca=" + data_ + "/instruction-data.json",
                           {"model.source=" + data_ + "/stories260k/hf", "rounds=4", "participants.min=4", "data.partition.count=4",
                            "participants.fraction=0.5", "train.batch_size=4", "train.max_length=256", "train.steps=5", "checkpoint.every=2",
                            "train.learning_rate=5e-3"});
  ASSERT_TRUE(summary.is_object());
  const auto header = tensor::ReadSafetensorsHeader(dir_.File("flowertune-smollm2-alpaca.run/model/adapter_model.safetensors"));
  ASSERT_TRUE(header.ok()) << header.error().message();
  EXPECT_EQ(header->tensors.size(), 5u * 2 * 2);  // A and B of two layers in five blocks
  for (const Json& round : summary["rounds"]) {
    EXPECT_EQ(round["participants"].size(), 2u);
    EXPECT_LT(round["bytes_up"].get<std::uint64_t>(), 100u << 10) << "adapters alone";
  }
  EXPECT_LT(summary["rounds"][3]["metrics"]["train_loss"].get<double>(), summary["rounds"][0]["metrics"]["train_loss"].get<double>());
}

TEST_F(ReferenceJobs, ResnetOnRealImages) {
  ASSERT_NO_FATAL_FAILURE(Unpack("cifar-10-subset.tar.xz", "*"));
  const Json summary = Run("resnet18-dummy-cifar10", "cifar10=" + dir_.path().string(),
                           {"rounds=2", "train.steps=2", "train.batch_size=8", "data.format=cifar10", "data.samples=null", "tasks=[train, validate]",
                            "data.validation_samples=32"});
  ASSERT_TRUE(summary.is_object());
  for (const Json& round : summary["rounds"]) EXPECT_TRUE(std::isfinite(round["metrics"]["val_loss"].get<double>()));
  const auto header = tensor::ReadSafetensorsHeader(dir_.File("resnet18-dummy-cifar10.run/model/model.safetensors"));
  ASSERT_TRUE(header.ok()) << header.error().message();
  std::uint64_t bytes = 0;
  for (const auto& stored : header->tensors) bytes += stored.bytes;
  EXPECT_NEAR(static_cast<double>(bytes) / 4, 11.18e6, 0.05e6);  // parameters and running statistics
}

TEST_F(ReferenceJobs, ThePretrainedLlamaWritesItsStory) {
  const auto expected = ReadJsonFile(data_ + "/stories260k/hf/expected.json");
  ASSERT_TRUE(expected.ok());
  const Outcome outcome = RunProgram({Binary("tributary"), "generate", data_ + "/stories260k/hf", "--prompt", "Once upon a time", "--greedy",
                                      "--max-tokens", "40"}, dir_, seconds(60));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Once upon a time, there was a little girl named Lily. She loved to play outside in the park."));
}

}  // namespace
}  // namespace tributary::e2e
