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
  EXPECT_THAT(PairError(vocabulary.dump(), TinyMergeLines()),
              HasSubstr("outside GPT-2's byte alphabet"));
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

TEST(TokenizerFiles, ModelOptionsThatAreNotSupportedAreNamed) {
  Json json = TinyTokenizerJson();
  json["model"]["dropout"] = 0.1;
  EXPECT_THAT(JsonError(json), HasSubstr("model.dropout is not supported"));
  json = TinyTokenizerJson();
  json["model"]["end_of_word_suffix"] = "</w>";
  EXPECT_THAT(JsonError(json), HasSubstr("model.end_of_word_suffix is not supported"));
  json = TinyTokenizerJson();
  json["model"]["byte_fallback"] = 1;
  EXPECT_THAT(JsonError(json), HasSubstr("model.byte_fallback is neither true nor false"));
  json = TinyTokenizerJson();
  json["model"]["unk_token"] = "<unk>";
  EXPECT_THAT(JsonError(json), HasSubstr("model.unk_token is not a token of model.vocab"));
}

TEST(TokenizerFiles, OtherPretokenizersAreNamed) {
  Json json = TinyTokenizerJson();
  const Json byte_level = json["pre_tokenizer"];
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {{{"type", "Punctuation"}}, byte_level}}};
  EXPECT_THAT(JsonError(json),
              HasSubstr("pre_tokenizer.pretokenizers[0] 'Punctuation' is not supported"));
  json["pre_tokenizer"]["pretokenizers"] = {byte_level, {{"type", "Digits"}}};
  EXPECT_THAT(JsonError(json), HasSubstr("pretokenizers[1]: 'Digits' is not supported there"));
  json["pre_tokenizer"]["pretokenizers"] = 7;
  EXPECT_THAT(JsonError(json), HasSubstr("pre_tokenizer.pretokenizers is not a list"));
  json["pre_tokenizer"]["pretokenizers"] = Json(std::vector<Json>(40, {{"type", "Digits"}}));
  EXPECT_THAT(JsonError(json), HasSubstr("one too many; at most 32 steps"));
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "__"}};
  EXPECT_THAT(JsonError(json), HasSubstr("pre_tokenizer.replacement is not one character"));
  json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "sometimes"}};
  EXPECT_THAT(JsonError(json), HasSubstr("prepend_scheme is not 'always', 'first' or 'never'"));
}

std::string ExpressionError(const std::string& expression, const std::string& behavior) {
  Json json = TinyTokenizerJson();
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", behavior}},
        json["pre_tokenizer"]}}};
  return JsonError(json);
}

TEST(TokenizerFiles, ExpressionsThatMeanOtherThingsElsewhereAreRefused) {
  EXPECT_THAT(ExpressionError("a", "MergedWithNext"),
              HasSubstr("'MergedWithNext' is not supported"));
  EXPECT_THAT(ExpressionError("(a", "Isolated"),
              HasSubstr("the regular expression '(a' is refused"));
  EXPECT_THAT(ExpressionError("a*", "Isolated"), HasSubstr("it can match nothing"));
  EXPECT_THAT(ExpressionError("\\w+", "Isolated"), HasSubstr("this escape at 0"));
  EXPECT_THAT(ExpressionError("x\\h", "Isolated"), HasSubstr("this escape at 1"));
  EXPECT_THAT(ExpressionError("^a", "Isolated"), HasSubstr("an anchor or comment at 0"));
  EXPECT_THAT(ExpressionError("[a[b]]", "Isolated"), HasSubstr("a set within a set at 2"));
  EXPECT_THAT(ExpressionError("[a&&b]", "Isolated"), HasSubstr("&& within a set"));
  EXPECT_THAT(ExpressionError("(?x)a", "Isolated"), HasSubstr("this kind of group"));
  EXPECT_THAT(ExpressionError("\\p{^L}", "Isolated"), HasSubstr("this name of a property"));
  EXPECT_THAT(ExpressionError("\\pL", "Isolated"), HasSubstr("a property without braces"));
  EXPECT_THAT(ExpressionError("a{2}+", "Isolated"), HasSubstr("behind a counted repetition"));
  EXPECT_THAT(ExpressionError(std::string(5000, 'a'), "Isolated"), HasSubstr("5000 bytes"));
}

