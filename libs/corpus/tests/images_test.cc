// CIFAR-10's binary batches, made-up images, and the batches that both give.
#include "support.h"

#include <cmath>

namespace tributary::corpus {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kRecord = 3073;
constexpr std::size_t kPixelsOfOne = 3 * 32 * 32;

// Records whose label and pixels tell their number; the first pixel of each plane is the number.
std::string Records(int begin, int end) {
  std::string text;
  for (int i = begin; i < end; ++i) {
    std::string record(kRecord, static_cast<char>(i * 7));
    record[0] = static_cast<char>(i % 10);
    for (int plane = 0; plane < 3; ++plane)
      record[static_cast<std::size_t>(1 + 1024 * plane)] = static_cast<char>(i);
    text += record;
  }
  return text;
}

constexpr float kMean[] = {0.4914f, 0.4822f, 0.4465f};
constexpr float kDeviation[] = {0.2470f, 0.2435f, 0.2616f};

int NumberOf(const train::Batch& batch, std::size_t row) {
  const float red = batch.pixels[row * kPixelsOfOne] * kDeviation[0] + kMean[0];
  return static_cast<int>(std::lround(red * 255));
}

TEST(Cifar, ABatchIsNormalizedPixelsAndLabels) {
  const TempDirectory directory;
  const std::string file = directory.Write("data_batch_1.bin", Records(0, 20));
  CorpusOptions o = OptionsOf("cifar10", file);
  o.validation_fraction = 0;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), 20u);
  std::set<int> seen;
  for (const auto& batch : All(*corpus->Training({.seed = 1, .batch_size = 5, .batches = 4}))) {
    ASSERT_EQ(batch.rows, 5u);
    ASSERT_EQ(batch.channels, 3u);
    ASSERT_EQ(batch.height, 32u);
    ASSERT_EQ(batch.width, 32u);
    ASSERT_EQ(batch.pixels.size(), 5 * kPixelsOfOne);
    ASSERT_EQ(batch.targets.size(), 5u);
    EXPECT_TRUE(batch.tokens.empty());
    for (std::size_t row = 0; row < 5; ++row) {
      const int number = NumberOf(batch, row);
      EXPECT_TRUE(seen.insert(number).second);
      EXPECT_EQ(batch.targets[row], number % 10);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const float* const plane = batch.pixels.data() + row * kPixelsOfOne + channel * 1024;
        const float first =
            (static_cast<float>(number) / 255 - kMean[channel]) / kDeviation[channel];
        const float other =
            (static_cast<float>(number * 7 % 256) / 255 - kMean[channel]) / kDeviation[channel];
        EXPECT_FLOAT_EQ(plane[0], first);
        EXPECT_FLOAT_EQ(plane[1023], other);
      }
    }
  }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(Cifar, TheTestBatchIsForValidation) {
  const TempDirectory directory;
  directory.Write("cifar-10-batches-bin/data_batch_1.bin", Records(0, 30));
  directory.Write("cifar-10-batches-bin/data_batch_2.bin", Records(30, 50));
  directory.Write("cifar-10-batches-bin/test_batch.bin", Records(100, 120));
  directory.Write("cifar-10-batches-bin/batches.meta.txt", "airplane\n");
  for (const auto scheme :
       {PartitionScheme::kIid, PartitionScheme::kDirichlet, PartitionScheme::kByFile}) {
    CorpusOptions o = OptionsOf("cifar10", directory.path());
    o.scheme = scheme;
    o.alpha = 1;
    o.partitions = 2;
    std::multiset<int> trained;
    std::multiset<int> held_out;
    for (o.partition = 0; o.partition < 2; ++o.partition) {
      const auto corpus = OpenOk(o);
      ASSERT_NE(corpus, nullptr);
      if (scheme == PartitionScheme::kIid) {
        EXPECT_EQ(corpus->TrainingSamples(), 25u);
      }
      for (const auto& batch : Epoch(*corpus)) trained.insert(NumberOf(batch, 0));
      for (const auto& batch : All(*corpus->Validation(1))) held_out.insert(NumberOf(batch, 0));
    }
    EXPECT_EQ(trained.size(), 50u);
    EXPECT_EQ(std::set<int>(trained.begin(), trained.end()).size(), 50u);
    EXPECT_EQ(*trained.rbegin(), 49);
    EXPECT_EQ(held_out.size(), 20u);
    EXPECT_EQ(*held_out.begin(), 100);
  }
}

