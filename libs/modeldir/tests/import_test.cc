#include "tributary/modeldir/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stop_token>
#include <utility>

#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"
#include "tributary/modeldir/export.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using testing::HasSubstr;

// A store of which no chunk is read or written.
class NoChunks final : public blob::BlobStore {
 public:
  explicit NoChunks(blob::BlobStore& store) : store_(store) {}
  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    return store_.Create(name, spec, replace);
  }
  Result<blob::ObjectInfo> Stat(const ObjectName& name) override { return store_.Stat(name); }
  Result<wire::ObjectSpec> Spec(const ObjectName& name) override { return store_.Spec(name); }
  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) override {
    return store_.Missing(name, range, generation);
  }
  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence, const blob::ReadOptions&) override {
    return Error(Code::kInternal, "a chunk was read");
  }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions&) override { return Error(Code::kInternal, "a chunk was written"); }
  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    return store_.Seal(name, generation, durable);
  }
  Result<wire::ManifestRoot> Root(const ObjectName& name) override { return store_.Root(name); }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override { return store_.Page(name, page); }
  Status Remove(const ObjectName& name) override { return store_.Remove(name); }
  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after, std::uint32_t limit) override {
    return store_.List(prefix, after, limit);
  }

 private:
  blob::BlobStore& store_;
};

class ImportTest : public testing::Test {
 protected:
  ImportTest() { Write("config.json", "{\"model_type\": \"gpt2\"}\n"); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories(path_);
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  void WriteTensors(const std::string& name, const std::vector<tensor::TensorSpec>& tensors, std::size_t seed = 7) {
    std::string text = tensor::MakeSafetensorsHeader(tensors, {{"format", "pt"}});
    for (const auto& spec : tensors) {
      const std::size_t bytes = *tensor::ElementCount(spec.shape) * tensor::ElementBytes(spec.dtype);
      for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>((i * seed + spec.name.size()) % 251));
    }
    Write(name, text);
  }
  static std::string Read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  Result<std::string> Import(ImportOptions options = {}, std::uint64_t chunk_bytes = 4096) {
    TRIBUTARY_ASSIGN(const auto directory, OpenModelDirectory(path_.string()));
    options.chunk_bytes = chunk_bytes;
    return ImportModel(*store_, directory, name_, options);
  }
  std::string ImportError() {
    const auto imported = Import();
    EXPECT_FALSE(imported.ok());
    return imported.ok() ? "" : imported.error().message();
  }

  const TempDirectory temp_;
  const fs::path path_ = temp_.path() / "in";
  memory::Pool pool_{64_MiB};
  std::shared_ptr<blob::SlotStore> store_ = blob::MakeMemoryStore(pool_);
  const ObjectName name_ = ObjectName::Trusted("models/in");
};

TEST_F(ImportTest, ComesOutAsItWentIn) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3000}}, {"half", DType::kBF16, {5000, 2}}, {"b", DType::kF32, {7, 11}}});
  const auto digest = Import();
  ASSERT_TRUE(digest.ok()) << digest.error().message();
  ASSERT_TRUE(ExportModel(*store_, name_, (temp_.path() / "out").string()).ok());
  EXPECT_EQ(Read(temp_.path() / "out/model.safetensors"), Read(path_ / "model.safetensors"));
  EXPECT_EQ(Read(temp_.path() / "out/config.json"), Read(path_ / "config.json"));
  EXPECT_EQ(*Import(), *digest) << "a second time nothing changes";
}

TEST_F(ImportTest, AdaptersComeOutAsTheyWentIn) {
  Write("adapter_config.json", R"({"peft_type": "LORA", "r": 2})");
  WriteTensors("adapter_model.safetensors", {{"x.lora_A.weight", DType::kF32, {2, 1500}}, {"x.lora_B.weight", DType::kF32, {1500, 2}}});
  const auto adapters = OpenAdapterDirectory(path_.string());
  ASSERT_TRUE(adapters.ok()) << adapters.error().message();
  const auto digest = ImportAdapters(*store_, *adapters, name_);
  ASSERT_TRUE(digest.ok()) << digest.error().message();
  ASSERT_TRUE(ExportModel(*store_, name_, (temp_.path() / "out").string()).ok());
  EXPECT_EQ(Read(temp_.path() / "out/adapter_model.safetensors"), Read(path_ / "adapter_model.safetensors"));
  EXPECT_EQ(Read(temp_.path() / "out/adapter_config.json"), Read(path_ / "adapter_config.json"));
  WriteTensors("adapter_model.safetensors", {{"x.lora_A.weight", DType::kF32, {2, 1500}}, {"x.lora_B.weight", DType::kF32, {1500, 2}}}, 8);
  const auto other = ImportAdapters(*store_, *OpenAdapterDirectory(path_.string()), name_);
  EXPECT_THAT(other.error().message(), HasSubstr("and name in the job what that prints: adapter.object"));
  WriteTensors("adapter_model.safetensors", {{"x.lora_A.weight", DType::kBF16, {2, 15}}});
  EXPECT_THAT(ImportAdapters(*store_, *OpenAdapterDirectory(path_.string()), ObjectName::Trusted("models/b")).error().message(),
              HasSubstr("tensor 'x.lora_A.weight' is BF16; adapters are read as F32"));
}

