// Words as the published expressions cut them, and characters as they class them.
#include "scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unicode_classes.h"

namespace tributary::text {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Pieces(WordPattern pattern, std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t length = PieceLength(pattern, text);
    EXPECT_GT(length, 0u);
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

TEST(Scanner, Gpt2) {
  EXPECT_THAT(Pieces(WordPattern::kGpt2, "I'll say  'No' 123x\n\n a"),
              ElementsAre("I", "'ll", " say", " ", " '", "No", "'", " 123", "x", "\n\n", " a"));
  EXPECT_THAT(Pieces(WordPattern::kGpt2, "I'LL "), ElementsAre("I", "'", "LL", " "));
  EXPECT_THAT(Pieces(WordPattern::kGpt2, "a   "), ElementsAre("a", "   "));
  EXPECT_THAT(Pieces(WordPattern::kGpt2, "\n"), ElementsAre("\n"));
}

TEST(Scanner, Llama3) {
  EXPECT_THAT(
      Pieces(WordPattern::kLlama3, "I'LL say (no) 12345!\r\n\r\n  x"),
      ElementsAre("I", "'LL", " say", " (", "no", ")", " ", "123", "45", "!\r\n\r\n", " ", " x"));
  EXPECT_THAT(Pieces(WordPattern::kLlama3, "\tif\n \n  b"),
              ElementsAre("\tif", "\n \n", " ", " b"));
  EXPECT_THAT(Pieces(WordPattern::kLlama3, "'tis x'\xC5\xBF"),
              ElementsAre("'t", "is", " x", "'\xC5\xBF"));
}

TEST(Scanner, Qwen2TakesDigitsOneByOne) {
  EXPECT_THAT(Pieces(WordPattern::kQwen2, "a 12"), ElementsAre("a", " ", "1", "2"));
}

TEST(Scanner, KnowsExpressionsByTheirText) {
  WordPattern pattern = WordPattern::kLlama3;
  EXPECT_TRUE(KnownPattern(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", &pattern));
  EXPECT_EQ(pattern, WordPattern::kGpt2);
  EXPECT_FALSE(KnownPattern(R"(\p{L}+)", &pattern));
}

TEST(UnicodeClasses, OfSomeCharacters) {
  const ClassTable& classes = ClassTable::Get();
  EXPECT_EQ(classes.Of('a'), kLetter | kWordPart);
  EXPECT_EQ(classes.Of('7'), kNumber | kNumeric | kWordPart);
  EXPECT_EQ(classes.Of('_'), kWordPart);
  EXPECT_EQ(classes.Of(0x3000), kSpace);
  EXPECT_EQ(classes.Of(0x180E), 0);
  EXPECT_EQ(classes.Of(0x4E16), kLetter | kWordPart);
  EXPECT_EQ(classes.Of(0x10FFFF), 0);
  EXPECT_EQ(FirstClass(""), 0);
  EXPECT_EQ(LastClass("a\xE3\x80\x80"), kSpace);
}

}  // namespace
}  // namespace tributary::text
