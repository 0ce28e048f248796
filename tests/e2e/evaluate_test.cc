// `tributary evaluate` on questions made up for it: models that jobs wrote, and a pretrained one against transformers' numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

const std::string kQuestions = std::string(TRIBUTARY_EVALUATION_DATA) + "/mmlu";

class Evaluate : public testing::Test {
 protected:
  // A model, or adapters over one, trained for a step.
  void Train(const std::string& name, const std::string& model, const std::string& more = "") {
    std::ofstream(dir_.File("text")) << SampleText(1, 20000);
    std::ofstream(dir_.File(name + ".yaml")) << fmt::format(
        "name: {}\nrounds: 1\nmodel: {}\ndata: {{name: text, format: text, path: {}}}\n"
        "train: {{mode: step, steps: 2, batch_size: 4, max_length: 32}}\n{}", name, model, dir_.File("text"), more);
    const Outcome outcome =
        RunProgram({Binary("tributary"), "train", dir_.File(name + ".yaml"), "--work-dir", dir_.File(name), "--no-progress"}, dir_, seconds(120));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  void TrainBase() { Train("base", "{family: gpt2, layers: 2, heads: 2, hidden: 32, positions: 512}"); }

  std::vector<std::string> Words(const std::string& model, const std::string& questions, const std::vector<std::string>& more) const {
    std::vector<std::string> words{Binary("tributary"), "evaluate", model, "--mmlu", questions, "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome Run(const std::string& model, const std::vector<std::string>& more, const std::string& questions = kQuestions) {
    return RunProgram(Words(model, questions, more), dir_, seconds(120));
  }
  Json Figures() const { return ReadJsonFile(dir_.File("figures.json")).value(); }
  std::vector<Json> Samples() const {
    std::ifstream in(dir_.File("samples.jsonl"));
    std::vector<Json> samples;
    for (std::string line; std::getline(in, line);) samples.push_back(ParseJson(line, "samples").value());
    return samples;
  }

  const TempDirectory dir_;
};

TEST_F(Evaluate, AModelThatAJobWrote) {
  ASSERT_NO_FATAL_FAILURE(TrainBase());
  const Outcome outcome = Run(dir_.File("base/model"), {"--shots", "3", "--json", dir_.File("figures.json"), "--samples", dir_.File("samples.jsonl")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("abstract_algebra                      stem                    4 "));
  EXPECT_THAT(outcome.out, HasSubstr("mean of stem, social_sciences and humanities"));
  EXPECT_THAT(outcome.out, HasSubstr("questions had fewer examples: more do not fit the model's positions"));
  const Json figures = Figures();
  EXPECT_EQ(figures["all"]["questions"], 14);
  EXPECT_EQ(figures["subjects"].size(), 4u);
  const auto samples = Samples();
  ASSERT_EQ(samples.size(), 14u);
  int correct = 0;
  for (const Json& sample : samples) {
    correct += sample["likeliest"] == sample["answer"] ? 1 : 0;
    EXPECT_LE(sample["log_probabilities"][0].get<double>(), 0);
  }
  EXPECT_EQ(figures["all"]["likelihood"]["correct"], correct);
  const Outcome some = Run(dir_.File("base/model"), {"--shots", "0", "--subjects", "philosophy,stem", "--limit", "1", "--method", "likelihood",
                                                     "--json", dir_.File("figures.json")});
  ASSERT_EQ(some.exit_code, 0) << some.err;
  EXPECT_EQ(Figures()["all"]["questions"], 2);
  EXPECT_FALSE(Figures()["all"].contains("letter"));
}

TEST_F(Evaluate, AdaptersOverTheirBase) {
  ASSERT_NO_FATAL_FAILURE(TrainBase());
  ASSERT_NO_FATAL_FAILURE(Train("lora", "{source: " + dir_.File("base/model") + "}", "adapter: {lora: {r: 4, alpha: 8, targets: [c_attn]}}\n"));
  const auto first = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"--prompt", "flowertune", "--limit", "1", "--samples", dir_.File("samples.jsonl")};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = Run(dir_.File("lora/model"), words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Samples().at(0)["log_probabilities"][0].get<double>();
  };
  const double plain = first({});
  EXPECT_EQ(first({"--base", dir_.File("base/model")}), plain);
  // It is --base that is read: over other weights of the same shapes the answers are others.
  ASSERT_NO_FATAL_FAILURE(Train("other", "{family: gpt2, layers: 2, heads: 2, hidden: 32, positions: 512, seed: 5}"));
  EXPECT_NE(first({"--base", dir_.File("other/model")}), plain);
  const double packed = first({"--quantization", "nf4"});
  EXPECT_NE(packed, plain);
  EXPECT_NEAR(packed, plain, 0.5);
  const Outcome lost = Run(dir_.File("lora/model"), {"--base", dir_.File("nowhere"), "--shots", "0"});
  EXPECT_EQ(lost.exit_code, 1);
  EXPECT_THAT(lost.LastErrorLine(), HasSubstr("--base DIR"));
}

// stories_golden.json: golden/make_mmlu_golden.py beside it.
TEST_F(Evaluate, APretrainedModelAnswersAsInTransformers) {
  const char* const root = std::getenv("TRIBUTARY_TEST_DATA");
  const std::string model = root == nullptr ? "" : std::string(root) + "/stories260k/hf";
  if (root == nullptr || !std::filesystem::exists(model)) GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with stories260k/hf";
  const Json golden = ReadJsonFile(std::string(TRIBUTARY_EVALUATION_DATA) + "/stories_golden.json").value();
  for (const std::string style : {"lm-eval", "flowertune"}) {
    std::vector<std::string> words{"--prompt", style, "--samples", dir_.File("samples.jsonl"), "--json", dir_.File("figures.json")};
    if (style == "lm-eval") words.insert(words.end(), {"--shots", std::to_string(golden["shots"].get<int>())});
    const Outcome outcome = Run(model, words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto samples = Samples();
    const Json& expected = golden[style];
    ASSERT_EQ(samples.size(), expected.size());
    double worst = 0;
    int correct = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (const char* key : {"subject", "question", "answer", "likeliest", "examples", "tokens", "cut"}) {
        EXPECT_EQ(samples[i][key], expected[i][key]) << style << ' ' << i << ' ' << key;
      }
      for (int k = 0; k < 4; ++k) {
        worst = std::max(worst, std::abs(samples[i]["log_probabilities"][k].get<double>() - expected[i]["log_probabilities"][k].get<double>()));
      }
      // transformers' decode leaves the blank in front away.
      std::string text = samples[i]["text"];
      if (text.starts_with(' ')) text.erase(0, 1);
      EXPECT_EQ(text, expected[i]["text"]) << style << ' ' << i;
      correct += expected[i]["likeliest"] == expected[i]["answer"] ? 1 : 0;
    }
    EXPECT_LE(worst, 1e-3) << style;
    EXPECT_EQ(Figures()["all"]["likelihood"]["correct"], correct);
  }
}

TEST_F(Evaluate, AnInterruptEndsItAndLeavesTheSamples) {
  ASSERT_NO_FATAL_FAILURE(TrainBase());
  std::ofstream questions(dir_.Write("many/test.jsonl", ""));
  for (int i = 0; i < 200'000; ++i) questions << "{\"question\": \"q\", \"choices\": [\"a\",\"b\",\"c\",\"d\"], \"answer\": 0, \"subject\": \"anatomy\"}\n";
  questions.close();
  Program program(Words(dir_.File("base/model"), dir_.File("many"), {"--shots", "0", "--samples", dir_.File("samples.jsonl")}), dir_);
  std::error_code ec;
  while (program.Running() && (std::filesystem::file_size(dir_.File("samples.jsonl"), ec) == 0 || ec)) std::this_thread::yield();
  program.Kill(SIGINT);
  const Outcome outcome = program.Wait(seconds(60));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.LastErrorLine(), testing::MatchesRegex("tributary evaluate: stopped after [0-9]+ of 200000 questions"));
  EXPECT_GE(Samples().size(), 1u);
}

TEST_F(Evaluate, WrongInputIsOneLine) {
  const auto line = [&](const std::string& questions, const std::vector<std::string>& more = {}) {
    const Outcome outcome = Run(dir_.File("no-model"), more, questions);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.LastErrorLine();
  };
  EXPECT_THAT(line(dir_.File("nowhere")), HasSubstr("nowhere is no directory; expected DIR/test/SUBJECT_test.csv"));
  EXPECT_THAT(line(kQuestions), HasSubstr("/dev has 3 examples of abstract_algebra, and --shots asks for 5"));
  EXPECT_THAT(line(kQuestions, {"--subjects", "filosophy"}), HasSubstr("did you mean 'philosophy'?"));
  EXPECT_THAT(line(kQuestions, {"--shots", "3"}), HasSubstr("no-model has no readable config.json"));
  dir_.Write("bad/test/anatomy_test.csv", "Which?,1,2,3,4,F\n");
  EXPECT_THAT(line(dir_.File("bad")), HasSubstr("anatomy_test.csv:1: the answer has to be A, B, C or D, and is 'F'"));
}

}  // namespace
}  // namespace tributary::e2e
