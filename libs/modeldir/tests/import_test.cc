#include "tributary/modeldir/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"
#include "tributary/modeldir/export.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using testing::HasSubstr;

class ImportTest : public testing::Test {
 protected:
  ImportTest() { Write("config.json", "{\"model_type\": \"gpt2\"}\n"); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories(path_);
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  void WriteTensors(const std::string& name, const std::vector<tensor::TensorSpec>& tensors) {
    std::string text = tensor::MakeSafetensorsHeader(tensors, {{"format", "pt"}});
    for (const auto& spec : tensors) {
      const std::size_t bytes = *tensor::ElementCount(spec.shape) * tensor::ElementBytes(spec.dtype);
      for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>((i * 7 + spec.name.size()) % 251));
    }
    Write(name, text);
  }
  static std::string Read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  Result<std::string> Import() {
    TRIBUTARY_ASSIGN(const auto directory, OpenModelDirectory(path_.string()));
    ImportOptions options;
    options.chunk_bytes = 4096;
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
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3001}}});
  EXPECT_THAT(ImportError(), HasSubstr("models/in"));
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