TEST_F(ImportTest, ShardsBecomeOneObjectAndWhatIsDerivedIsLeftOut) {
  WriteTensors("model-1.safetensors", {{"transformer.h.0.attn.bias", DType::kF32, {1, 1, 4, 4}}, {"a", DType::kF16, {100}}});
  WriteTensors("model-2.safetensors", {{"lm_head.weight", DType::kF16, {50}}});
  Write("model.safetensors.index.json", R"({"weight_map": {"a": "model-1.safetensors", "lm_head.weight": "model-2.safetensors"}})");
  ASSERT_TRUE(Import().ok());
  const auto spec = store_->Spec(name_);
  ASSERT_TRUE(spec.ok());
  ASSERT_EQ(spec->tensors.size(), 2u);
  EXPECT_EQ(spec->tensors[0].name, "a");
  EXPECT_EQ(spec->tensors[1].name, "lm_head.weight");
}

TEST_F(ImportTest, RefusesWhatIsNoModel) {
  EXPECT_THAT(ImportError(), HasSubstr("has neither model.safetensors nor"));
  WriteTensors("model.safetensors", {{"a", DType::kI64, {3}}});
  EXPECT_THAT(ImportError(), HasSubstr("tensor 'a' is I64; weights are read as F32, F16 and BF16"));
  Write("model.safetensors", "not one");
  EXPECT_THAT(ImportError(), HasSubstr("model.safetensors"));
}

TEST_F(ImportTest, AnotherModelDoesNotTakeAName) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3000}}});
  ASSERT_TRUE(Import().ok());
  const auto refused = [&] {
    const auto other = Import();
    EXPECT_FALSE(other.ok());
    if (other.ok()) return;
    EXPECT_EQ(other.error().code(), Code::kAlreadyExists);
    EXPECT_THAT(other.error().message(),
                HasSubstr("models/in holds another model than " + path_.string() + " (other tensors or another config.json)"));
    EXPECT_THAT(other.error().message(), HasSubstr("--name models/NAME"));
    EXPECT_THAT(other.error().message(), HasSubstr("model.object, and model.tokenizer"));
  };
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3001}}});
  refused();
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3000}}});
  Write("config.json", "{\"model_type\": \"llama\"}\n");
  refused();
}

// The command imports in chunks of its own default, a job in those of its transfer.
TEST_F(ImportTest, OtherChunksAreNoOtherModel) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}, {"b", DType::kF16, {777}}});
  const auto digest = Import({}, 4096);
  ASSERT_TRUE(digest.ok()) << digest.error().message();
  std::uint64_t told = 0;
  ImportOptions options;
  options.progress = [&](std::uint64_t done, std::uint64_t) { told = done; };
  const auto again = Import(options, 16384);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*again, *digest);
  EXPECT_EQ(told, 121'554u);
  EXPECT_EQ(store_->Spec(name_)->chunk_bytes, 4096u) << "what is there stays";
  std::string text = Read(path_ / "model.safetensors");
  text.back() ^= 1;
  Write("model.safetensors", text);
  const auto other = Import({}, 16384);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(other.error().message(), HasSubstr("(the bytes of b differ)"));
}

TEST_F(ImportTest, OtherWeightsDoNotTakeAName) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3000}}, {"b", DType::kF32, {3000}}});
  const auto digest = Import();
  ASSERT_TRUE(digest.ok());
  std::string text = Read(path_ / "model.safetensors");
  text.back() ^= 1;
  Write("model.safetensors", text);
  const auto other = Import();
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(other.error().message(), HasSubstr("models/in holds another model than " + path_.string() + " (the bytes of b differ)"));
  EXPECT_THAT(other.error().message(), HasSubstr("--name models/NAME"));
  EXPECT_THAT(other.error().message(), HasSubstr("model.object"));
  const auto info = store_->Stat(name_);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->digest, *digest) << "what is there stays";
}

