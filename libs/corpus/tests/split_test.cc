#include "tributary/corpus/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tributary::corpus {
namespace {

using ::testing::ElementsAre;

TEST(SplitText, CutsFortunesAtASeparatorLine) {
  const std::string text = "one 5% of\n%\ntwo\n%\nthree\n%\nfour\n%\n";
  const SplitViews parts = SplitText(text, 0.4);
  EXPECT_EQ(parts.training, "one 5% of\n%\ntwo\n%\nthree\n%\n");
  EXPECT_EQ(parts.validation, "four\n%\n");
}

TEST(SplitText, CutsOtherTextAtALineEnd) {
  const SplitViews parts = SplitText("aaaa\nbbbb\ncccc\ndddd\n", 0.5);
  EXPECT_EQ(parts.training, "aaaa\nbbbb\ncccc\n");
  EXPECT_EQ(parts.validation, "dddd\n");
}

TEST(SplitText, ALongLastPieceIsTheValidationPart) {
  const std::string text = "a\n%\n" + std::string(100, 'x') + "\n%\n";
  const SplitViews parts = SplitText(text, 0.1);
  EXPECT_EQ(parts.training, "a\n%\n");
  EXPECT_EQ(parts.validation, std::string(100, 'x') + "\n%\n");
}

TEST(SplitText, OnePieceIsAllTraining) {
  EXPECT_EQ(SplitText("no line end", 0.5).training, "no line end");
  EXPECT_EQ(SplitText("one line\n", 0.5).validation, "");
  EXPECT_EQ(SplitText("only\n%\n", 0.5).validation, "");
  EXPECT_EQ(SplitText("", 0.5).training, "");
}

TEST(SplitText, NoFractionNoValidation) {
  EXPECT_EQ(SplitText("a\nb\n", 0).validation, "");
}

TEST(SplitText, NothingIsLostForAnyFraction) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += std::string(i % 7 + 1, 'a') + (i % 3 == 0 ? "\n%\n" : "\n");
  for (double fraction = 0; fraction < 1; fraction += 0.01) {
    const SplitViews parts = SplitText(text, fraction);
    EXPECT_EQ(std::string(parts.training) + std::string(parts.validation), text);
    EXPECT_FALSE(parts.training.empty());
  }
}

TEST(SplitDocuments, FortunesAndParagraphs) {
  EXPECT_THAT(SplitDocuments("a\n%\nb\n\nc\n%\nd\n"), ElementsAre("a\n%\n", "b\n\nc\n%\n", "d\n"));
  EXPECT_THAT(SplitDocuments("a\nb\n\n\nc\n\n"), ElementsAre("a\nb\n\n\n", "c\n\n"));
  EXPECT_THAT(SplitDocuments("%\na"), ElementsAre("%\n", "a"));
  EXPECT_TRUE(SplitDocuments("").empty());
}

}  // namespace
}  // namespace tributary::corpus
