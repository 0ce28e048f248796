// The main job as people run it: real text, real training, memory of every server, a model that writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>

#include "tests/e2e/support.h"
#include "tributary/corpus/corpus.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;

// H(next byte | byte) of the text's own statistics, in nats: what a model that knows letter pairs alone can reach at best.
double BigramEntropy(const std::string& text) {
  const auto pairs = std::make_unique<std::array<std::array<double, 256>, 256>>();
  std::array<double, 256> firsts{};
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto a = static_cast<unsigned char>(text[i]);
    (*pairs)[a][static_cast<unsigned char>(text[i + 1])] += 1;
    firsts[a] += 1;
  }
  double nats = 0;
  for (int a = 0; a < 256; ++a) {
    for (const double count : (*pairs)[static_cast<std::size_t>(a)]) {
      if (count > 0) nats -= count * std::log(count / firsts[static_cast<std::size_t>(a)]);
    }
  }
  return nats / static_cast<double>(text.size() - 1);
}

// The validation parts of all files of the quickstart's data, as the job file's validation_fraction cuts them.
std::string ValidationText() {
  corpus::CorpusOptions options;
  options.name = "fortunes";
  options.path = "/usr/share/games/fortunes";
  options.validation_fraction = 0.05;
  const auto text = corpus::ReadPartitionText(options);
  EXPECT_TRUE(text.ok());
  return text.ok() ? text->validation : "";
}

TEST(BigramEntropy, OfTextsWithKnownEntropy) {
  EXPECT_NEAR(BigramEntropy("ababababa"), 0.0, 1e-12);
  // After 'a' comes 'a' or 'b' evenly, after 'b' always 'a': 6 of 9 pairs cost ln 2.
  EXPECT_NEAR(BigramEntropy("aabaabaaba"), 6.0 / 9.0 * std::log(2.0), 1e-12);
}

TEST(Quickstart, LearnsMoreThanLetterPairsWithinItsMemory) {
  const TempDirectory dir;
  const std::string work = dir.File("the run");  // a path that must be quoted in a shell
  const Outcome outcome = RunProgram({Binary("tributary"), "run", SourceFile("deploy/jobs/quickstart.yaml"), "--memory-budget", "32MiB", "--work-dir",
                               work, "--no-progress"},
                              dir, seconds(840));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json summary = ReadSummary(work);
  fmt::print("the run took {:.1f} s\n", summary.value("seconds", 0.0));
  for (const char* instance : {"coordinator", "blob-store", "aggregator-0"}) EXPECT_LE(PeakMiB(summary, instance), 64.0) << instance;

  const Json& rounds = summary["rounds"];
  ASSERT_GE(rounds.size(), 2u);
  double before = 1e9;
  for (const Json& round : rounds) {
    EXPECT_EQ(round["participants"].size(), 2u);
    const double loss = round["metrics"].value("val_loss", 1e9);
    EXPECT_LT(loss, before) << "validation loss falls every round: " << round.dump();
    EXPECT_GT(round["metrics"].value("tokens_per_second", 0.0), 0.0);
    before = loss;
  }
  const double entropy = BigramEntropy(ValidationText());
  fmt::print("validation loss {:.4f}, bigram entropy of the validation bytes {:.4f} nats\n", before, entropy);
  EXPECT_LT(before, entropy);

  // What is left: a Hugging Face directory with the parameters that the job asked for.
  const auto header = tensor::ReadSafetensorsHeader(work + "/model/model.safetensors");
  ASSERT_TRUE(header.ok()) << header.error().message();
  std::uint64_t parameters = 0;
  for (const auto& stored : header->tensors) parameters += stored.bytes / 4;
  EXPECT_GE(parameters, 1'000'000u);
  EXPECT_LE(parameters, 10'000'000u);
  const auto config = ReadJsonFile(work + "/model/config.json");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->value("model_type", ""), "gpt2");
  for (const char* path : {"memory.csv", "cpu.csv", "sites/local/0/log", "sites/local/1/metrics.jsonl", "logs/coordinator.log"}) {
    EXPECT_TRUE(std::filesystem::exists(work + "/" + path)) << path;
  }

  // The end of the output tells it all: the table, the peaks, the model, and the next command.
  EXPECT_THAT(outcome.out, testing::HasSubstr("val loss"));
  EXPECT_THAT(outcome.out, testing::HasSubstr("peak memory"));
  EXPECT_THAT(outcome.out, testing::HasSubstr("tributary generate '" + work + "/model'"));

  // The next commands are typed as they are printed.
  const auto command = [&](const std::string& label) -> std::string {
    const auto at = outcome.out.find("\n" + label);
    if (at == std::string::npos) return "echo >&2 no command is printed behind " + label + "; exit 1";
    const auto begin = outcome.out.find_first_not_of(' ', at + 1 + label.size());
    return outcome.out.substr(begin, outcome.out.find('\n', begin) - begin);
  };
  const Outcome report = RunProgram({"/bin/sh", "-c", command("report:")}, dir, seconds(60));
  EXPECT_EQ(report.exit_code, 0) << report.err;
  const std::string page = ReadFile(work + "/report.html");
  EXPECT_THAT(page, testing::HasSubstr("<title>quickstart "));
  // Each process has its memory over time, each round its losses; nothing is missing of a run that ended, and nothing is fetched.
  for (const char* instance : {"coordinator", "blob-store", "aggregator-0", "trainer-0", "trainer-1"}) EXPECT_THAT(page, testing::HasSubstr(instance));
  EXPECT_THAT(page, testing::HasSubstr(fmt::format("{:.4g}", before))) << "the last validation loss";
  EXPECT_THAT(page, testing::HasSubstr("<svg"));
  EXPECT_THAT(page, testing::Not(testing::AnyOf(testing::HasSubstr("src=\"http"), testing::HasSubstr("href=\"http"), testing::HasSubstr("no summary.json"))));

  const Outcome text = RunProgram({"/bin/sh", "-c", command("try:")}, dir, seconds(120));
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_GE(text.out.size(), 40u);
  EXPECT_EQ(text.out.rfind("The ", 0), 0u) << text.out;
}

}  // namespace
}  // namespace tributary::e2e
