// A seat's data, from a job's text to batches: every format, where the tokens are kept, what a bad one says.
#include "services/trainer/local_data.h"

#include <gmock/gmock.h>

#include "task_fixture.h"

namespace tributary::trainer {
namespace {

using ::testing::HasSubstr;

class LocalDataTest : public testing::Test {
 protected:
  LocalDataTest() { identity_.work_dir = work_.path(); }

  static job::Job Parse(const std::string& data, const std::string& rest = "") {
    const auto job = job::ParseJob("name: a\nmodel: {family: gpt2, positions: 64}\ntrain: {max_length: 16, batch_size: 2}\ndata: {name: d, " +
                                       data + "}\n" + rest, "job.yaml");
    EXPECT_TRUE(job.ok()) << job.error().message();
    return job.ok() ? *job : job::Job();
  }
  Result<const corpus::Corpus*> Open(const job::Job& job, std::uint32_t ordinal = 0) {
    return data_.Open(job, ordinal, progress_, progress_.stop.get_token());
  }
  train::Batch FirstOf(const job::Job& job) {
    const auto corpus = Open(job);
    EXPECT_TRUE(corpus.ok()) << corpus.error().message();
    if (!corpus.ok()) return {};
    auto batch = (*corpus)->Training({.seed = 1, .batch_size = job.train.batch_size, .batches = 1})->Next();
    EXPECT_TRUE(batch.ok()) << batch.error().message();
    return batch.ok() ? *batch : train::Batch();
  }

