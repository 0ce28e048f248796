// aclImdb directories: what is listed, how it is dealt, and the real reviews.
#include "support.h"

namespace tributary::corpus {
namespace {

using ::testing::HasSubstr;

// `each` reviews of both labels in train, and half as many in test.
void WriteReviews(const TempDirectory& directory, int each, bool test) {
  for (const char* label : {"pos", "neg"}) {
    for (int i = 0; i < each; ++i) {
      const std::string name = std::to_string(i) + (label[0] == 'p' ? "_8.txt" : "_2.txt");
      directory.Write(std::string("train/") + label + "/" + name,
                      std::string("<train ") + label + std::to_string(i) + ">");
      if (test && i % 2 == 0) {
        directory.Write(std::string("test/") + label + "/" + name,
                        std::string("<test ") + label + std::to_string(i) + ">");
      }
    }
  }
}

std::vector<std::string> Reviews(const std::string& text) {
  std::vector<std::string> reviews;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('>', at) + 1;
    reviews.push_back(text.substr(at, end - at));
    at = end;
  }
  return reviews;
}

TEST(Imdb, EveryReviewOnceAndTheTestSplitIsForValidation) {
  const TempDirectory directory;
  WriteReviews(directory, 60, /*test=*/true);
  for (const auto scheme : {PartitionScheme::kIid, PartitionScheme::kDirichlet}) {
    CorpusOptions o = OptionsOf("imdb", directory.path());
    o.scheme = scheme;
    o.partitions = 4;
    std::multiset<std::string> seen;
    std::vector<double> positive;
    for (o.partition = 0; o.partition < 4; ++o.partition) {
      const auto text = ReadPartitionText(o);
      ASSERT_TRUE(text.ok()) << text.error().message();
      double pos = 0;
      const auto training = Reviews(text->training);
      for (const auto& review : training) {
        EXPECT_THAT(review, HasSubstr("<train "));
        pos += review.find("pos") != std::string::npos ? 1 : 0;
        seen.insert(review);
      }
      positive.push_back(pos / static_cast<double>(training.size()));
      for (const auto& review : Reviews(text->validation)) {
        EXPECT_THAT(review, HasSubstr("<test "));
        seen.insert(review);
      }
    }
    EXPECT_EQ(seen.size(), 120u + 60);
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
    const auto [least, most] = std::minmax_element(positive.begin(), positive.end());
    if (scheme == PartitionScheme::kDirichlet) {
      EXPECT_GT(*most - *least, 0.2);
    }
  }
}

TEST(Imdb, AHighAlphaDealsLabelsEvenly) {
  const TempDirectory directory;
  WriteReviews(directory, 100, /*test=*/false);
  CorpusOptions o = OptionsOf("imdb", directory.path());
  o.scheme = PartitionScheme::kDirichlet;
  o.alpha = 1e6;
  o.partitions = 4;
  o.validation_fraction = 0;
  for (o.partition = 0; o.partition < 4; ++o.partition) {
    const auto text = ReadPartitionText(o);
    ASSERT_TRUE(text.ok());
    EXPECT_NEAR(static_cast<double>(Reviews(text->training).size()), 50, 2);
  }
}

TEST(Imdb, WithoutATestSplitAFractionIsHeldOut) {
  const TempDirectory directory;
  WriteReviews(directory, 20, /*test=*/false);
  CorpusOptions o = OptionsOf("imdb", directory.path());
  const auto text = ReadPartitionText(o);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(Reviews(text->training).size(), 36u);
  EXPECT_EQ(Reviews(text->validation).size(), 4u);
  o.validation_fraction = 0;
  EXPECT_EQ(ReadPartitionText(o)->validation, "");
}

TEST(Imdb, SamplesTakesSoManyOfEachSplit) {
  const TempDirectory directory;
  WriteReviews(directory, 60, /*test=*/true);
  CorpusOptions o = OptionsOf("imdb", directory.path());
  o.samples = 30;
  const auto text = ReadPartitionText(o);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(Reviews(text->training).size(), 30u);
  EXPECT_EQ(Reviews(text->validation).size(), 30u);
  o.seed = 2;
  EXPECT_NE(ReadPartitionText(o)->training, text->training);
}

TEST(Imdb, WhatIsNoReviewIsLeftOut) {
  const TempDirectory directory;
  WriteReviews(directory, 3, /*test=*/false);
  for (const char* name : {".hidden", "x_1.txt", "1_x.txt", "01_1.txt", "1_1.txt.bak", "1-1.txt",
                           "99999999999_1.txt"}) {
    directory.Write(std::string("train/pos/") + name, "<no>");
  }
  directory.Write("train/unsup/1_0.txt", "<no>");
  std::filesystem::create_directory(directory.path() / "train/pos/7_7.txt");
  std::filesystem::create_symlink("9_9.txt", directory.path() / "train/pos/8_8.txt");
  std::filesystem::create_symlink("8_8.txt", directory.path() / "train/pos/9_9.txt");
  std::filesystem::create_directory_symlink("..", directory.path() / "train/pos/up");
  const auto text = ReadPartitionText(OptionsOf("imdb", directory.path()));
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(Reviews(text->training).size() + Reviews(text->validation).size(), 6u);
  EXPECT_EQ(text->training.find("<no>"), std::string::npos);
}

TEST(Imdb, TheArchivesOwnFolderMayBeNamedToo) {
  const TempDirectory directory;
  directory.Write("aclImdb/train/pos/0_9.txt", "good good good good");
  directory.Write("aclImdb/train/neg/0_1.txt", "bad\xFF bad bad bad");
  CorpusOptions o = OptionsOf("imdb", directory.path());
  o.validation_fraction = 0;
  const auto text = ReadPartitionText(o);
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(text->training,
            "bad\xEF\xBF\xBD bad bad badgood good good good");  // by label, then by number
  EXPECT_TRUE(LookForData("imdb", directory.path(), "d").ok());
}

TEST(Imdb, Errors) {
  const TempDirectory directory;
  EXPECT_THAT(OpenError(OptionsOf("imdb", directory.path())),
              HasSubstr("has no train/pos and train/neg"));
  std::filesystem::create_directories(directory.path() / "train/pos");
  std::filesystem::create_directories(directory.path() / "train/neg");
  EXPECT_THAT(OpenError(OptionsOf("imdb", directory.path())),
              HasSubstr("no review ID_RATING.txt lies in"));
  directory.Write("train/pos/1_9.txt", "one");
  CorpusOptions o = OptionsOf("imdb", directory.path());
  o.partitions = 3;
  std::string messages;
  for (o.partition = 0; o.partition < 3; ++o.partition) {
    const auto text = ReadPartitionText(o);
    if (!text.ok()) messages += text.error().message();
  }
  EXPECT_THAT(messages, HasSubstr("gets no review to train on out of"));
  o.scheme = PartitionScheme::kByFile;
  o.partition = 0;
  EXPECT_THAT(OpenError(o),
              HasSubstr("by-file deals whole files, and format imdb has one for each review"));
  o.scheme = PartitionScheme::kDirichlet;
  o.alpha = 0;
  EXPECT_THAT(OpenError(o), HasSubstr("partition.alpha 0 is not in"));
  std::filesystem::resize_file(directory.path() / "train/pos/1_9.txt", (16u << 20) + 1);
  EXPECT_THAT(OpenError(OptionsOf("imdb", directory.path())),
              HasSubstr("more than a document may have"));
}

TEST(Imdb, RealReviews) {
  const std::string archive = RealData("imdb-aclImdb.tar.xz");
  if (archive.empty())
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with imdb-aclImdb.tar.xz";
  const TempDirectory directory;
  ASSERT_TRUE(Extract(archive, directory, "--wildcards 'aclImdb/t*/*/11[0-9][0-9]_*.txt'"));
  CorpusOptions o = OptionsOf("imdb", directory.path());
  o.max_length = 128;
  o.partitions = 2;
  std::uint64_t windows = 0;
  for (o.partition = 0; o.partition < 2; ++o.partition) {
    const auto corpus = OpenOk(o);
    ASSERT_NE(corpus, nullptr);
    windows += corpus->TrainingSamples();
    EXPECT_GT(corpus->ValidationSamples(), corpus->TrainingSamples() / 2);
    EXPECT_EQ(All(*corpus->Validation(4, 10)).size(), 3u);
  }
  EXPECT_GT(windows, 1500u);  // 200 reviews of about 1300 bytes
}

}  // namespace
}  // namespace tributary::corpus
