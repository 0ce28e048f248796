#include "services/trainer/carried_tokenizer.h"

#include <gmock/gmock.h>

#include "task_fixture.h"
#include "tributary/modeldir/tokenizer_files.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kTokenizer = R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2}, "merges": []}})";

class CarriedTokenizerTest : public TaskFixture {
 protected:
  std::string Import(const std::string& name) {
    temp_.Write(name + "/config.json", "{}");
    temp_.Write(name + "/tokenizer.json", kTokenizer);
    const auto directory = modeldir::OpenModelDirectory(temp_.File(name));
    const auto object = modeldir::ImportTokenizer(*store_, *directory, ObjectName::Trusted("models/" + name));
    EXPECT_TRUE(object.ok()) << object.error().message();
    fs::remove_all(temp_.File(name));
    return object.ok() ? *object : "";
  }
};

TEST_F(CarriedTokenizerTest, AJobOfItIsTrainedWithoutItsDirectory) {
  temp_.Write("data/a.txt", "a b\n\n");
  identity_.data["text"] = temp_.File("data");
  identity_.work_dir = temp_.File("work");
  const std::string object = Import("m");
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m0";
  const auto result = Run(init, "name: j\nmodel: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16, tokenizer: 'object:" + object +
                                    "'}\ndata: {name: text, format: text}\ntrain: {max_length: 16}\n");
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_THAT(store_->Spec(ObjectName::Trusted("m0"))->info, HasSubstr("\"vocab_size\": 3"));
}

TEST_F(CarriedTokenizerTest, OneIsKeptAndARestartedTrainerFindsIt) {
  identity_.work_dir = temp_.File("work");
  const std::string object = Import("m");
  std::string place;
  {
    CarriedTokenizer carried(identity_);
    const auto opened = carried.Open(*store_, object, {});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    place = *opened;
    EXPECT_EQ(place.rfind(temp_.File("work") + "/tokenizers/", 0), 0u);
  }
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/m.tokenizer")).ok());
  CarriedTokenizer carried(identity_);
  EXPECT_EQ(*carried.Open(*store_, object, {}), place);
  // Another job's: what was there goes, and so does what a killed trainer began.
  temp_.Write("work/tokenizers/begun.part/tokenizer.json", "half");
  temp_.Write("n/merges.txt", "other");
  ASSERT_TRUE(carried.Open(*store_, Import("n"), {}).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(temp_.path() / "work/tokenizers"), {}), 1);
}

TEST_F(CarriedTokenizerTest, WithoutAWorkDirectoryNothingStays) {
  std::string place;
  {
    CarriedTokenizer carried(identity_);
    const auto opened = carried.Open(*store_, Import("m"), {});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    place = *opened;
    EXPECT_TRUE(fs::exists(place + "/tokenizer.json"));
  }
  EXPECT_FALSE(fs::exists(fs::path(place).parent_path()));
}

TEST_F(CarriedTokenizerTest, OneThatCannotBeFetchedLeavesNothing) {
  identity_.work_dir = temp_.File("work");
  CarriedTokenizer carried(identity_);
  const auto lost = carried.Open(*store_, "models/m.tokenizer@" + std::string(64, 'a'), {});
  ASSERT_FALSE(lost.ok());
  EXPECT_THAT(lost.error().message(), HasSubstr("the tokenizer"));
  EXPECT_TRUE(fs::is_empty(temp_.path() / "work/tokenizers"));
  EXPECT_EQ(carried.Open(*store_, "models/m.tokenizer@../../x", {}).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary::trainer
