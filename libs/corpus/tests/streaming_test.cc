// What the data costs: memory that does not grow with it, token files that are found again, an
// order that stays what it was.
#include <fstream>
#include <numeric>

#include "libs/base/testing/sanitized.h"
#include "permutation.h"
#include "support.h"
#include "tributary/base/random.h"
#include "tributary/memory/process_memory.h"

namespace tributary::corpus {
namespace {

using ::testing::HasSubstr;

TEST(Permutation, IsOneOfEverySize) {
  for (const std::uint64_t n :
       {0ull, 1ull, 2ull, 1000ull, 1ull << 20, (1ull << 20) + 1, 1234567ull}) {
    const Permutation permutation(n, 5);
    std::vector<bool> seen(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      ASSERT_LT(permutation[i], n);
      ASSERT_FALSE(seen[permutation[i]]);
      seen[permutation[i]] = true;
    }
  }
}

TEST(Permutation, TheSeedDecidesAndComputedOnesAreStirredToo) {
  constexpr std::uint64_t kMany = 3'000'000'000;  // no list of these would fit
  const Permutation one(kMany, 1);
  const Permutation again(kMany, 1);
  const Permutation other(kMany, 2);
  double rise = 0;
  int equal = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    EXPECT_EQ(one[i], again[i]);
    EXPECT_LT(one[i], kMany);
    equal += one[i] == other[i] ? 1 : 0;
    rise += static_cast<double>(one[i]) / static_cast<double>(kMany);
  }
  EXPECT_LE(equal, 1);
  EXPECT_NEAR(rise / 10000, 0.5, 0.02);
}

std::string Paragraphs(std::uint64_t bytes) {
  std::string text;
  SplitMix64 random(3);
  while (text.size() < bytes) {
    text += "a line of some words " + std::to_string(random.Next()) + "\n";
    if (random.NextBelow(8) == 0) text += "\n";
  }
  return text;
}

std::uint64_t Digest(train::BatchSource& source) {
  std::uint64_t digest = 0;
  for (const auto& batch : All(source)) {
    for (const auto id : batch.tokens) digest = MixSeed(digest, id);
    for (const auto id : batch.targets) digest = MixSeed(digest, id);
  }
  return digest;
}

// Numbers of the first release that had this order: a job that is resumed goes on with what it had.
TEST(Order, OfWindowsIsWhatItWas) {
  const TempDirectory directory;
  SplitMix64 random(5);
  for (int file = 0; file < 6; ++file) {
    std::string text;
    for (int i = 0; i < 200; ++i) {
      text += std::to_string(random.Next()) + (file % 2 == 1              ? "\n%\n"
                                               : random.NextBelow(2) == 1 ? "\n\n"
                                                                          : "\n");
    }
    directory.Write("f" + std::to_string(file), text);
  }
  CorpusOptions o = OptionsOf("text", directory.path());
  o.seed = 7;
  o.validation_fraction = 0.05;
  std::vector<std::uint64_t> digests;
  for (const auto scheme : {PartitionScheme::kIid, PartitionScheme::kByFile}) {
    for (const std::uint32_t partitions : {1u, 3u}) {
      o.scheme = scheme;
      o.partitions = partitions;
      o.partition = partitions - 1;
      const auto corpus = OpenOk(o);
      ASSERT_NE(corpus, nullptr);
      digests.push_back(Digest(*corpus->Training({.seed = 3,
                                                  .batch_size = 4,
                                                  .first_batch = 5,
                                                  .batches = corpus->BatchesPerEpoch(4) + 9})));
      digests.push_back(Digest(*corpus->Validation(4)));
    }
  }
  EXPECT_THAT(digests, ::testing::ElementsAre(1888603231690359248u, 1940546816522850940u,
                                              14976331419584725284u, 9171861708602341429u,
                                              1888603231690359248u, 1940546816522850940u,
                                              6126447998238125015u, 13813010415565519285u));
}

TEST(Memory, DoesNotGrowWithTheText) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory would be measured";
  const TempDirectory directory;
  const std::string text = Paragraphs(4u << 20);
  {
    std::ofstream out(directory.File("big.txt"), std::ios::binary);
    for (int i = 0; i < 16; ++i) out << text;
  }
  for (const bool packing : {true, false}) {
    CorpusOptions o = OptionsOf("text", directory.path());
    o.partitions = 2;
    o.max_length = 64;
    o.packing = packing;
    ASSERT_TRUE(memory::ResetPeak().ok());
    const auto before = memory::ReadProcessMemory();
    const auto corpus = OpenOk(o);
    ASSERT_NE(corpus, nullptr);
    EXPECT_GT(corpus->TrainingTokens(), packing ? 28u << 20 : 4u << 20);
    auto source = corpus->Training({.seed = 1, .batch_size = 16, .batches = 2000});
    for (int i = 0; i < 2000; ++i) ASSERT_TRUE(source->Next().ok());
    const auto after = memory::ReadProcessMemory();
    ASSERT_TRUE(before.ok() && after.ok());
    const double grown = static_cast<double>(after->rss_peak - before->rss) / (1 << 20);
    std::printf("64 MiB of text, packing %d: peak memory grew by %.1f MiB\n", packing ? 1 : 0,
                grown);
    EXPECT_LT(grown, 24) << "half of the text alone has 32 MiB";
  }
}

