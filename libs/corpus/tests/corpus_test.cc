#include "tributary/corpus/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "libs/base/testing/temp_directory.h"
#include "tributary/corpus/split.h"

namespace tributary::corpus {
namespace {

using ::testing::HasSubstr;

// Twelve files of numbered fortunes, of different sizes.
void WriteFortunes(const TempDirectory& directory) {
  int number = 0;
  for (int file = 0; file < 12; ++file) {
    std::string text;
    for (int i = 0; i < 20 + 10 * file; ++i)
      text += "fortune number " + std::to_string(number++) + "\n%\n";
    directory.Write(std::string("file") + static_cast<char>('a' + file), text);
  }
}

CorpusOptions Options(const std::string& path) {
  CorpusOptions o;
  o.name = "tales";
  o.path = path;
  o.max_length = 16;
  return o;
}

std::unique_ptr<Corpus> OpenOk(const CorpusOptions& o) {
  auto corpus = OpenCorpus(o, *text::MakeByteTokenizer());
  EXPECT_TRUE(corpus.ok()) << corpus.error().message();
  return corpus.ok() ? std::move(corpus).value() : nullptr;
}

std::string OpenError(const CorpusOptions& o) {
  auto corpus = OpenCorpus(o, *text::MakeByteTokenizer());
  EXPECT_FALSE(corpus.ok());
  return corpus.ok() ? "" : corpus.error().message();
}

std::vector<train::Batch> All(train::BatchSource& source) {
  std::vector<train::Batch> batches;
  while (true) {
    auto batch = source.Next();
    EXPECT_TRUE(batch.ok());
    if (!batch.ok() || batch->rows == 0) return batches;
    batches.push_back(std::move(batch).value());
  }
}

std::set<std::string> Documents(const std::string& text) {
  std::set<std::string> set;
  for (const auto document : SplitDocuments(text)) set.emplace(document);
  return set;
}

class PartitionTest : public ::testing::TestWithParam<PartitionScheme> {};

TEST_P(PartitionTest, DealsEveryDocumentOnceAndNeverBothWays) {
  TempDirectory directory;
  WriteFortunes(directory);
  CorpusOptions o = Options(directory.path());
  o.scheme = GetParam();
  o.partitions = 3;
  std::map<std::string, int> seen;
  std::uint64_t smallest = UINT64_MAX;
  std::uint64_t largest = 0;
  for (o.partition = 0; o.partition < 3; ++o.partition) {
    auto text = ReadPartitionText(o);
    ASSERT_TRUE(text.ok()) << text.error().message();
    EXPECT_FALSE(text->validation.empty());
    for (const auto& document : Documents(text->training)) ++seen[document];
    for (const auto& document : Documents(text->validation)) ++seen[document];
    smallest = std::min<std::uint64_t>(smallest, text->training.size());
    largest = std::max<std::uint64_t>(largest, text->training.size());
  }
  EXPECT_EQ(seen.size(), 20u * 12 + 10 * 66);
  for (const auto& [document, times] : seen) EXPECT_EQ(times, 1) << document;
  EXPECT_LT(largest, smallest * 5 / 4);
}

TEST_P(PartitionTest, TheSeedDecides) {
  TempDirectory directory;
  WriteFortunes(directory);
  CorpusOptions o = Options(directory.path());
  o.scheme = GetParam();
  o.partitions = 2;
  const auto first = ReadPartitionText(o);
  const auto again = ReadPartitionText(o);
  o.seed = 2;
  const auto other = ReadPartitionText(o);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_EQ(first->training, again->training);
  EXPECT_NE(first->training, other->training);
}

INSTANTIATE_TEST_SUITE_P(Schemes, PartitionTest,
                         ::testing::Values(PartitionScheme::kIid, PartitionScheme::kByFile),
                         [](const auto& info) {
                           return info.param == PartitionScheme::kIid ? "Iid" : "ByFile";
                         });

TEST(Corpus, ByFileGivesWholeFiles) {
  TempDirectory directory;
  for (const char name : {'a', 'b', 'c', 'd', 'e', 'f'}) {
    std::string text;
    for (int i = 0; i < 50; ++i) text += std::string(1, name) + "\n%\n";
    directory.Write(std::string(1, name), text);
  }
  CorpusOptions o = Options(directory.path());
  o.scheme = PartitionScheme::kByFile;
  o.partitions = 4;
  std::string files;
  for (o.partition = 0; o.partition < 4; ++o.partition) {
    const auto text = ReadPartitionText(o);
    ASSERT_TRUE(text.ok()) << text.error().message();
    const std::set<char> letters(text->training.begin(), text->training.end());
    const std::set<char> held_out(text->validation.begin(), text->validation.end());
    EXPECT_EQ(letters, held_out);
    for (const char letter : letters) {
      if (letter != '\n' && letter != '%') files += letter;
    }
  }
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, "abcdef");
}

TEST(Corpus, AnEpochHoldsEachWindowOnceWithShiftedTargets) {
  TempDirectory directory;
  WriteFortunes(directory);
  CorpusOptions o = Options(directory.path());
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  const std::uint64_t per_epoch = corpus->BatchesPerEpoch(8);
  EXPECT_EQ(per_epoch, corpus->TrainingSamples() / 8);
  std::multiset<std::vector<std::int32_t>> windows;
  for (const auto& batch :
       All(*corpus->Training({.seed = 5, .batch_size = 8, .batches = per_epoch}))) {
    ASSERT_EQ(batch.rows, 8u);
    ASSERT_EQ(batch.columns, 16u);
    for (std::uint32_t row = 0; row < 8; ++row) {
      const auto begin = batch.tokens.begin() + row * 16;
      EXPECT_TRUE(std::equal(begin + 1, begin + 16, batch.targets.begin() + row * 16));
      windows.emplace(begin, begin + 16);
    }
  }
  EXPECT_EQ(windows.size(), per_epoch * 8);
  const auto text = ReadPartitionText(o);
  std::multiset<std::vector<std::int32_t>> expected;
  std::vector<std::int32_t> stream;
  auto single =
      corpus->Training({.seed = 9, .batch_size = 1, .batches = corpus->TrainingSamples()});
  for (const auto& batch : All(*single)) expected.insert(batch.tokens);
  EXPECT_EQ(expected.size(), corpus->TrainingSamples());
  for (const auto& window : windows) EXPECT_EQ(expected.count(window), windows.count(window));
  EXPECT_EQ(corpus->TrainingTokens(),
            text->training.size() + 12);  // an end of text behind each file
}

TEST(Corpus, ATrainingGoesOnWhereTheLastOneEnded) {
  TempDirectory directory;
  WriteFortunes(directory);
  const auto corpus = OpenOk(Options(directory.path()));
  ASSERT_NE(corpus, nullptr);
  const std::uint64_t batches = corpus->BatchesPerEpoch(8) + 10;  // over the end of an epoch
  const auto whole = All(*corpus->Training({.seed = 3, .batch_size = 8, .batches = batches}));
  auto first = All(*corpus->Training({.seed = 3, .batch_size = 8, .batches = 7}));
  const auto rest = All(
      *corpus->Training({.seed = 3, .batch_size = 8, .first_batch = 7, .batches = batches - 7}));
  first.insert(first.end(), rest.begin(), rest.end());
  ASSERT_EQ(first.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(first[i].tokens, whole[i].tokens) << i;
  EXPECT_NE(whole[0].tokens, whole[whole.size() - 10].tokens);
  const auto other = All(*corpus->Training({.seed = 4, .batch_size = 8, .batches = 1}));
  EXPECT_NE(other[0].tokens, whole[0].tokens);
}

TEST(Corpus, ValidationCoversEveryByteOnceInOrder) {
  TempDirectory directory;
  CorpusOptions o =
      Options(directory.Write("one", std::string(40, 'a') + "\n" + "the last line of it\n"));
  o.max_length = 8;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  std::string targets;
  std::uint64_t ignored = 0;
  for (const auto& batch : All(*corpus->Validation(2))) {
    for (const auto target : batch.targets) {
      if (target == train::kIgnore)
        ++ignored;
      else if (target < 256)
        targets.push_back(static_cast<char>(target));
    }
  }
  const auto text = ReadPartitionText(o);
  EXPECT_EQ(text->validation, "the last line of it\n");
  EXPECT_EQ(targets, text->validation.substr(1));  // the first byte has no predecessor
  EXPECT_EQ(ignored, 4u);
  EXPECT_EQ(corpus->ValidationTokens(), 21u);
  EXPECT_EQ(All(*corpus->Validation(1, 2)).size(), 2u);
}

TEST(Corpus, NoValidationTextEndsAtOnce) {
  TempDirectory directory;
  CorpusOptions o = Options(directory.Write("one", std::string(100, 'a')));
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_TRUE(All(*corpus->Validation(2)).empty());
}

TEST(Corpus, FewWindowsMakeOneSmallerBatch) {
  TempDirectory directory;
  const auto corpus = OpenOk(Options(directory.Write("one", std::string(33, 'a'))));
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), 2u);
  const auto batches = All(*corpus->Training({.seed = 1, .batch_size = 8, .batches = 3}));
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[2].rows, 2u);
}

