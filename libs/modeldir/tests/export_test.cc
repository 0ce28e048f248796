#include "tributary/modeldir/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"
#include "tributary/tensor/safetensors.h"

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

// Two dtypes, tensors that cross slots: byte i of slot s is (7·s + i) mod 251.
class ExportTest : public testing::Test {
 protected:
  void SetUp() override {
    spec_.tensors = {{"a", tensor::DType::kF32, {3, 1000}}, {"half", tensor::DType::kF16, {5000}}, {"b", tensor::DType::kF32, {777}}};
    spec_.chunk_bytes = 4096;
    spec_.info = "{\"model_type\": \"gpt2\"}\n";
    ASSERT_TRUE(store_->Create(name_, spec_, false).ok());
    const auto layout = tensor::Layout::Make(spec_.tensors, spec_.chunk_bytes);
    ASSERT_TRUE(layout.ok());
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      std::vector<std::byte> bytes(layout->SlotBytes(slot));
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((7 * slot + i) % 251);
      ASSERT_TRUE(store_->PutSlot(name_, slot, 0, bytes, nullptr, nullptr).ok());
      for (const auto& piece : layout->Pieces(slot)) {
        auto& tensor = expected_[layout->tensors()[piece.tensor].name];
        tensor.resize(std::max<std::size_t>(tensor.size(), piece.tensor_offset + piece.bytes));
        std::memcpy(tensor.data() + piece.tensor_offset, bytes.data() + piece.chunk_offset, piece.bytes);
      }
    }
  }
  void SealIt() { ASSERT_TRUE(store_->Seal(name_, 0, false).ok()); }

  void ExpectWhole(const fs::path& directory) {
    const auto header = tensor::ReadSafetensorsHeader((directory / "model.safetensors").string());
    ASSERT_TRUE(header.ok()) << header.error().message();
    const std::string file = Read(directory / "model.safetensors");
    ASSERT_EQ(header->tensors.size(), 3u);
    for (const auto& stored : header->tensors) EXPECT_EQ(file.substr(stored.file_offset, stored.bytes), expected_[stored.spec.name]);
    EXPECT_EQ(Read(directory / "config.json"), spec_.info);
  }

  const TempDirectory temp_;
  const fs::path root_ = temp_.path();
  memory::Pool pool_{1u << 20};
  std::unique_ptr<blob::SlotStore> store_ = blob::MakeMemoryStore(pool_);
  const ObjectName name_ = ObjectName::Trusted("jobs/x/models/1");
  wire::ObjectSpec spec_;
  std::map<std::string, std::string> expected_;
};

TEST_F(ExportTest, EveryByteOfEveryTensorIsWhereTheHeaderSays) {
  SealIt();
  std::uint64_t last = 0;
  const Status status = ExportModel(*store_, name_, (root_ / "out").string(), {.tokenizer = "", .progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GT(done, last);
    EXPECT_LE(done, total);
    last = done;
    return Ok();
  }});
  ASSERT_TRUE(status.ok()) << status.error().message();
  ExpectWhole(root_ / "out");
  EXPECT_FALSE(fs::exists(root_ / "out.tmp"));
}

TEST_F(ExportTest, AnEarlierExportIsReplacedAlsoWithATrailingSlash) {
  SealIt();
  ASSERT_TRUE(ExportModel(*store_, name_, (root_ / "out").string()).ok());
  ASSERT_TRUE(ExportModel(*store_, name_, (root_ / "out").string() + "/").ok());
  ExpectWhole(root_ / "out");
}

TEST_F(ExportTest, ADirectoryWithOtherFilesIsLeftAlone) {
  SealIt();
  fs::create_directories(root_ / "out");
  std::ofstream(root_ / "out" / "thesis.tex") << "years of work";
  Status status = ExportModel(*store_, name_, (root_ / "out").string());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kAlreadyExists);
  // Even beside an earlier export.
  std::ofstream(root_ / "out" / "model.safetensors") << "x";
  status = ExportModel(*store_, name_, (root_ / "out").string());
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("thesis.tex"));
  EXPECT_EQ(Read(root_ / "out" / "thesis.tex"), "years of work");
  EXPECT_EQ(Read(root_ / "out" / "model.safetensors"), "x");
}

TEST_F(ExportTest, WhatAKilledExportLeftIsNoHindrance) {
  SealIt();
  fs::create_directories(root_ / "out.tmp");
  std::ofstream(root_ / "out.tmp" / "model.safetensors") << "half";
  ASSERT_TRUE(ExportModel(*store_, name_, (root_ / "out").string()).ok());
  ExpectWhole(root_ / "out");
}

TEST_F(ExportTest, TheTokenizerIsBesideTheWeightsAndNoHindranceToTheNextExport) {
  SealIt();
  temp_.Write("tokens/vocab.json", "{}");
  temp_.Write("tokens/merges.txt", "#version");
  temp_.Write("tokens/README.md", "not of the tokenizer");
  for (int i = 0; i < 2; ++i) {
    const Status status = ExportModel(*store_, name_, (root_ / "out").string(), {.tokenizer = temp_.File("tokens"), .progress = nullptr});
    ASSERT_TRUE(status.ok()) << status.error().message();
    ExpectWhole(root_ / "out");
    EXPECT_EQ(Read(root_ / "out" / "vocab.json"), "{}");
    EXPECT_EQ(Read(root_ / "out" / "merges.txt"), "#version");
    EXPECT_FALSE(fs::exists(root_ / "out" / "README.md"));
  }
  // A single file, and an export that needs no tokenizer any more.
  temp_.Write("mine.json", "{\"model\":{}}");
  ASSERT_TRUE(ExportModel(*store_, name_, (root_ / "out").string(), {.tokenizer = temp_.File("mine.json"), .progress = nullptr}).ok());
  EXPECT_EQ(Read(root_ / "out" / "tokenizer.json"), "{\"model\":{}}");
  EXPECT_FALSE(fs::exists(root_ / "out" / "vocab.json"));
  const Status none = ExportModel(*store_, name_, (root_ / "out").string(), {.tokenizer = temp_.File("absent"), .progress = nullptr});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), Code::kNotFound);
}

TEST_F(ExportTest, AnOpenObjectIsRefused) {
  const Status status = ExportModel(*store_, name_, (root_ / "out").string());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
  EXPECT_FALSE(fs::exists(root_ / "out"));
}

TEST_F(ExportTest, AnErrorOfTheProgressEndsIt) {
  SealIt();
  const Status status =
      ExportModel(*store_, name_, (root_ / "out").string(),
                  {.tokenizer = "", .progress = [](std::uint64_t, std::uint64_t) { return Status(Error(Code::kCancelled, "no")); }});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kCancelled);
  EXPECT_FALSE(fs::exists(root_ / "out"));
}

}  // namespace
}  // namespace tributary::modeldir
