#include "services/trainer/script_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"
#include "tributary/json/json.h"

#include <fstream>

namespace tributary::trainer {
namespace {

using testing::HasSubstr;

constexpr const char* kSha256OfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class ScriptModel : public testing::Test {
 protected:
  ScriptModel() {
    model_.script = directory_.File("a.pt");
    std::ofstream(model_.script) << "abc";
  }
  std::string Config(const std::string& path, const std::string& sha256) {
    return Json({{"model_type", "torchscript"}, {"script", path}, {"sha256", sha256}}).dump();
  }
  const TempDirectory directory_;
  job::Model model_;
};

TEST_F(ScriptModel, TheFirstConfigSaysWhichFileItIs) {
  const auto config = FirstConfig(model_);
  ASSERT_TRUE(config.ok()) << config.error().message();
  const auto parsed = ParseJson(*config, "config");
  EXPECT_EQ((*parsed)["model_type"], "torchscript");
  EXPECT_EQ((*parsed)["script"], model_.script);
  EXPECT_EQ((*parsed)["sha256"], kSha256OfAbc);
  EXPECT_TRUE(IsScriptConfig(*config));
  EXPECT_EQ(*LocalConfig(*config, model_), *config);
}

TEST_F(ScriptModel, AFileThatIsNotThereIsSaid) {
  model_.script = directory_.File("b.pt");
  EXPECT_THAT(FirstConfig(model_).error().message(), HasSubstr("b.pt is no file that can be read here"));
  model_.script = directory_.path();
  EXPECT_THAT(FirstConfig(model_).error().message(), HasSubstr("is no file that can be read here"));
}

// A peer's config names the digest and never the file.
TEST_F(ScriptModel, ThePathIsTheJobsAlone) {
  const auto config = LocalConfig(Config("/tmp/evil.pt", kSha256OfAbc), model_);
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_THAT(*config, HasSubstr(model_.script));
  EXPECT_THAT(*config, testing::Not(HasSubstr("evil")));
  EXPECT_FALSE(LocalConfig(Config("/tmp/evil.pt", "no digest"), model_).ok());
}

TEST_F(ScriptModel, NeitherBringsAScriptToAJobWithoutOne) {
  job::Model gpt2;
  gpt2.family = "gpt2";
  EXPECT_THAT(LocalConfig(Config("/tmp/evil.pt", kSha256OfAbc), gpt2).error().message(),
              HasSubstr("asks for a TorchScript file, and the job names none: set model.script"));
  EXPECT_EQ(*LocalConfig("{\"model_type\": \"gpt2\"}", gpt2), "{\"model_type\": \"gpt2\"}");
  EXPECT_THAT(LocalConfig("{\"model_type\": \"gpt2\"}", model_).error().message(), HasSubstr("the model is none of model.script"));
}

}  // namespace
}  // namespace tributary::trainer
