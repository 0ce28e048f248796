#include "services/cli/source_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class SourceCheck : public testing::Test {
 protected:
  SourceCheck() {
    job_.model.source = temp_.File("llm");
    job_.data.name = "texts";
    job_.data.format = "text";
  }
  Status Check(const std::string& config = R"({"model_type": "llama"})") {
    temp_.Write("llm/config.json", config);
    const auto source = modeldir::OpenModelDirectory(job_.model.source);
    EXPECT_TRUE(source.ok()) << source.error().message();
    return CheckSource(job_, *source);
  }
  std::string Refused(const std::string& config = R"({"model_type": "llama"})") {
    const Status status = Check(config);
    EXPECT_FALSE(status.ok());
    const std::string message = status.ok() ? "" : status.error().message();
    EXPECT_THAT(message, Not(HasSubstr("\n"))) << "one line";
    return message;
  }
  const TempDirectory temp_;
  job::Job job_;
};

TEST_F(SourceCheck, WhatTheModuleMakesAModelOfIsTaken) {
  for (const char* type : {"gpt2", "gpt_neo", "llama", "mistral", "opt", "resnet"}) EXPECT_TRUE(Check(fmt::format(R"({{"model_type": "{}"}})", type)).ok()) << type;
}

TEST_F(SourceCheck, AnUnknownModelTypeNamesKeyFileAndWhatIsSupported) {
  const std::string file = "model.source: " + temp_.File("llm") + "/config.json";
  EXPECT_EQ(Refused(R"({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]})"),
            file + ": model_type 'qwen2' (Qwen2ForCausalLM) is not supported; supported: gpt2, gpt_neo, llama, mistral, opt, resnet");
  EXPECT_THAT(Refused(R"({"model_type": "qwen2"})"), StartsWith(file + ": model_type 'qwen2' is not supported"));
  for (const char* none : {R"({"architectures": ["GPT2LMHeadModel"]})", R"({"model_type": 2})", "[]", "{}"}) {
    EXPECT_THAT(Refused(none), AllOf(StartsWith(file + " has no model_type"), EndsWith("gpt2, gpt_neo, llama, mistral, opt, resnet"))) << none;
  }
  EXPECT_THAT(Refused(R"({"model_type": "a\nb"})"), HasSubstr("model_type 'a?b'"));
  EXPECT_LT(Refused(fmt::format(R"({{"model_type": "{}", "architectures": ["{}"]}})", std::string(9000, 'x'), std::string(9000, 'y'))).size(), 500u);
}

TEST_F(SourceCheck, AScriptsDirectoryNamesTheKeyThatTakesAScript) {
  EXPECT_THAT(Refused(R"({"model_type": "torchscript", "script": "/evil.pt"})"), AllOf(HasSubstr("config.json is of a TorchScript module"), HasSubstr("set model.script")));
}

TEST_F(SourceCheck, ABrokenTokenizerIsToldWithItsFileAndTheWayAround) {
  temp_.Write("llm/tokenizer.json", "{\"model\": {\"type\": \"BPE\", ");
  EXPECT_THAT(Refused(), AllOf(StartsWith("model.source: "), HasSubstr(temp_.File("llm") + "/tokenizer.json"), HasSubstr("model.tokenizer: PATH")));
  temp_.Write("llm/tokenizer.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  EXPECT_THAT(Refused(), AllOf(HasSubstr("Unigram"), HasSubstr("byte-pair encoding is read")));
}

TEST_F(SourceCheck, ATokenizerThatTheJobDoesNotUseMayBeBroken) {
  temp_.Write("llm/tokenizer.json", "{");
  ASSERT_FALSE(Check().ok());
  job_.model.tokenizer_given = true;
  EXPECT_TRUE(Check().ok()) << "model.tokenizer names another, or bytes";
  job_.model.tokenizer_given = false;
  job_.data.format = "cifar10";
  EXPECT_TRUE(Check(R"({"model_type": "resnet"})").ok()) << "images have none";
}

}  // namespace
}  // namespace tributary::cli