TEST_F(ImportTest, ASecondImportReadsNoSlotAndWritesNone) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {300000}}});
  const auto digest = Import();
  ASSERT_TRUE(digest.ok());
  std::uint64_t told = 0;
  ImportOptions options;
  options.progress = [&](std::uint64_t done, std::uint64_t) { told = done; };
  NoChunks still(*store_);
  const auto directory = OpenModelDirectory(path_.string());
  ASSERT_TRUE(directory.ok());
  options.chunk_bytes = 4096;
  const auto again = ImportModel(still, *directory, name_, options);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*again, *digest);
  EXPECT_EQ(told, 1'200'000u);
}

TEST_F(ImportTest, AnInterruptedImportOfADirectoryThatChangedIsNoMixture) {
  const std::vector<tensor::TensorSpec> tensors{{"a", DType::kF32, {30000}}};
  WriteTensors("model.safetensors", tensors);
  std::stop_source stop;
  ImportOptions options;
  options.stop = stop.get_token();
  options.progress = [&](std::uint64_t done, std::uint64_t) {
    if (done >= 3 * 4096) stop.request_stop();
  };
  const auto stopped = Import(options);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code(), Code::kCancelled);
  ASSERT_EQ(store_->Stat(name_)->slots_present, 3u);
  WriteTensors("model.safetensors", tensors, 11);
  ASSERT_TRUE(Import().ok());
  ASSERT_TRUE(ExportModel(*store_, name_, (temp_.path() / "out").string()).ok());
  EXPECT_EQ(Read(temp_.path() / "out/model.safetensors"), Read(path_ / "model.safetensors"));
}

TEST_F(ImportTest, AnInterruptedImportOfOtherTensorsMakesRoom) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}});
  std::stop_source stop;
  ImportOptions options;
  options.stop = stop.get_token();
  options.progress = [&](std::uint64_t, std::uint64_t) { stop.request_stop(); };
  ASSERT_FALSE(Import(options).ok());
  WriteTensors("model.safetensors", {{"b", DType::kF32, {3000}}});
  ASSERT_TRUE(Import().ok());
  EXPECT_EQ(store_->Spec(name_)->tensors[0].name, "b");
}

TEST_F(ImportTest, AnImportThatWasOvertakenByTheSameOneIsDone) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}});
  ImportOptions options;
  std::optional<Result<std::string>> first;
  options.progress = [&](std::uint64_t, std::uint64_t) {
    if (!first) first = Import();
  };
  const auto second = Import(options);
  ASSERT_TRUE(first && first->ok());
  ASSERT_TRUE(second.ok()) << second.error().message();
  EXPECT_EQ(*second, **first);
}

TEST_F(ImportTest, AnImportThatWasOvertakenByAnotherOneIsRefused) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}});
  const std::string mine = Read(path_ / "model.safetensors");
  ImportOptions options;
  std::optional<Result<std::string>> first;
  options.progress = [&](std::uint64_t, std::uint64_t) {
    if (first) return;
    WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}}, 11);
    first = Import();
    Write("model.safetensors", mine);
  };
  const auto second = Import(options);
  ASSERT_TRUE(first && first->ok());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(second.error().message(), HasSubstr("(the bytes of a differ)"));
  EXPECT_EQ(store_->Stat(name_)->digest, **first) << "what is there stays";
}

TEST_F(ImportTest, TwoImportsAtOnceAreNoMixtureUnseen) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {30000}}});
  ImportOptions options;
  bool once = false;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (done < total || std::exchange(once, true)) return;
    const std::vector<std::byte> others(4096, std::byte{1});
    ASSERT_TRUE(store_->PutSlot(name_, 2, 0, others, nullptr, nullptr).ok());
  };
  const auto imported = Import(options);
  ASSERT_FALSE(imported.ok());
  EXPECT_EQ(imported.error().code(), Code::kConflict);
  EXPECT_THAT(imported.error().message(), HasSubstr("another import wrote into models/in at the same time"));
  EXPECT_EQ(store_->Stat(name_).error().code(), Code::kNotFound) << "nobody's model is left under the name";
  EXPECT_TRUE(Import().ok());
}

TEST_F(ImportTest, BareNamesAndDerivedOnes) {
  EXPECT_EQ(BareWeightName("transformer.h.0"), "h.0");
  EXPECT_EQ(BareWeightName("model.layers.0"), "layers.0");
  EXPECT_EQ(BareWeightName("h.0"), "h.0");
  EXPECT_TRUE(DerivedWeight("h.0.attn.masked_bias"));
  EXPECT_TRUE(DerivedWeight("layer1.0.bn1.num_batches_tracked"));
  EXPECT_FALSE(DerivedWeight("h.0.attn.c_attn.bias"));
}

}  // namespace
}  // namespace tributary::modeldir
