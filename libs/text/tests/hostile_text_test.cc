// Text made to cost time or to pass for something that it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "mixed_text.h"
#include "tiny_vocabulary.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {
namespace {

using Ids = std::vector<std::int32_t>;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<Tokenizer> Open(const Json& json) {
  TempDirectory directory;
  auto tokenizer = OpenTokenizer(directory.Write("tokenizer.json", json.dump()));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

Ids EncodeOk(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {}) {
  auto ids = tokenizer.Encode(text, options);
  EXPECT_TRUE(ids.ok()) << ids.error().message();
  return ids.ok() ? *ids : Ids{};
}

std::unique_ptr<Tokenizer> OpenGolden(const std::string& name) {
  auto tokenizer =
      OpenTokenizer(std::string(TRIBUTARY_GOLDEN_DIRECTORY "/") + name + "_tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

// A merge that looked at the whole run each time would take hours here: the test's limit catches
// it.
TEST(HostileText, AMegabyteOfOneLetter) {
  Json json = TinyTokenizerJson();
  std::string token = "a";
  for (int id = 262; token.size() < 64; ++id) {
    json["model"]["merges"].push_back(token + " " + token);
    token += token;
    json["model"]["vocab"][token] = id;
  }
  const auto tokenizer = Open(json);
  ASSERT_NE(tokenizer, nullptr);
  const std::string text((1 << 20) + 3, 'a');
  const Ids ids = EncodeOk(*tokenizer, text);
  ASSERT_EQ(ids.size(), (1u << 14) + 2);  // of 64 each, then two letters and one
  EXPECT_EQ(ids.front(), 267);
  EXPECT_EQ(ids.back(), 'a');
  EXPECT_EQ(tokenizer->DecodeBytes(ids), text);
}

TEST(HostileText, MegabytesOfSpacesDigitsAndLineEnds) {
  for (const char* name :
       {"gpt2", "llama3", "llama2", "metaspace_always", "unknown", "expression"}) {
    const auto tokenizer = OpenGolden(name);
    ASSERT_NE(tokenizer, nullptr);
    for (const char c : {' ', '7', '\n', 'q', '!'}) {
      const std::string text(1 << 19, c);
      EXPECT_FALSE(EncodeOk(*tokenizer, text, {.parse_special_tokens = true}).empty())
          << name << " " << c;
    }
  }
}

TEST(HostileText, ShortAndLongWordsMergeAlike) {
  // Words of up to 96 symbols and longer ones take different ways to the same merges.
  const auto tokenizer = OpenGolden("llama3");
  ASSERT_NE(tokenizer, nullptr);
  std::string word;
  for (int i = 0; i < 40; ++i) word += "riverthewatervalue"[i % 18];
  const Ids once = EncodeOk(*tokenizer, word);
  std::string repeated;
  Ids expected;
  // A character that nothing merges with keeps the repetitions apart inside one piece.
  const std::string apart = "\xE4\xB8\x96";
  const Ids apart_ids = EncodeOk(*tokenizer, apart);
  for (int i = 0; i < 5; ++i) {
    repeated += word + apart;
    expected.insert(expected.end(), once.begin(), once.end());
    expected.insert(expected.end(), apart_ids.begin(), apart_ids.end());
  }
  EXPECT_EQ(EncodeOk(*tokenizer, repeated), expected);
}

TEST(HostileText, ExpressionsThatBacktrackGiveUp) {
  Json json = TinyTokenizerJson();
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern", {{"Regex", "(a+)+(?=b)"}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  const auto tokenizer = Open(json);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->DecodeBytes(EncodeOk(*tokenizer, "aaab")), "aaab");
  const auto ids = tokenizer->Encode(std::string(64, 'a') + "c");
  ASSERT_FALSE(ids.ok());
  EXPECT_THAT(ids.error().message(), HasSubstr("gave up on the text at byte 0"));
}

TEST(SpecialTokens, SpellingsAreTextUnlessAskedFor) {
  const auto tokenizer = Open(TinyTokenizerJson());
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = "low<|endoftext|> low";
  EXPECT_EQ(EncodeOk(*tokenizer, text).size(), 15u);
  EXPECT_THAT(EncodeOk(*tokenizer, text, {.parse_special_tokens = true}),
              ElementsAre(257, 261, 259));
  EXPECT_TRUE(tokenizer->IsSpecial(261));
  EXPECT_FALSE(tokenizer->IsSpecial(260));
  EXPECT_FALSE(tokenizer->IsSpecial(-1));
  EXPECT_FALSE(tokenizer->IsSpecial(262));
  EXPECT_EQ(tokenizer->TokenId("<|endoftext|>"), 261);
  EXPECT_EQ(tokenizer->TokenId(" low"), 259);
  EXPECT_EQ(tokenizer->TokenId("nothing"), -1);
}

TEST(SpecialTokens, IgnoreMergesDoesNotGiveThemToText) {
  Json json = TinyTokenizerJson();
  json["model"]["vocab"]["<|endoftext|>"] = 261;
  json["model"]["ignore_merges"] = true;
  json["pre_tokenizer"]["use_regex"] = false;
  const auto tokenizer = Open(json);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(EncodeOk(*tokenizer, "<|endoftext|>").size(), 13u);
  EXPECT_THAT(EncodeOk(*tokenizer, "low"), ElementsAre(257));
}

TEST(SpecialTokens, ATextThatGoesOnGetsNoSpaceInFront) {
  for (const char* name : {"llama2", "metaspace", "metaspace_always", "gpt2"}) {
    const auto tokenizer = OpenGolden(name);
    ASSERT_NE(tokenizer, nullptr);
    const Ids first = EncodeOk(*tokenizer, "the boats");
    const Ids second = EncodeOk(*tokenizer, "\nthe boats", {.continues = true});
    Ids both = first;
    both.insert(both.end(), second.begin(), second.end());
    EXPECT_EQ(EncodeOk(*tokenizer, "the boats\nthe boats"), both) << name;
  }
}

TEST(TokenizerThreads, ShareOneTokenizer) {
  const auto tokenizer = OpenGolden("llama2");
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = MixedText::Make(60'000, "");
  const Ids expected = EncodeOk(*OpenGolden("llama2"), text);
  std::vector<Ids> results(4);
  std::vector<std::thread> threads;
  for (Ids& result : results) threads.emplace_back([&] { result = EncodeOk(*tokenizer, text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace tributary::text
