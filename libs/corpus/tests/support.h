// What the tests of the formats share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/base/testing/temp_directory.h"
#include "tributary/corpus/corpus.h"

namespace tributary::corpus {

inline CorpusOptions OptionsOf(const std::string& format, const std::string& path) {
  CorpusOptions o;
  o.name = "d";
  o.path = path;
  o.format = format;
  o.max_length = 16;
  return o;
}

inline Result<std::unique_ptr<Corpus>> Open(const CorpusOptions& o) {
  if (IsImageFormat(o.format)) return OpenImages(o);
  return OpenCorpus(o, *text::MakeByteTokenizer());
}

inline std::unique_ptr<Corpus> OpenOk(const CorpusOptions& o) {
  auto corpus = Open(o);
  EXPECT_TRUE(corpus.ok()) << corpus.error().message();
  return corpus.ok() ? std::move(corpus).value() : nullptr;
}

inline std::string OpenError(const CorpusOptions& o) {
  const auto corpus = Open(o);
  EXPECT_FALSE(corpus.ok());
  if (corpus.ok()) return "";
  EXPECT_EQ(corpus.error().message().find('\n'), std::string::npos) << corpus.error().message();
  return corpus.error().message();
}

inline std::vector<train::Batch> All(train::BatchSource& source) {
  std::vector<train::Batch> batches;
  while (true) {
    auto batch = source.Next();
    EXPECT_TRUE(batch.ok()) << batch.error().message();
    if (!batch.ok() || batch->rows == 0) return batches;
    batches.push_back(std::move(batch).value());
  }
}

// An epoch of training batches of one sample.
inline std::vector<train::Batch> Epoch(const Corpus& corpus, std::uint64_t seed = 1) {
  return All(
      *corpus.Training({.seed = seed, .batch_size = 1, .batches = corpus.TrainingSamples()}));
}

inline std::string Text(const std::vector<std::int32_t>& ids) {
  return text::MakeByteTokenizer()->DecodeBytes(ids);
}

// The tokens of one row and its last target; and the targets that carry loss.
inline std::string RowText(const train::Batch& batch) {
  return Text(batch.tokens) + Text({batch.targets.back()});
}
inline std::string LearnedText(const train::Batch& batch) {
  std::vector<std::int32_t> learned;
  for (const std::int32_t id : batch.targets) {
    if (id != train::kIgnore) learned.push_back(id);
  }
  return Text(learned);
}

// A folder of real data, or nothing where it is absent.
inline std::string RealData(const std::string& name) {
  const char* const root = std::getenv("TRIBUTARY_TEST_DATA");
  if (root == nullptr) return "";
  const std::string path = std::string(root) + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

inline ::testing::AssertionResult Extract(const std::string& archive,
                                          const TempDirectory& directory,
                                          const std::string& words) {
  const std::string command =
      "tar -xJf '" + archive + "' -C '" + directory.path().string() + "' " + words;
  const int code = std::system(command.c_str());
  return code == 0 ? ::testing::AssertionSuccess()
                   : ::testing::AssertionFailure() << command << " gave " << code;
}

}  // namespace tributary::corpus
