#include "tributary/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tiny_vocabulary.h"

namespace tributary::text {
namespace {

using Ids = std::vector<std::int32_t>;
using ::testing::ElementsAre;

std::unique_ptr<Tokenizer> OpenTiny() {
  TempDirectory directory;
  directory.Write("vocab.json", TinyVocabulary().dump());
  directory.Write("merges.txt", TinyMergeLines());
  auto tokenizer = OpenTokenizer(directory.path());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

Ids EncodeOk(const Tokenizer& tokenizer, std::string_view text) {
  auto ids = tokenizer.Encode(text);
  EXPECT_TRUE(ids.ok()) << ids.error().message();
  return ids.ok() ? *ids : Ids{};
}

TEST(ByteTokenizer, GivesEveryByteBack) {
  auto tokenizer = OpenTokenizer("");
  ASSERT_TRUE(tokenizer.ok());
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  const Ids ids = EncodeOk(**tokenizer, all);
  ASSERT_EQ(ids.size(), 256u);
  EXPECT_EQ(ids[200], 200);
  EXPECT_EQ((*tokenizer)->DecodeBytes(ids), all);
  EXPECT_EQ((*tokenizer)->VocabularySize(), 257u);
  EXPECT_EQ((*tokenizer)->EndOfText(), 256);
  EXPECT_EQ((*tokenizer)->Decode(Ids{'h', 256, 'i', -5, 9999}), "hi");
  EXPECT_EQ((*tokenizer)->Decode(Ids{0xFF}), "\xEF\xBF\xBD");
}

TEST(BpeTokenizer, MergesByRank) {
  const auto tokenizer = OpenTiny();
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_THAT(EncodeOk(*tokenizer, "low lower"), ElementsAre(257, 259, 258));
  EXPECT_THAT(EncodeOk(*tokenizer, "wer"), ElementsAre(260));
  EXPECT_THAT(EncodeOk(*tokenizer, "lolow"), ElementsAre(256, 257));
  EXPECT_EQ(tokenizer->VocabularySize(), 262u);
  EXPECT_EQ(tokenizer->EndOfText(), 261);
  EXPECT_TRUE(EncodeOk(*tokenizer, "").empty());
}

TEST(BpeTokenizer, TheSpellingOfASpecialTokenIsText) {
  const auto tokenizer = OpenTiny();
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(EncodeOk(*tokenizer, "<|endoftext|>").size(), 13u);
  EXPECT_EQ(tokenizer->Decode(Ids{'a', 261, 'b'}), "ab");
}

TEST(BpeTokenizer, InvalidUtf8IsReplaced) {
  const auto tokenizer = OpenTiny();
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_THAT(EncodeOk(*tokenizer, "a\xFF"), ElementsAre('a', 0xEF, 0xBF, 0xBD));
  EXPECT_EQ(tokenizer->Decode(EncodeOk(*tokenizer, "\xE2\x82\xAC low")), "\xE2\x82\xAC low");
}

TEST(BpeTokenizer, RepeatedAndVeryLongPieces) {
  const auto tokenizer = OpenTiny();
  ASSERT_NE(tokenizer, nullptr);
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "lower";  // one piece: no space in it
  const Ids ids = EncodeOk(*tokenizer, text + " low low low");
  EXPECT_EQ(ids.size(), 200'003u);
  EXPECT_EQ(tokenizer->DecodeBytes(ids), text + " low low low");
}

TEST(BpeTokenizer, TokenizerJsonIsTheSame) {
  TempDirectory directory;
  const std::string file = directory.Write("tokenizer.json", TinyTokenizerJson().dump());
  for (const std::string& path : {file, directory.path().string()}) {
    auto tokenizer = OpenTokenizer(path);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
    EXPECT_THAT(EncodeOk(**tokenizer, "low lower"), ElementsAre(257, 259, 258));
    EXPECT_EQ((*tokenizer)->EndOfText(), 261);
    EXPECT_EQ((*tokenizer)->VocabularySize(), 262u);
  }
}

TEST(BpeTokenizer, DigitsMayStandAlone) {
  TempDirectory directory;
  Json json = TinyTokenizerJson();
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Digits"}, {"individual_digits", true}},
                             {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
  json["model"]["vocab"]["12"] = 262;
  json["model"]["merges"].push_back(Json::array({"1", "2"}));
  auto tokenizer = OpenTokenizer(directory.Write("tokenizer.json", json.dump()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_THAT(EncodeOk(**tokenizer, "a12low"), ElementsAre('a', '1', '2', 257));
}

TEST(BpeTokenizer, BytesThatTheVocabularyLacksAreDropped) {
  TempDirectory directory;
  Json vocabulary = TinyVocabulary();
  vocabulary.erase(PrintableByte(4));
  vocabulary["lowlow"] = 4;
  directory.Write("vocab.json", vocabulary.dump());
  directory.Write("merges.txt", TinyMergeLines());
  auto tokenizer = OpenTokenizer(directory.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_THAT(EncodeOk(**tokenizer, "a\x04"), ElementsAre('a'));
  EXPECT_TRUE(EncodeOk(**tokenizer, "\x04").empty());
}

std::string TestData(const std::string& name) {
  const char* root = std::getenv("TRIBUTARY_TEST_DATA");
  return root == nullptr ? "" : std::string(root) + "/" + name;
}

TEST(BpeTokenizer, Gpt2Vectors) {
  const std::string path = TestData("gpt2-tokenizer");
  if (path.empty() || !std::filesystem::exists(path)) {
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with gpt2-tokenizer";
  }
  auto tokenizer = OpenTokenizer(path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_EQ((*tokenizer)->VocabularySize(), 50257u);
  EXPECT_EQ((*tokenizer)->EndOfText(), 50256);
  EXPECT_THAT(EncodeOk(**tokenizer, "Hello world, federated fine-tuning!"),
              ElementsAre(15496, 995, 11, 28062, 515, 3734, 12, 28286, 278, 0));
}

}  // namespace
}  // namespace tributary::text
