#include "services/trainer/generate.h"

#include <gmock/gmock.h>

#include "directory_fixture.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

using testing::HasSubstr;

class GenerateTest : public DirectoryFixture {
 protected:
  GenerateTest() { WriteTensors("model.safetensors", FakeTensors()); }
  Status Run(const std::string& prompt, std::uint32_t tokens) {
    GenerateSpec spec;
    spec.directory = path_.string();
    spec.prompt = prompt;
    spec.options.max_tokens = tokens;
    char* memory = nullptr;
    std::size_t size = 0;
    std::FILE* out = open_memstream(&memory, &size);
    const auto load = [this] {
      ++loads_;
      return Result<train::Module*>(&module_);
    };
    const auto status = Generate(spec, load, out);
    std::fclose(out);
    text_.assign(memory, size);
    std::free(memory);
    return status;
  }
  std::string text_;
  int loads_ = 0;
};

TEST_F(GenerateTest, WritesThePromptAndWhatFollows) {
  ASSERT_TRUE(Run("say a", 5).ok());
  EXPECT_EQ(text_, "say abcdef\n");
}

TEST_F(GenerateTest, WritesWholeCharactersOnly) {
  // After 0x7F come 0x80 and 0x81, which begin no character.
  ASSERT_TRUE(Run("\x7E", 3).ok());
  EXPECT_EQ(text_, "\x7E\x7F\xEF\xBF\xBD\xEF\xBF\xBD\n");
}

TEST_F(GenerateTest, AModelOfAnotherVocabularyNeedsItsTokenizer) {
  Write("config.json", R"({"model_type": "gpt2", "vocab_size": 50257})");
  const auto status = Run("x", 1);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("the model has 50257 tokens, and without tokenizer files there are bytes, which are 257"));
}

TEST_F(GenerateTest, ATokenizerMayHaveATokenThatTheModelLacks) {
  Write("config.json", R"({"model_type": "gpt2", "vocab_size": 256})");
  // GPT-2's letters for bytes, each with its byte as id: what prints stands for itself, the others follow U+0100.
  Json vocabulary = Json::object();
  for (int byte = 0, next = 256; byte < 256; ++byte) {
    const bool prints = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int letter = prints ? byte : next++;
    vocabulary[letter < 128 ? std::string(1, static_cast<char>(letter)) : std::string{static_cast<char>(0xC0 | letter >> 6), static_cast<char>(0x80 | (letter & 0x3F))}] = byte;
  }
  vocabulary["<|endoftext|>"] = 256;
  Write("vocab.json", vocabulary.dump());
  Write("merges.txt", "#version: 0.2\n");
  const auto status = Run("a", 2);
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_EQ(text_, "abc\n");
}

TEST_F(GenerateTest, AModelOfImagesWritesNothing) {
  Write("config.json", R"({"model_type": "resnet", "vocab_size": 0})");
  EXPECT_THAT(Run("x", 1).error().message(), HasSubstr("the model classifies images"));
}

TEST_F(GenerateTest, NamesADirectoryThatIsNone) {
  path_ += "-absent";
  EXPECT_THAT(Run("x", 1).error().message(), HasSubstr("-absent has no readable config.json"));
  EXPECT_EQ(loads_, 0) << "half a second and 150 MB for nothing";
}

TEST(GenerateMain, RefusesWrongUsage) {
  char generate[] = "generate", directory[] = "x", flag[] = "--temperature", value[] = "0";
  char* none[] = {generate, nullptr};
  EXPECT_EQ(GenerateMain(1, none), 2);
  char* cold[] = {generate, directory, flag, value, nullptr};
  EXPECT_EQ(GenerateMain(4, cold), 2);
}

}  // namespace
}  // namespace tributary::trainer