TEST(CorpusErrors, MissingPath) {
  EXPECT_THAT(OpenError(Options("/nonexistent/text")), HasSubstr("--data tales=PATH"));
}

TEST(CorpusErrors, UnknownFormat) {
  CorpusOptions o = Options("/tmp");
  o.format = "parquet";
  EXPECT_THAT(OpenError(o), HasSubstr("'parquet' is not supported; supported: text, imdb"));
}

TEST(CorpusErrors, PartitionOutOfRange) {
  CorpusOptions o = Options("/tmp");
  o.partition = 2;
  o.partitions = 2;
  EXPECT_THAT(OpenError(o), HasSubstr("partition 2 of 2"));
}

TEST(CorpusErrors, FractionAndLengthOutOfRange) {
  CorpusOptions o = Options("/tmp");
  o.validation_fraction = 1;
  EXPECT_THAT(OpenError(o), HasSubstr("validation_fraction"));
  o = Options("/tmp");
  o.max_length = 0;
  EXPECT_THAT(OpenError(o), HasSubstr("max_length"));
}

TEST(CorpusErrors, PartitionWithoutText) {
  TempDirectory directory;
  directory.Write("one", std::string(100, 'a'));
  CorpusOptions o = Options(directory.path());
  o.scheme = PartitionScheme::kByFile;
  o.partitions = 2;
  std::string message;
  for (o.partition = 0; o.partition < 2; ++o.partition) {
    auto corpus = OpenCorpus(o, *text::MakeByteTokenizer());
    if (!corpus.ok()) message += corpus.error().message();
  }
  EXPECT_THAT(message, HasSubstr("gets no text"));
}

TEST(CorpusErrors, TextShorterThanAWindow) {
  TempDirectory directory;
  EXPECT_THAT(OpenError(Options(directory.Write("one", "short"))),
              HasSubstr("fewer than one window of max_length 16"));
}

}  // namespace
}  // namespace tributary::corpus
