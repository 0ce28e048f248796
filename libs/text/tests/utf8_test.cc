#include "tributary/text/utf8.h"

#include <gtest/gtest.h>

namespace tributary::text {
namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Utf8, ValidTextStays) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(ReplaceInvalidUtf8(text), text);
}

// Expected values: Python's bytes.decode('utf-8', errors='replace').
TEST(Utf8, InvalidPartsBecomeOneReplacementEach) {
  EXPECT_EQ(ReplaceInvalidUtf8("a\xFFz"), "a" + kReplacement + "z");
  EXPECT_EQ(ReplaceInvalidUtf8("\xC0\xAF"), kReplacement + kReplacement);
  EXPECT_EQ(ReplaceInvalidUtf8("\xED\xA0\x80"), kReplacement + kReplacement + kReplacement);
  EXPECT_EQ(ReplaceInvalidUtf8("\xF0\x9F\x98"), kReplacement);
  EXPECT_EQ(ReplaceInvalidUtf8("\xF0\x9F"
                               "A"),
            kReplacement + "A");
  EXPECT_EQ(ReplaceInvalidUtf8("\xF4\x90\x80\x80"),
            kReplacement + kReplacement + kReplacement + kReplacement);
}

TEST(Utf8, KnowsWhatIsValid) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("more than eight characters \xE2\x82\xAC"));
  EXPECT_FALSE(IsValidUtf8("more than eight characters \xE2\x82"));
  EXPECT_FALSE(IsValidUtf8("\xED\xA0\x80"));
}

TEST(Utf8, PrefixEndsAtACharacter) {
  EXPECT_EQ(CompleteUtf8Prefix(""), 0u);
  EXPECT_EQ(CompleteUtf8Prefix("abc"), 3u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xE2\x82"), 2u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xE2\x82\xAC"), 5u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xF0\x9F\x98"), 2u);
  EXPECT_EQ(CompleteUtf8Prefix("ab\xFF"), 3u);
  EXPECT_EQ(CompleteUtf8Prefix("\x80\x80\x80"), 3u);
}

TEST(Utf8, EncodesEachLength) {
  EXPECT_EQ(EncodeUtf8(U'A'), "A");
  EXPECT_EQ(EncodeUtf8(0x120), "\xC4\xA0");
  EXPECT_EQ(EncodeUtf8(0x20AC), "\xE2\x82\xAC");
  EXPECT_EQ(EncodeUtf8(0x1F600), "\xF0\x9F\x98\x80");
}

}  // namespace
}  // namespace tributary::text