TEST(TokenizerFiles, OtherNormalizersAreNamed) {
  for (const char* type : {"NFC", "NFKC", "Lowercase", "StripAccents"}) {
    Json json = TinyTokenizerJson();
    json["normalizer"] = {{"type", type}};
    EXPECT_THAT(JsonError(json),
                HasSubstr(std::string("normalizer '") + type + "' is not supported"));
  }
  Json json = TinyTokenizerJson();
  json["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "a"}}}, {"content", ""}};
  EXPECT_THAT(JsonError(json), HasSubstr("normalizer.pattern is not supported"));
  json["normalizer"]["pattern"] = {{"String", ""}};
  EXPECT_THAT(JsonError(json), HasSubstr("String has 0 bytes"));
}

TEST(TokenizerFiles, NormalizersThatMultiplyTextAreRefused) {
  const Json step = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaaaaaaaa"}};
  Json json = TinyTokenizerJson();
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", {step, step}}};
  EXPECT_THAT(JsonError(json), HasSubstr("normalizers[1] makes text more than 64 times as long"));
}

TEST(TokenizerFiles, OtherPostprocessorsAndDecodersAreNamed) {
  Json json = TinyTokenizerJson();
  json["post_processor"] = {{"type", "Unheard"}};
  EXPECT_THAT(JsonError(json), HasSubstr("post_processor 'Unheard' is not supported"));
  json["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<s>", {{"ids", {262}}}}}}};
  EXPECT_THAT(JsonError(json),
              HasSubstr("special_tokens.<s>.ids[0] is not an id of the vocabulary"));
  json["post_processor"]["single"].erase(1);
  json["post_processor"]["special_tokens"]["<s>"]["ids"] = {261};
  EXPECT_THAT(JsonError(json), HasSubstr("post_processor.single leaves the text out"));
  json = TinyTokenizerJson();
  json["decoder"] = {{"type", "WordPiece"}};
  EXPECT_THAT(JsonError(json), HasSubstr("decoder: 'WordPiece' is not supported there"));
  json["decoder"] = {{"type", "Sequence"},
                     {"decoders", {{{"type", "ByteLevel"}}, {{"type", "CTC"}}}}};
  EXPECT_THAT(JsonError(json), HasSubstr("decoder.decoders[1] 'CTC' is not supported"));
}

TEST(TokenizerFiles, AddedTokensAreChecked) {
  Json json = TinyTokenizerJson();
  json["added_tokens"][0]["content"] = "";
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens[0].content has 0 bytes"));
  json["added_tokens"][0]["content"] = std::string(300, 'x');
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens[0].content has 300 bytes"));
  json = TinyTokenizerJson();
  json["added_tokens"][0].erase("id");
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens[0] has no id"));
  json = TinyTokenizerJson();
  json["added_tokens"].push_back(json["added_tokens"][0]);
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens[1]: '<|endoftext|>' is there twice"));
  json = TinyTokenizerJson();
  json["added_tokens"][0]["id"] = 300;  // a hole below it
  EXPECT_THAT(JsonError(json), HasSubstr("'<|endoftext|>' is not an integer below 262"));
  json = TinyTokenizerJson();
  json["added_tokens"][0]["special"] = "yes";
  EXPECT_THAT(JsonError(json), HasSubstr("added_tokens[0].special is neither true nor false"));
}

TEST(TokenizerFiles, TheFilesBesideAreChecked) {
  TempDirectory directory;
  directory.Write("tokenizer.json", TinyTokenizerJson().dump());
  directory.Write("config.json", "{\"eos_token_id\": [261, 5], \"pad_token_id\": 9000}");
  directory.Write("special_tokens_map.json", "{\"bos_token\": {\"content\": \"<|endoftext|>\"}}");
  auto tokenizer = OpenTokenizer(directory.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_EQ((*tokenizer)->Bos(), 261);
  EXPECT_EQ((*tokenizer)->Eos(), 261);
  EXPECT_EQ((*tokenizer)->Pad(), -1);
  directory.Write("tokenizer_config.json", "[]");
  EXPECT_THAT(OpenError(directory.path()), HasSubstr("tokenizer_config.json: expected an object"));
  directory.Write("tokenizer_config.json", "{");
  EXPECT_THAT(OpenError(directory.path()), HasSubstr("tokenizer_config.json: not valid JSON"));
}

TEST(TokenizerFiles, RolesMakeTokensSpecialWithoutATokenizerJson) {
  TempDirectory directory;
  Json vocabulary = TinyVocabulary();
  vocabulary["</s>"] = 262;
  directory.Write("vocab.json", vocabulary.dump());
  directory.Write("merges.txt", TinyMergeLines());
  directory.Write("tokenizer_config.json",
                  "{\"add_bos_token\": true, \"bos_token\": \"</s>\", \"eos_token\": \"</s>\"}");
  auto tokenizer = OpenTokenizer(directory.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_TRUE((*tokenizer)->IsSpecial(262));
  const auto ids =
      (*tokenizer)->Encode("low</s>", {.add_special_tokens = true, .parse_special_tokens = true});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<std::int32_t>{262, 257, 262}));
}

TEST(TokenizerFiles, WrongShapesInTokenizerJson) {
  EXPECT_THAT(JsonError(Json::array()),
              HasSubstr("model is missing; this is not a tokenizer.json"));
  EXPECT_THAT(JsonError({{"model", {{"type", "BPE"}}}}),
              HasSubstr("model.vocab or model.merges is missing"));
  EXPECT_THAT(JsonError({{"model", 3}}), HasSubstr("model is missing"));
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