TEST(Cifar, Errors) {
  const TempDirectory directory;
  const auto error = [&](const std::string& text) {
    return OpenError(OptionsOf("cifar10", directory.Write("data_batch_1.bin", text)));
  };
  EXPECT_THAT(
      error(Records(0, 2) + "x"),
      AllOf(HasSubstr("data_batch_1.bin: 6147 bytes are no whole number of records of 3073")));
  std::string wrong = Records(0, 3);
  wrong[kRecord] = 10;
  EXPECT_THAT(error(wrong), HasSubstr("data_batch_1.bin: record 1 has label 10, expected 0 to 9"));
  EXPECT_THAT(error(""), HasSubstr("is empty"));
  const TempDirectory empty;
  EXPECT_THAT(OpenError(OptionsOf("cifar10", empty.path())), HasSubstr("no *.bin file lies in"));
  CorpusOptions o = OptionsOf("cifar10", directory.Write("data_batch_1.bin", Records(0, 2)));
  o.partitions = 3;
  o.partition = 2;
  EXPECT_THAT(OpenError(o), HasSubstr("partition 2 of 3 gets no image to train on"));
  EXPECT_THAT(OpenCorpus(o, *text::MakeByteTokenizer()).error().message(),
              HasSubstr("is images, and the model reads text"));
  EXPECT_THAT(OpenImages(OptionsOf("imdb", "/")).error().message(),
              HasSubstr("is text, and the model reads images"));
}

TEST(Cifar, AugmentationIsSeededAndLeavesValidationAlone) {
  const TempDirectory directory;
  std::string record(kRecord, '\0');
  for (std::size_t i = 1; i < kRecord; ++i)
    record[i] = static_cast<char>((i - 1) % 1024 / 32 * 8 + (i - 1) % 32 / 4);
  std::string text;
  for (int i = 0; i < 40; ++i) text += record;
  CorpusOptions o = OptionsOf("cifar10", directory.Write("a.bin", text));
  const auto plain = OpenOk(o);
  o.augment = true;
  const auto augmented = OpenOk(o);
  ASSERT_TRUE(plain != nullptr && augmented != nullptr);
  const auto straight = Epoch(*plain)[0].pixels;
  std::set<std::vector<float>> distinct;
  for (const auto& batch : Epoch(*augmented)) distinct.insert(batch.pixels);
  EXPECT_GT(distinct.size(), 20u);
  const auto first = Epoch(*augmented, 3);
  const auto again = Epoch(*augmented, 3);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].pixels, again[i].pixels);
  EXPECT_EQ(All(*augmented->Validation(1))[0].pixels, straight);
  // What comes from the border is black.
  const float black = -kMean[0] / kDeviation[0];
  float least = 0;
  for (const auto& pixels : distinct)
    least = std::min(least, *std::min_element(pixels.begin(), pixels.begin() + 1024));
  EXPECT_FLOAT_EQ(least, black);
}

TEST(SyntheticImages, AreTheSameForTheSameSeed) {
  CorpusOptions o = OptionsOf("synthetic", "");
  o.samples = 100;
  o.partitions = 2;
  std::set<std::vector<float>> seen;
  std::set<std::int32_t> labels;
  std::uint64_t held_out = 0;
  for (o.partition = 0; o.partition < 2; ++o.partition) {
    const auto corpus = OpenOk(o);
    ASSERT_NE(corpus, nullptr);
    EXPECT_EQ(corpus->TrainingSamples(), 45u);
    for (const auto& batch : Epoch(*corpus)) {
      seen.insert(batch.pixels);
      labels.insert(batch.targets[0]);
    }
    held_out += All(*corpus->Validation(1)).size();
  }
  EXPECT_EQ(seen.size(), 90u);
  EXPECT_EQ(labels.size(), 10u);
  EXPECT_EQ(held_out, 10u);
  o.partition = 0;
  EXPECT_EQ(Epoch(*OpenOk(o))[0].pixels, Epoch(*OpenOk(o))[0].pixels);
  o.seed = 2;
  EXPECT_FALSE(seen.contains(Epoch(*OpenOk(o))[0].pixels));
  o.samples = 0;
  EXPECT_THAT(OpenError(o), HasSubstr("needs data.samples"));
  o.samples = 1ull << 40;
  EXPECT_THAT(OpenError(o), HasSubstr("images, more than"));
}

TEST(Cifar, RealImages) {
  const std::string archive = RealData("cifar-10-subset.tar.xz");
  if (archive.empty())
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with cifar-10-subset.tar.xz";
  const TempDirectory directory;
  ASSERT_TRUE(Extract(archive, directory, ""));
  CorpusOptions o = OptionsOf("cifar10", directory.path());
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), 10000u);
  EXPECT_EQ(corpus->ValidationSamples(), 2000u);
  double sum = 0;
  double squares = 0;
  std::uint64_t count = 0;
  for (const auto& batch : All(*corpus->Training({.seed = 1, .batch_size = 100, .batches = 20}))) {
    for (const float pixel : batch.pixels) {
      sum += pixel;
      squares += static_cast<double>(pixel) * pixel;
      ++count;
    }
  }
  const double mean = sum / static_cast<double>(count);
  EXPECT_NEAR(mean, 0, 0.1);
  EXPECT_NEAR(squares / static_cast<double>(count) - mean * mean, 1, 0.15);
}

}  // namespace
}  // namespace tributary::corpus
