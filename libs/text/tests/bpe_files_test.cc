// Broken tokenizer files, each refused with an error that names file and cause.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tiny_vocabulary.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {
namespace {

using ::testing::HasSubstr;

std::string OpenError(const std::string& path) {
  auto tokenizer = OpenTokenizer(path);
  EXPECT_FALSE(tokenizer.ok());
  return tokenizer.ok() ? "" : tokenizer.error().message();
}

std::string PairError(const std::string& vocabulary, const std::string& merges) {
  TempDirectory directory;
  directory.Write("vocab.json", vocabulary);
  directory.Write("merges.txt", merges);
  return OpenError(directory.path());
}

std::string JsonError(const Json& json) {
  TempDirectory directory;
  return OpenError(directory.Write("tokenizer.json", json.dump()));
}

TEST(TokenizerFiles, MissingPathIsNamed) {
  EXPECT_THAT(OpenError("/nonexistent/tok"), HasSubstr("/nonexistent/tok"));
}

TEST(TokenizerFiles, DirectoryWithoutTokenizer) {
  TempDirectory directory;
  EXPECT_THAT(OpenError(directory.path()), HasSubstr("neither tokenizer.json nor vocab.json"));
}

TEST(TokenizerFiles, MissingMerges) {
  TempDirectory directory;
  directory.Write("vocab.json", TinyVocabulary().dump());
  EXPECT_THAT(OpenError(directory.path()), HasSubstr("merges.txt"));
}

TEST(TokenizerFiles, NotJson) {
  EXPECT_THAT(PairError("{\"a\": ", ""), HasSubstr("not valid JSON"));
}

TEST(TokenizerFiles, TooDeepJson) {
  EXPECT_THAT(PairError(std::string(100000, '['), ""), HasSubstr("nested deeper"));
}

TEST(TokenizerFiles, IdsOutOfRange) {
  for (const Json& id : {Json(-1), Json(1u << 30), Json(1.5), Json("7"), Json(~0ull)}) {
    Json vocabulary = TinyVocabulary();
    vocabulary["a"] = id;
    EXPECT_THAT(PairError(vocabulary.dump(), TinyMergeLines()),
                HasSubstr("not an integer below 262"));
  }
}

TEST(TokenizerFiles, IdGivenTwice) {
  Json vocabulary = TinyVocabulary();
  vocabulary["a"] = 5;
  EXPECT_THAT(PairError(vocabulary.dump(), TinyMergeLines()),
              HasSubstr("id 5 is given to two tokens"));
}

TEST(TokenizerFiles, ByteMissing) {
  Json vocabulary = TinyVocabulary();
  vocabulary.erase("a");
  vocabulary["aaaa"] = 'a';
  EXPECT_THAT(PairError(vocabulary.dump(), TinyMergeLines()), HasSubstr("no token for byte 0x61"));
}

TEST(TokenizerFiles, ForeignAlphabet) {
  Json vocabulary = TinyVocabulary();
  vocabulary["\xE2\x96\x81the"] = 262;
  EXPECT_THAT(PairError(vocabulary.dump(), TinyMergeLines()), HasSubstr("only byte-level BPE"));
}

TEST(TokenizerFiles, MergeLineWithoutSpace) {
  EXPECT_THAT(PairError(TinyVocabulary().dump(), "#version\nlo\n"), HasSubstr("line 2"));
}

TEST(TokenizerFiles, MergeOfUnknownToken) {
  EXPECT_THAT(PairError(TinyVocabulary().dump(), "a b\n"), HasSubstr("merge 1 joins tokens"));
}

TEST(TokenizerFiles, OtherModelKindsAreNamed) {
  Json json = TinyTokenizerJson();
  json["model"]["type"] = "Unigram";
  EXPECT_THAT(JsonError(json), HasSubstr("'Unigram' is not supported"));
}

TEST(TokenizerFiles, ByteFallbackIsRefused) {
  Json json = TinyTokenizerJson();
  json["model"]["byte_fallback"] = true;
  EXPECT_THAT(JsonError(json), HasSubstr("byte_fallback"));
}

TEST(TokenizerFiles, OtherPretokenizersAreNamed) {
  Json json = TinyTokenizerJson();
  json["pre_tokenizer"] = {{"type", "Metaspace"}};
  EXPECT_THAT(JsonError(json), HasSubstr("'Metaspace' is not supported"));
  json.erase("pre_tokenizer");
  EXPECT_THAT(JsonError(json), HasSubstr("pre_tokenizer 'none'"));
}

TEST(TokenizerFiles, NormalizerIsRefused) {
  Json json = TinyTokenizerJson();
  json["normalizer"] = {{"type", "NFKC"}};
  EXPECT_THAT(JsonError(json), HasSubstr("normalizer 'NFKC'"));
}

TEST(TokenizerFiles, WrongShapesInTokenizerJson) {
  EXPECT_THAT(JsonError(Json::array()), HasSubstr("'model' is missing"));
  EXPECT_THAT(JsonError({{"model", {{"type", "BPE"}}}}),
              HasSubstr("model.vocab or model.merges is missing"));
  Json json = TinyTokenizerJson();
  json["added_tokens"] = 3;
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens is not a list"));
  json = TinyTokenizerJson();
  json["added_tokens"][0]["id"] = 7;
  EXPECT_THAT(JsonError(json), HasSubstr("id 7 is given to two tokens"));
  json = TinyTokenizerJson();
  json["model"]["merges"].push_back(17);
  EXPECT_THAT(JsonError(json), HasSubstr("merge 6 is not two tokens"));
}

}  // namespace
}  // namespace tributary::text
