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

const std::string kTrained = "{\"model_type\": \"trained\"}";

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
  Result<std::string> Import(std::uint64_t chunk_bytes = 4096) {
    TRIBUTARY_ASSIGN(const auto directory, OpenModelDirectory(temp_.File("in")));
    ImportOptions options;
    options.chunk_bytes = chunk_bytes;
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
  // A model to export.
  void PutModel() {
    wire::ObjectSpec spec;
    spec.tensors = {{"a", tensor::DType::kF32, {4}}};
    spec.chunk_bytes = 4096;
    spec.info = kTrained;
    ASSERT_TRUE(store_->Create(name_, spec, false).ok());
    ASSERT_TRUE(store_->PutSlot(name_, 0, 0, std::vector<std::byte>(16), nullptr, nullptr).ok());
    ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
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
  const auto other_chunks = Import(16384);
  ASSERT_TRUE(other_chunks.ok()) << other_chunks.error().message();
  EXPECT_EQ(*other_chunks, *object);
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
  ASSERT_NO_FATAL_FAILURE(PutModel());
  for (int i = 0; i < 2; ++i) {  // the second replaces the first
    const Status exported = ExportModel(*store_, name_, temp_.File("model"), {.tokenizer = "", .tokenizer_object = *object, .progress = nullptr});
    ASSERT_TRUE(exported.ok()) << exported.error().message();
    EXPECT_EQ(Read(temp_.path() / "model/config.json"), kTrained);
    EXPECT_EQ(Read(temp_.path() / "model/tokenizer.json"), Read(temp_.path() / "in/tokenizer.json"));
    EXPECT_EQ(Read(temp_.path() / "model/generation_config.json"), "{\"eos_token_id\": 0}");
  }
}

TEST_F(TokenizerFiles, AnExportThatLacksThemSaysSoBeforeItWrites) {
  ASSERT_NO_FATAL_FAILURE(PutModel());
  bool written = false;
  ExportOptions options;
  options.tokenizer_object = "models/in.tokenizer@" + std::string(64, 'a');
  options.progress = [&](std::uint64_t, std::uint64_t) {
    written = true;
    return Ok();
  };
  const Status exported = ExportModel(*store_, name_, temp_.File("model"), options);
  ASSERT_FALSE(exported.ok());
  EXPECT_EQ(exported.error().code(), Code::kNotFound);
  EXPECT_THAT(exported.error().message(), HasSubstr("the tokenizer models/in.tokenizer is not in the store any more; --tokenizer PATH"));
  EXPECT_FALSE(written);
  EXPECT_FALSE(fs::exists(temp_.path() / "model.tmp"));
}

TEST_F(TokenizerFiles, AnExportIsStoppedInThem) {
  const auto object = Import();
  ASSERT_TRUE(object.ok());
  ASSERT_NO_FATAL_FAILURE(PutModel());
  std::stop_source stop;
  ExportOptions options;
  options.tokenizer_object = *object;
  options.stop = stop.get_token();
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (done == total) stop.request_stop();
    return Ok();
  };
  const Status exported = ExportModel(*store_, name_, temp_.File("model"), options);
  ASSERT_FALSE(exported.ok());
  EXPECT_EQ(exported.error().code(), Code::kCancelled);
  EXPECT_FALSE(fs::exists(temp_.path() / "model"));
}

TEST_F(TokenizerFiles, OfAModelAreFoundBesideIt) {
  const auto none = FindTokenizer(*store_, name_);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, "");
  const auto object = Import();
  ASSERT_TRUE(object.ok());
  const auto found = FindTokenizer(*store_, name_);
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(*found, *object);
}

TEST_F(TokenizerFiles, WhatOnlyHasTheNameIsNotTaken) {
  const auto name = ObjectName::Trusted("models/in.tokenizer");
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kOther;
  spec.tensors = {{"a", tensor::DType::kU8, {4}}};
  ASSERT_TRUE(store_->Create(name, spec, false).ok());
  const auto open = FindTokenizer(*store_, name_);
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().code(), Code::kUnavailable);
  ASSERT_TRUE(store_->PutSlot(name, 0, 0, std::vector<std::byte>(4), nullptr, nullptr).ok());
  ASSERT_TRUE(store_->Seal(name, 0, false).ok());
  const auto other = FindTokenizer(*store_, name_);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(other.error().message(), HasSubstr("models/in.tokenizer is no tokenizer that an import made"));
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
