#include "tributary/modeldir/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"
#include "tributary/modeldir/export.h"
#include "tributary/objects/files.h"
#include "tributary/objects/values.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class TokenizerFiles : public testing::Test {
 protected:
  TokenizerFiles() {
    temp_.Write("in/config.json", "{\"model_type\": \"gpt2\"}");
    temp_.Write("in/tokenizer.json", "{\"model\": " + std::string(9000, ' ') + "{}}");
    temp_.Write("in/merges.txt", "");
    temp_.Write("in/README.md", "not of the tokenizer");
    fs::create_directories(temp_.path() / "out");
    // As a cache of downloads has it: names that lead elsewhere.
    temp_.Write("blobs/generation", "{\"eos_token_id\": 0}");
    fs::create_symlink("../blobs/generation", temp_.path() / "in/generation_config.json");
  }
  Result<std::string> Import() {
    TRIBUTARY_ASSIGN(const auto directory, OpenModelDirectory(temp_.File("in")));
    ImportOptions options;
    options.chunk_bytes = 4096;
    return ImportTokenizer(*store_, directory, name_, options);
  }
  Status Fetch(const std::string& object, Fetched which = Fetched::kAll) { return FetchTokenizer(*store_, object, temp_.File("out"), which); }
  // An object of a stranger: NAME@DIGEST.
  std::string Stranger(const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [name, text] : files) temp_.Write("strange/" + name, text);
    const auto source = objects::ReadPath(temp_.File("strange"));
    const auto put = objects::Put(*store_, ObjectName::Trusted("strange"), **source);
    EXPECT_TRUE(put.ok());
    return "strange@" + put->digest;
  }
  std::size_t Out() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(temp_.path() / "out"), {})); }

  const TempDirectory temp_;
  memory::Pool pool_{64_MiB};
  std::shared_ptr<blob::SlotStore> store_ = blob::MakeMemoryStore(pool_);
  const ObjectName name_ = ObjectName::Trusted("models/in");
};

TEST_F(TokenizerFiles, ComeOutAsTheyWentIn) {
  const auto object = Import();
  ASSERT_TRUE(object.ok()) << object.error().message();
  EXPECT_EQ(object->rfind("models/in.tokenizer@", 0), 0u);
  const Status fetched = Fetch(*object);
  ASSERT_TRUE(fetched.ok()) << fetched.error().message();
  EXPECT_EQ(Out(), 3u);
  for (const char* name : {"config.json", "tokenizer.json", "generation_config.json"}) {
    EXPECT_EQ(Read(temp_.path() / "out" / name), Read(temp_.path() / "in" / name)) << name;
  }
  EXPECT_EQ(*Import(), *object) << "a second time nothing changes";
}

TEST_F(TokenizerFiles, ADirectoryWithoutOneGivesNone) {
  fs::remove(temp_.path() / "in/tokenizer.json");
  const auto object = Import();
  ASSERT_TRUE(object.ok());
  EXPECT_EQ(*object, "");
  EXPECT_FALSE(store_->Stat(ObjectName::Trusted("models/in.tokenizer")).ok());
}

TEST_F(TokenizerFiles, AnotherTokenizerDoesNotTakeAName) {
  ASSERT_TRUE(Import().ok());
  std::string text = Read(temp_.path() / "in/tokenizer.json");
  text[100] = '\t';
  temp_.Write("in/tokenizer.json", text);
  const auto other = Import();
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(other.error().message(), HasSubstr("models/in.tokenizer holds another tokenizer than"));
}

TEST_F(TokenizerFiles, AFileOverTheBoundIsRefused) {
  fs::resize_file(temp_.path() / "in/tokenizer.json", kMaxTokenizerFileBytes + 1);
  const auto object = Import();
  ASSERT_FALSE(object.ok());
  EXPECT_THAT(object.error().message(), HasSubstr("files of a tokenizer have at most"));
}

TEST_F(TokenizerFiles, AnExportHasThemAndItsOwnConfig) {
  const auto object = Import();
  ASSERT_TRUE(object.ok());
  wire::ObjectSpec spec;
  spec.tensors = {{"a", tensor::DType::kF32, {4}}};
  spec.chunk_bytes = 4096;
  spec.info = "{\"model_type\": \"trained\"}";
  ASSERT_TRUE(store_->Create(name_, spec, false).ok());
  ASSERT_TRUE(store_->PutSlot(name_, 0, 0, std::vector<std::byte>(16), nullptr, nullptr).ok());
  ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
  for (int i = 0; i < 2; ++i) {  // the second replaces the first
    const Status exported = ExportModel(*store_, name_, temp_.File("model"), {.tokenizer = "", .tokenizer_object = *object, .progress = nullptr});
    ASSERT_TRUE(exported.ok()) << exported.error().message();
    EXPECT_EQ(Read(temp_.path() / "model/config.json"), spec.info);
    EXPECT_EQ(Read(temp_.path() / "model/tokenizer.json"), Read(temp_.path() / "in/tokenizer.json"));
    EXPECT_EQ(Read(temp_.path() / "model/generation_config.json"), "{\"eos_token_id\": 0}");
  }
}

TEST_F(TokenizerFiles, AnotherDigestIsRefused) {
  ASSERT_TRUE(Import().ok());
  const Status fetched = Fetch("models/in.tokenizer@" + std::string(64, 'a'));
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code(), Code::kDataLoss);
  EXPECT_EQ(Out(), 0u);
  EXPECT_EQ(Fetch("models/none.tokenizer@" + std::string(64, 'a')).error().code(), Code::kNotFound);
}

TEST_F(TokenizerFiles, WhatIsNoTokenizerIsRefusedBeforeAnythingIsWritten) {
  const Status other_name = Fetch(Stranger({{"tokenizer.json", "{}"}, {"run.sh", "#!/bin/sh"}}));
  ASSERT_FALSE(other_name.ok());
  EXPECT_THAT(other_name.error().message(), HasSubstr("strange holds 'run.sh', which is no file of a tokenizer"));
  EXPECT_EQ(Out(), 0u);
}

TEST_F(TokenizerFiles, NoOtherKindOfEntryAndNoPathLeadsAnywhere) {
  const std::string text = "text";
  const auto put = [&](const std::string& key) {
    const auto name = ObjectName::Trusted("values");
    EXPECT_TRUE(store_->Remove(name).ok());
    const auto source = objects::DictSource({{key, std::as_bytes(std::span(text))}});
    EXPECT_TRUE(source.ok());
    const auto digest = objects::Put(*store_, name, **source);
    return "values@" + digest->digest;
  };
  for (const char* key : {"tokenizer.json", "../tokenizer.json", "/etc/passwd"}) {
    EXPECT_EQ(Fetch(put(key)).error().code(), Code::kInvalidArgument) << key;
  }
  // The right words, and a path below.
  const Status below = Fetch(Stranger({{"sub/tokenizer.json", "{}"}}));
  EXPECT_THAT(below.error().message(), HasSubstr("no file of a tokenizer"));
  // Extra words: an executable file.
  fs::remove_all(temp_.path() / "strange");
  temp_.Write("strange/vocab.json", "{}");
  fs::permissions(temp_.path() / "strange/vocab.json", fs::perms::owner_all);
  EXPECT_TRUE(store_->Remove(ObjectName::Trusted("strange")).ok());
  EXPECT_THAT(Fetch(Stranger({})).error().message(), HasSubstr("no tokenizer that an import made"));
  EXPECT_EQ(Out(), 0u);
}

}  // namespace
}  // namespace tributary::modeldir