class TokenCache : public ::testing::Test {
 protected:
  TokenCache() {
    options_ = OptionsOf("text", data_.Write("a.txt", Paragraphs(100'000)));
    options_.cache_directory = cache_.File("tokens");
    options_.on_progress = [](std::uint64_t) { return Ok(); };
  }
  std::vector<std::filesystem::path> Entries() const {
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(options_.cache_directory))
      entries.push_back(entry.path());
    return entries;
  }

  const TempDirectory data_;
  const TempDirectory cache_;
  CorpusOptions options_;
};

TEST_F(TokenCache, IsFoundAgainAndGivesTheSame) {
  auto corpus = OpenOk(options_);
  ASSERT_NE(corpus, nullptr);
  ASSERT_EQ(Entries().size(), 1u);
  const auto home = Entries()[0];
  const auto written = std::filesystem::last_write_time(home / "training.tokens");
  const auto first = Digest(*corpus->Training({.seed = 1, .batch_size = 4, .batches = 50}));
  corpus = OpenOk(options_);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(std::filesystem::last_write_time(home / "training.tokens"), written);
  EXPECT_EQ(Digest(*corpus->Training({.seed = 1, .batch_size = 4, .batches = 50})), first);
}

TEST_F(TokenCache, OtherDataOptionsOrTokenizerMakeItAnew) {
  ASSERT_NE(OpenOk(options_), nullptr);
  std::set<std::filesystem::path> seen = {Entries()[0]};
  // Whether the options have files of their own; what is there beside them is counted.
  const auto renewed = [&] {
    EXPECT_NE(OpenOk(options_), nullptr);
    bool fresh = false;
    for (const auto& entry : Entries()) fresh = seen.insert(entry).second || fresh;
    return fresh;
  };
  options_.partitions = 2;
  EXPECT_TRUE(renewed());
  options_.partitions = 1;
  EXPECT_FALSE(renewed());  // jobs take turns
  options_.tokenizer_key = "other";
  EXPECT_TRUE(renewed());
  options_.packing = false;
  EXPECT_TRUE(renewed());
  EXPECT_EQ(Entries().size(), 4u);
  std::ofstream(options_.path, std::ios::app) << "more\n";
  EXPECT_TRUE(renewed());
  options_.packing.reset();
  EXPECT_TRUE(renewed());
  EXPECT_EQ(Entries().size(), 4u);  // the oldest are gone
  options_.max_length = 8;          // packed tokens do not depend on it
  EXPECT_FALSE(renewed());
}

TEST_F(TokenCache, WhatAKilledProcessLeftIsReplaced) {
  ASSERT_NE(OpenOk(options_), nullptr);
  const auto home = Entries()[0];
  // Killed while writing: another name, part of the files.
  std::filesystem::create_directories(home.string() + ".new");
  std::ofstream(home.string() + ".new/training.tokens") << "part";
  std::filesystem::resize_file(home / "training.tokens", 100);
  auto corpus = OpenOk(options_);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(Entries().size(), 1u);
  EXPECT_EQ(std::filesystem::file_size(home / "training.tokens"), corpus->TrainingTokens() * 2);
  for (const std::string& summary : {std::string("{}"), std::string("[1]"), std::string("nothing"),
                                     std::string("{\"key\": 1, \"training\": 2}")}) {
    std::ofstream(home / "summary.json") << summary;
    EXPECT_NE(OpenOk(options_), nullptr) << summary;
  }
}

TEST_F(TokenCache, ATruncatedFileIsAnErrorWhileItIsRead) {
  const auto corpus = OpenOk(options_);
  ASSERT_NE(corpus, nullptr);
  std::filesystem::resize_file(Entries()[0] / "training.tokens", 10);
  auto source = corpus->Training({.seed = 1, .batch_size = 4, .batches = 50});
  const auto batch = source->Next();
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().code(), Code::kDataLoss);
}

TEST_F(TokenCache, AnErrorOfProgressEndsTheOpeningAndLeavesNothing) {
  options_.path = data_.Write("b.txt", Paragraphs(3u << 20));
  options_.on_progress = [](std::uint64_t) -> Status {
    return MakeError(Code::kCancelled, "enough");
  };
  const auto corpus = Open(options_);
  ASSERT_FALSE(corpus.ok());
  EXPECT_EQ(corpus.error().code(), Code::kCancelled);
  EXPECT_TRUE(Entries().empty());
}

TEST(TokenFiles, WithoutADirectoryNothingIsLeft) {
  const TempDirectory data;
  const TempDirectory temporary;
  const char* const before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", temporary.path().c_str(), 1);
  const auto corpus = OpenOk(OptionsOf("text", data.Write("a.txt", Paragraphs(10'000))));
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
  ASSERT_NE(corpus, nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));
  EXPECT_EQ(Epoch(*corpus).size(), corpus->TrainingSamples());
}

TEST(TextDocuments, WithoutPackingEachIsARow) {
  const TempDirectory data;
  CorpusOptions o = OptionsOf("text", data.Write("a.txt", "one\ntwo\n\nthree\n\n\nfour\n"));
  o.packing = false;
  o.validation_fraction = 0;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  std::vector<std::string> rows;
  for (const auto& batch : Epoch(*corpus)) rows.push_back(RowText(batch));
  EXPECT_THAT(rows, ::testing::UnorderedElementsAre("one\ntwo\n\n", "three\n\n\n", "four\n"));
}

}  // namespace
}  // namespace tributary::corpus