  const TempDirectory work_;
  const TempDirectory files_;
  Identity identity_;
  RecordedProgress progress_;
  LocalData data_{identity_};
};

TEST_F(LocalDataTest, ImagesForALanguageModelAndTextForAnotherAreRefusedByName) {
  FakeModule module;
  const auto text = module.CreateModel({.config_json = R"({"vocab_size": 257})"});
  const auto images = module.CreateModel({.config_json = R"({"vocab_size": 0})"});
  ASSERT_TRUE(text.ok() && images.ok());
  job::Job job;
  for (const char* format : {"text", "imdb", "alpaca", "jsonl", "csv"}) {
    job.data.format = format;
    EXPECT_TRUE(CheckDataSuits(job, **text).ok()) << format;
    EXPECT_THAT(CheckDataSuits(job, **images).error().message(), HasSubstr(std::string("data.format ") + format + " gives text, and the model classifies images"));
  }
  for (const char* format : {"cifar10", "synthetic"}) {
    job.data.format = format;
    EXPECT_TRUE(CheckDataSuits(job, **images).ok()) << format;
    EXPECT_THAT(CheckDataSuits(job, **text).error().message(), HasSubstr(std::string("data.format ") + format + " gives images, and the model is a language model"));
  }
  job.model.script = "loss.pt";
  EXPECT_TRUE(CheckDataSuits(job, **text).ok());
}

TEST_F(LocalDataTest, EveryFormatOfTextGivesBatches) {
  files_.Write("imdb/train/pos/1_9.txt", "a review that is long enough for windows of sixteen bytes");
  files_.Write("imdb/train/neg/2_1.txt", "another review that is long enough for windows");
  files_.Write("imdb/test/pos/1_9.txt", "held out");
  files_.Write("imdb/test/neg/1_1.txt", "held out");
  const std::string record = R"({"instruction": "i", "output": "o"})";
  const std::map<std::string, std::string> places = {
      {"imdb", files_.File("imdb")},
      {"alpaca", files_.Write("a.json", "[" + record + ",\n" + record + "]")},
      {"jsonl", files_.Write("a.jsonl", "{\"text\": \"a text that is long enough for windows of sixteen\"}\n{\"text\": \"another that is long enough for windows\"}")},
      {"csv", files_.Write("a.csv", "text\n\"a text that is long enough for windows of sixteen\"\nanother that is long enough for windows\n")},
      {"text", files_.Write("a.txt", "a text that is long enough for windows of sixteen\n\nheld out\n")}};
  for (const auto& [format, path] : places) {
    identity_.data["d"] = path;
    job::Job job = Parse("format: " + format);
    job.train.max_length = format == "alpaca" ? 512 : 16;
    const train::Batch batch = FirstOf(job);
    EXPECT_GT(batch.rows, 0u) << format;
    EXPECT_EQ(batch.tokens.size(), std::size_t{batch.rows} * batch.columns) << format;
    EXPECT_EQ(batch.targets.size(), batch.tokens.size()) << format;
    EXPECT_EQ(batch.channels, 0u);
  }
}

TEST_F(LocalDataTest, ImagesNeedNoTokenizerAndMadeUpOnesNoPlace) {
  job::Job job;
  job.data.name = "d";
  job.data.format = "synthetic";
  job.data.samples = 40;
  job.data.count = 2;
  job.train.batch_size = 4;
  job.model.tokenizer = "/nowhere";
  const train::Batch batch = FirstOf(job);
  EXPECT_EQ(batch.rows, 4u);
  EXPECT_EQ(batch.channels, 3u);
  EXPECT_EQ(batch.pixels.size(), 4u * 3 * 32 * 32);
  EXPECT_EQ(batch.targets.size(), 4u);
  job.data.format = "cifar10";
  EXPECT_THAT(Open(job).error().message(), HasSubstr("has no data named 'd'"));
  identity_.data["d"] = files_.Write("a.bin", std::string(3073 * 20, '\1'));
  EXPECT_EQ(FirstOf(job).pixels.size(), 4u * 3 * 32 * 32);
  EXPECT_FALSE(std::filesystem::exists(work_.path() / "tokens"));
}

TEST_F(LocalDataTest, ATokenizerThatCameWithTheModelNamesItsSource) {
  identity_.data["d"] = files_.Write("a.txt", "text\n");
  job::Job job = Parse("format: text");
  job.model.tokenizer = files_.Write("tokenizer.json", "{");
  EXPECT_THAT(Open(job).error().message(), testing::StartsWith(job.model.tokenizer)) << "the job says where it lies";
  job.model.source = "/srv/llm";
  job.model.tokenizer_object = "models/llm.tokenizer@00";
  EXPECT_THAT(Open(job).error().message(), testing::StartsWith("model.source: /srv/llm: " + job.model.tokenizer));
}

TEST_F(LocalDataTest, TokensAreKeptInTheWorkDirectoryForTheNextLife) {
  identity_.data["d"] = files_.Write("a.txt", std::string(3u << 20, 'a') + "\nend\n");
  const job::Job job = Parse("format: text");
  ASSERT_TRUE(Open(job).ok());
  EXPECT_THAT(progress_.phases, ::testing::ElementsAre("tokenize"));
  EXPECT_GE(progress_.done, 2u << 20);
  EXPECT_TRUE(std::filesystem::exists(work_.path() / "tokens"));
  const auto first = *Open(job);
  EXPECT_EQ(*Open(job), first);  // still open
  LocalData next(identity_);
  RecordedProgress quiet;
  ASSERT_TRUE(next.Open(job, 0, quiet, {}).ok());
  EXPECT_TRUE(quiet.phases.empty());
}

TEST_F(LocalDataTest, AStopEndsTheTokenizing) {
  identity_.data["d"] = files_.Write("a.txt", std::string(3u << 20, 'a') + "\nend\n");
  progress_.stop.request_stop();
  const auto opened = Open(Parse("format: text"));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Code::kCancelled);
}

TEST_F(LocalDataTest, ValidationTextIsTokenizedWhereTheJobValidates) {
  identity_.data["d"] = files_.Write("a.txt", std::string(200, 'a') + "\n" + std::string(100, 'b') + "\n");
  EXPECT_EQ((*Open(Parse("format: text")))->ValidationTokens(), 0u);
  const auto corpus = Open(Parse("format: text, validation_samples: 3", "tasks: [train, validate]\n"));
  ASSERT_TRUE(corpus.ok());
  EXPECT_EQ((*corpus)->ValidationTokens(), 102u);
  const auto source = (*corpus)->Validation(1);
  int batches = 0;
  for (auto batch = source->Next(); batch.ok() && batch->rows > 0; batch = source->Next()) ++batches;
  EXPECT_EQ(batches, 3);
}

TEST_F(LocalDataTest, ASeatWithoutDataSaysSoBeforeTheFirstStep) {
  identity_.data["d"] = files_.Write("a.jsonl", "{\"text\": \"the only one of all the records\"}\n");
  const auto opened = Open(Parse("format: jsonl, partition: {count: 2}"), 0);
  const auto other = Open(Parse("format: jsonl, partition: {count: 2}"), 1);
  ASSERT_TRUE(!opened.ok() || !other.ok());
  EXPECT_THAT((opened.ok() ? other : opened).error().message(), HasSubstr("of 2 gets no record to train on out of"));
}

}  // namespace
}  // namespace tributary::trainer
