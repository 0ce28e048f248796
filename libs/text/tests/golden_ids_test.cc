// Ids and decoded text held against the reference tokenizers': golden/make_golden.py wrote them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "mixed_text.h"
#include "tributary/digest/digest.h"
#include "tributary/json/json.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr EncodeOptions kAsText{};
constexpr EncodeOptions kParsed{.add_special_tokens = true, .parse_special_tokens = true};

const Json& Golden() {
  static const Json golden = [] {
    auto file = ReadJsonFile(TRIBUTARY_GOLDEN_DIRECTORY "/golden_ids.json");
    EXPECT_TRUE(file.ok()) << file.error().message();
    return file.ok() ? *file : Json();
  }();
  return golden;
}

std::string BytesOfHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<std::string> Texts() {
  std::vector<std::string> texts;
  for (const Json& text : Golden()["texts"]) {
    texts.push_back(text.contains("text") ? text["text"].get<std::string>()
                                          : BytesOfHex(text["bytes"].get<std::string>()));
  }
  return texts;
}

Ids EncodeOk(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options) {
  auto ids = tokenizer.Encode(text, options);
  EXPECT_TRUE(ids.ok()) << ids.error().message();
  return ids.ok() ? *ids : Ids{};
}

std::string Digest(const Ids& ids) {
  return digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(ids))));
}

class SmallTokenizer : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto opened =
        OpenTokenizer(std::string(TRIBUTARY_GOLDEN_DIRECTORY "/") + GetParam() + "_tokenizer.json");
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    tokenizer_ = std::move(opened).value();
  }
  const Json& Expected() const { return Golden()["tokenizers"][GetParam()]; }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(SmallTokenizer, IdsAreTheReferences) {
  const auto texts = Texts();
  ASSERT_GT(texts.size(), 70u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(EncodeOk(*tokenizer_, texts[i], kAsText), Expected()["ids"][i].get<Ids>())
        << "text " << i << ": " << texts[i];
    EXPECT_EQ(EncodeOk(*tokenizer_, texts[i], kParsed), Expected()["parsed_ids"][i].get<Ids>())
        << "text " << i << ": " << texts[i];
  }
}

TEST_P(SmallTokenizer, DecodedTextIsTheReferences) {
  const Json& expected = Expected();
  for (std::size_t i = 0; i < expected["decoded"].size(); ++i) {
    const Ids ids = expected["parsed_ids"][i].get<Ids>();
    EXPECT_EQ(tokenizer_->Decode(ids), expected["decoded"][i].get<std::string>()) << "text " << i;
  }
}

TEST_P(SmallTokenizer, OneIdAtATimeDecodesToTheSame) {
  for (const Json& list : Expected()["ids"]) {
    const Ids ids = list.get<Ids>();
    std::string streamed;
    bool continues = false;
    for (const std::int32_t id : ids) {
      streamed += tokenizer_->DecodeBytes({&id, 1}, continues);
      continues = continues || !tokenizer_->IsSpecial(id);
    }
    EXPECT_EQ(streamed, tokenizer_->DecodeBytes(ids));
  }
}

TEST_P(SmallTokenizer, IdsOfMixedTextAreTheReferences) {
  const std::string mixed = MixedText::Make(Golden()["small_bytes"], "");
  EXPECT_EQ(Digest(EncodeOk(*tokenizer_, mixed, kAsText)), Expected()["small_sha256"]);
  EXPECT_EQ(Digest(EncodeOk(*tokenizer_, mixed, kParsed)), Expected()["small_parsed_sha256"]);
}

INSTANTIATE_TEST_SUITE_P(Golden, SmallTokenizer,
                         testing::Values("gpt2", "llama3", "expression", "llama2", "metaspace",
                                         "metaspace_always", "unknown"),
                         [](const auto& parameter) { return std::string(parameter.param); });

std::string TestData(const std::string& name) {
  const char* root = std::getenv("TRIBUTARY_TEST_DATA");
  const std::string path = root == nullptr ? "" : std::string(root) + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

class PublishedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTokenizer, IdsOfSixMegabytesAreTheReferences) {
  const Json& data = Golden()["data"];
  const std::string path = TestData(GetParam());
  const std::string prose_path = TestData(data["prose"]);
  if (path.empty() || prose_path.empty())
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with " << GetParam();
  std::ostringstream prose;
  prose << std::ifstream(prose_path, std::ios::binary).rdbuf();
  const std::string mixed = MixedText::Make(data["bytes"], prose.view());
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  const Json& expected = data["tokenizers"][GetParam()];
  EXPECT_EQ(Digest(EncodeOk(**tokenizer, mixed, kAsText)), expected["sha256"]);
  EXPECT_EQ(Digest(EncodeOk(**tokenizer, mixed, kParsed)), expected["parsed_sha256"]);
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedTokenizer,
                         testing::Values("gpt2-tokenizer", "smollm-tokenizer", "stories260k/hf"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           for (char& c : name) c = c == '-' || c == '/' ? '_' : c;
                           return name;
                         });

TEST(PublishedTokenizerDetails, Stories260kEncodings) {
  const std::string path = TestData("stories260k/hf");
  if (path.empty()) GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with stories260k";
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_EQ((*tokenizer)->Bos(), 1);
  EXPECT_EQ((*tokenizer)->Eos(), 2);
  EXPECT_EQ((*tokenizer)->EndOfText(), 2);
  EXPECT_EQ((*tokenizer)->VocabularySize(), 512u);
  auto expected = ReadJsonFile(path + "/expected.json");
  ASSERT_TRUE(expected.ok()) << expected.error().message();
  ASSERT_FALSE((*expected)["encodings"].empty());
  for (const Json& encoding : (*expected)["encodings"]) {
    const auto text = encoding[0].get<std::string>();
    const Ids ids = EncodeOk(**tokenizer, text, kParsed);
    EXPECT_EQ(ids, encoding[1].get<Ids>()) << text;
    EXPECT_EQ((*tokenizer)->Decode(ids), text);
  }
  EXPECT_EQ(EncodeOk(**tokenizer, "", kParsed), (*expected)["prompt_ids"].get<Ids>());
}

TEST(PublishedTokenizerDetails, SmolLmRoles) {
  const std::string path = TestData("smollm-tokenizer");
  if (path.empty()) GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with smollm-tokenizer";
  const auto tokenizer = OpenTokenizer(path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_EQ((*tokenizer)->VocabularySize(), 49153u);
  EXPECT_EQ((*tokenizer)->Bos(), 0);
  EXPECT_EQ((*tokenizer)->Eos(), 0);
  EXPECT_EQ((*tokenizer)->Pad(), 49152);
  EXPECT_EQ((*tokenizer)->EndOfText(), 0);
  EXPECT_EQ((*tokenizer)->TokenId("<|im_start|>"), 1);
  EXPECT_TRUE((*tokenizer)->IsSpecial(1));
  EXPECT_GT(EncodeOk(**tokenizer, "<|im_start|>", kAsText).size(), 1u);
  EXPECT_EQ(EncodeOk(**tokenizer, "<|im_start|>", kParsed), Ids{1});
}

}  // namespace
}  // namespace tributary::text
