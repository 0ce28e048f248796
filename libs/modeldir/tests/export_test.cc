#include "tributary/modeldir/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"
#include "tributary/json/json.h"
#include "tributary/modeldir/import.h"
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

// The tensors have 12000, 10000 and 3108 bytes.
TEST_F(ExportTest, ShardsHaveTheirIndexAndComeBackThroughAnImportByteForByte) {
  SealIt();
  ASSERT_TRUE(ExportModel(*store_, name_, (root_ / "whole").string()).ok());
  for (const auto& [size, files] : std::map<std::uint64_t, std::vector<std::string>>{
           {15'000, {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model-00002-of-00002.safetensors"}},
           {13'108, {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model-00002-of-00002.safetensors"}},
           {22'000, {"model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}},
           {4'000, {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}},
           {25'108, {}}}) {
    const fs::path out = root_ / fmt::format("out-{}", size);
    ExportOptions options;
    options.max_shard_bytes = size;
    const Status status = ExportModel(*store_, name_, out.string(), options);
    ASSERT_TRUE(status.ok()) << status.error().message();
    const auto index = ReadJsonFile((out / "model.safetensors.index.json").string());
    if (files.empty()) {
      ExpectWhole(out);
      EXPECT_FALSE(index.ok()) << "what fits one file has no index";
      EXPECT_EQ(WeightsFileOf(out.string()), "model.safetensors");
      continue;
    }
    ASSERT_TRUE(index.ok()) << index.error().message();
    EXPECT_EQ(*index, Json({{"metadata", {{"total_size", 25108}}}, {"weight_map", {{"a", files[0]}, {"half", files[1]}, {"b", files[2]}}}}));
    EXPECT_EQ(WeightsFileOf(out.string()), "model.safetensors.index.json");
    EXPECT_FALSE(fs::exists(out / "model.safetensors"));
    const auto directory = OpenModelDirectory(out.string());
    ASSERT_TRUE(directory.ok()) << directory.error().message();
    const ObjectName again = ObjectName::Trusted(fmt::format("models/again-{}", size));
    ImportOptions import;
    import.chunk_bytes = 4096;
    ASSERT_TRUE(ImportModel(*store_, *directory, again, import).ok());
    ASSERT_TRUE(ExportModel(*store_, again, (root_ / fmt::format("again-{}", size)).string()).ok());
    EXPECT_EQ(Read(root_ / fmt::format("again-{}", size) / "model.safetensors"), Read(root_ / "whole/model.safetensors")) << size;
  }
}

TEST_F(ExportTest, ShardsTakeThePlaceOfOtherShardsAndOfAWholeFile) {
  SealIt();
  for (const std::uint64_t size : {0, 4000, 15000, 0}) {
    ExportOptions options;
    options.max_shard_bytes = size;
    const Status status = ExportModel(*store_, name_, (root_ / "out").string(), options);
    ASSERT_TRUE(status.ok()) << status.error().message();
    const std::size_t files = size == 0 ? 1 : size == 4000 ? 4 : 3;
    EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "out"), fs::directory_iterator()), static_cast<std::ptrdiff_t>(files + 1)) << size;
  }
  ExpectWhole(root_ / "out");
  std::ofstream(root_ / "out" / "model-00001-of-0002.safetensors") << "somebody's";
  EXPECT_EQ(ExportModel(*store_, name_, (root_ / "out").string()).error().code(), Code::kAlreadyExists);
}

TEST_F(ExportTest, AModelInMemoryIsCutAsWell) {
  const std::vector<tensor::TensorSpec> tensors{{"a", tensor::DType::kF32, {1000}}, {"b", tensor::DType::kF32, {500}}, {"c", tensor::DType::kF32, {10}}};
  std::vector<std::vector<std::byte>> values;
  for (const auto& spec : tensors) values.emplace_back(4 * spec.shape[0], static_cast<std::byte>(values.size() + 1));
  const auto bytes = [&](std::uint32_t i) { return std::span<const std::byte>(values[i]); };
  ASSERT_TRUE(SaveModel(tensors, bytes, "{\"model_type\": \"gpt2\"}", (root_ / "out").string(), "", 4040).ok());
  const auto directory = OpenModelDirectory((root_ / "out").string());
  ASSERT_TRUE(directory.ok()) << directory.error().message();
  ASSERT_EQ(directory->weights.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<std::byte> read(values[i].size());
    EXPECT_EQ(directory->weights[i].spec, tensors[i]);
    EXPECT_THAT(directory->weights[i].file, HasSubstr(i == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors"));
    ASSERT_TRUE(ReadWeight(directory->weights[i], 0, read).ok());
    EXPECT_EQ(read, values[i]);
  }
  // PEFT reads one file.
  ASSERT_TRUE(SaveModel(tensors, bytes, "{\"peft_type\": \"LORA\"}", (root_ / "adapters").string(), "", 4040).ok());
  EXPECT_TRUE(fs::exists(root_ / "adapters/adapter_model.safetensors"));
}

TEST_F(ExportTest, AdaptersThatNameNoBaseNameTheOneThatIsGiven) {
  const std::string base = "/srv/run/model-base";
  int objects = 0;
  const auto named = [&](const std::string& info) {
    wire::ObjectSpec spec;
    spec.kind = wire::ObjectKind::kModel;
    spec.tensors = {{"a", tensor::DType::kF32, {1}}};
    spec.chunk_bytes = 4096;
    spec.info = info;
    const auto name = ObjectName::Trusted(fmt::format("adapters/{}", ++objects));
    EXPECT_TRUE(store_->Create(name, spec, false).ok());
    EXPECT_TRUE(store_->PutSlot(name, 0, 0, std::vector<std::byte>(4), nullptr, nullptr).ok());
    EXPECT_TRUE(store_->Seal(name, 0, false).ok());
    ExportOptions options;
    options.base = base;
    const Status status = ExportModel(*store_, name, (root_ / "out").string(), options);
    EXPECT_TRUE(status.ok()) << status.error().message();
    const auto config = ReadJsonFile((root_ / "out" / (info.find("peft") == info.npos ? "config.json" : "adapter_config.json")).string());
    return config.ok() ? config->value("base_model_name_or_path", "none") : config.error().message();
  };
  EXPECT_EQ(named(R"({"peft_type": "LORA", "base_model_name_or_path": ""})"), base);
  EXPECT_EQ(named(R"({"peft_type": "LORA", "base_model_name_or_path": null})"), base);
  EXPECT_EQ(named(R"({"peft_type": "LORA"})"), base);
  EXPECT_EQ(named(R"({"peft_type": "LORA", "base_model_name_or_path": "/srv/llm"})"), "/srv/llm");
  EXPECT_EQ(named(R"({"model_type": "gpt2"})"), "none") << "no adapters";
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
