#include "services/trainer/evaluate_command.h"

#include <gmock/gmock.h>

#include "directory_fixture.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

using testing::HasSubstr;

class EvaluateTest : public DirectoryFixture {
 protected:
  EvaluateTest() {
    WriteTensors("model.safetensors", FakeTensors());
    spec_.directory = path_.string();
    spec_.questions = (path_ / "mmlu").string();
    spec_.json = (path_ / "figures.json").string();
    spec_.samples = (path_ / "samples.jsonl").string();
    spec_.how.shots = spec_.which.shots = 0;
    std::filesystem::create_directories(path_ / "mmlu" / "test");
    Write("mmlu/test/anatomy_test.csv", "a,1,2,3,4,A\nb,1,2,3,4,B\n");
    Write("mmlu/test/my_own_test.csv", "c,1,2,3,4,A\n");
  }
  Status Run(const std::function<bool()>& stop = [] { return false; }) {
    char* memory = nullptr;
    std::size_t size = 0;
    std::FILE* out = open_memstream(&memory, &size);
    const auto load = [this] {
      ++loads_;
      return Result<train::Module*>(&module_);
    };
    const auto status = Evaluate(spec_, load, stop, out);
    std::fclose(out);
    text_.assign(memory, size);
    std::free(memory);
    return status;
  }
  std::vector<Json> Samples() const {
    std::ifstream in(spec_.samples);
    std::vector<Json> samples;
    for (std::string line; std::getline(in, line);) samples.push_back(ParseJson(line, "samples").value());
    return samples;
  }

  EvaluateSpec spec_;
  std::string text_;
  int loads_ = 0;
};

// The fake model finds all answers equally likely, and writes what follows ':' in ASCII.
TEST_F(EvaluateTest, WritesTableFiguresAndSamples) {
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(text_, HasSubstr("anatomy                               stem                    2     50.00 %      0.00 %\n"));
  EXPECT_THAT(text_, HasSubstr("my_own                                other                   1    100.00 %      0.00 %\n"));
  EXPECT_THAT(text_, HasSubstr("3 of 3 answers were none of the letters A to D\n"));
  const auto figures = ReadJsonFile(spec_.json);
  ASSERT_TRUE(figures.ok()) << figures.error().message();
  EXPECT_EQ((*figures)["benchmark"], "mmlu");
  EXPECT_EQ((*figures)["prompt"], "lm-eval");
  EXPECT_EQ((*figures)["all"]["likelihood"]["correct"], 2);
  EXPECT_EQ((*figures)["all"]["letter"]["no_letter"], 3);
  const auto samples = Samples();
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[1]["subject"], "anatomy");
  EXPECT_EQ(samples[1]["question"], 1);
  EXPECT_EQ(samples[1]["answer"], "B");
  EXPECT_EQ(samples[1]["likeliest"], "A");
  EXPECT_EQ(samples[1]["text"], ";<");
  EXPECT_TRUE(samples[1]["letter"].is_null());
}

TEST_F(EvaluateTest, AStopTellsHowFarItCame) {
  const auto status = Run([this] { return !Samples().empty(); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kCancelled);
  EXPECT_EQ(status.error().message(), "stopped after 1 of 3 questions");
  EXPECT_EQ(Samples().size(), 1u);
}

TEST_F(EvaluateTest, WrongQuestionsAreToldBeforeTheModelIsLoaded) {
  Write("mmlu/test/anatomy_test.csv", "a,1,2,3,4,X\n");
  EXPECT_THAT(Run().error().message(), HasSubstr("anatomy_test.csv:1: the answer has to be A, B, C or D, and is 'X'"));
  spec_.questions += "-absent";
  EXPECT_THAT(Run().error().message(), HasSubstr("mmlu-absent is no directory"));
  EXPECT_EQ(loads_, 0);
}

TEST_F(EvaluateTest, AWrongModelDirectoryIsTold) {
  spec_.directory = (path_ / "mmlu").string();
  EXPECT_THAT(Run().error().message(), HasSubstr("mmlu has no readable config.json"));
  spec_.directory = path_.string();
  spec_.quantization = train::Quantization::kNf4;
  EXPECT_THAT(Run().error().message(), HasSubstr("has no adapters, and a base in 4 bits is for adapters; leave --quantization away"));
  EXPECT_EQ(loads_, 0);
}

TEST_F(EvaluateTest, SamplesThatCannotBeWritten) {
  spec_.samples = (path_ / "absent" / "samples").string();
  EXPECT_THAT(Run().error().message(), HasSubstr("--samples " + spec_.samples + ": writing into " + (path_ / "absent").string()));
  spec_.samples = path_.string();
  EXPECT_THAT(Run().error().message(), HasSubstr("--samples " + path_.string() + " is a directory; name a file"));
  EXPECT_EQ(loads_, 0);
}

TEST_F(EvaluateTest, FiguresThatCannotBeWrittenAreToldBeforeAQuestionIsAsked) {
  spec_.json = (path_ / "absent" / "figures.json").string();
  const auto status = Run();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("--json " + spec_.json + ": writing into " + (path_ / "absent").string()));
  spec_.json = path_.string();
  EXPECT_THAT(Run().error().message(), HasSubstr("--json " + path_.string() + " is a directory; name a file"));
  EXPECT_EQ(loads_, 0);
  EXPECT_FALSE(std::filesystem::exists(spec_.samples));
}

TEST_F(EvaluateTest, EarlierSamplesOutliveAWrongModelDirectory) {
  ASSERT_TRUE(Run().ok());
  const std::size_t before = Samples().size();
  ASSERT_GT(before, 0u);
  spec_.directory = (path_ / "mmlu").string();
  ASSERT_FALSE(Run().ok());
  EXPECT_EQ(Samples().size(), before);
}

TEST(EvaluateMain, RefusesWrongUsage) {
  char evaluate[] = "evaluate", directory[] = "x", mmlu[] = "--mmlu=y", style[] = "--prompt=flowertune", shots[] = "--shots=5";
  char* none[] = {evaluate, directory, nullptr};
  EXPECT_EQ(EvaluateMain(2, none), 2) << "--mmlu is missing";
  char* both[] = {evaluate, directory, mmlu, style, shots, nullptr};
  EXPECT_EQ(EvaluateMain(5, both), 2);
}

}  // namespace
}  // namespace tributary::trainer
