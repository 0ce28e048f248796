#include "services/trainer/weights.h"

#include <gmock/gmock.h>

#include <cstring>

#include "directory_fixture.h"

namespace tributary::trainer {
namespace {

using tensor::DType;
using testing::AllOf;
using testing::HasSubstr;

class ModelDirectory : public DirectoryFixture {
 protected:
  Result<std::unique_ptr<train::Model>> Load() {
    TRIBUTARY_ASSIGN(const auto directory, modeldir::OpenModelDirectory(path_.string()));
    return LoadModelDirectory(directory, module_);
  }
  std::string LoadError() {
    const auto model = Load();
    EXPECT_FALSE(model.ok());
    return model.ok() ? "" : model.error().message();
  }
  void ExpectWeights() {
    const auto model = Load();
    ASSERT_TRUE(model.ok()) << model.error().message();
    for (std::uint32_t k = 0; k < 2; ++k) {
      const auto bytes = (*model)->ParameterBytes(k);
      for (std::size_t i = 0; i < bytes.size() / 4; ++i) {
        float value;
        std::memcpy(&value, bytes.data() + i * 4, 4);
        ASSERT_EQ(value, static_cast<float>(k * 10000 + i));
      }
    }
  }
};

TEST_F(ModelDirectory, ReadsOneFile) {
  WriteTensors("model.safetensors", FakeTensors());
  ExpectWeights();
}

TEST_F(ModelDirectory, ReadsShardsByTheirIndex) {
  WriteTensors("model-00001-of-00002.safetensors", {FakeTensors()[0]});
  WriteTensors("model-00002-of-00002.safetensors", {FakeTensors()[1]}, 1);
  Write("model.safetensors.index.json",
        R"({"weight_map": {"transformer.a": "model-00001-of-00002.safetensors", "transformer.b": "model-00002-of-00002.safetensors"}})");
  ExpectWeights();
}

TEST_F(ModelDirectory, ReadsNamesWithoutPrefixAndPassesOverDerivedTensors) {
  WriteTensors("model.safetensors", {{"a", DType::kF32, {3000}},
                                     {"b", DType::kF32, {2, 3}},
                                     {"h.0.attn.bias", DType::kF32, {1, 1, 4, 4}},
                                     {"lm_head.weight", DType::kF32, {8}}});
  ExpectWeights();
}

TEST_F(ModelDirectory, NamesAMissingTensor) {
  WriteTensors("model.safetensors", {FakeTensors()[0]});
  EXPECT_THAT(LoadError(), AllOf(HasSubstr("lacks tensors"), HasSubstr("transformer.b")));
}

TEST_F(ModelDirectory, NamesATensorLeftOver) {
  auto tensors = FakeTensors();
  tensors.push_back({"classifier.weight", DType::kF32, {4}});
  WriteTensors("model.safetensors", tensors);
  EXPECT_THAT(LoadError(), AllOf(HasSubstr("does not know"), HasSubstr("classifier.weight")));
}

TEST_F(ModelDirectory, NamesATensorOfAnotherShape) {
  auto tensors = FakeTensors();
  tensors[1].shape = {3, 2};
  WriteTensors("model.safetensors", tensors);
  EXPECT_THAT(LoadError(), HasSubstr("'transformer.b' is F32 [3, 2], its config.json asks for F32 [2, 3]"));
}

TEST_F(ModelDirectory, RefusesATruncatedFile) {
  WriteTensors("model.safetensors", FakeTensors());
  std::filesystem::resize_file(path_ / "model.safetensors", std::filesystem::file_size(path_ / "model.safetensors") - 100);
  EXPECT_THAT(LoadError(), HasSubstr("model.safetensors"));
}

TEST_F(ModelDirectory, RefusesAnIndexThatLeadsOut) {
  Write("model.safetensors.index.json", R"({"weight_map": {"transformer.a": "../elsewhere.safetensors"}})");
  EXPECT_THAT(LoadError(), HasSubstr("the file of tensor 'transformer.a' is not a plain file name"));
  Write("model.safetensors.index.json", R"({"metadata": {}})");
  EXPECT_THAT(LoadError(), HasSubstr("has no object weight_map"));
}

TEST_F(ModelDirectory, NamesWhatIsNotThere) {
  EXPECT_THAT(LoadError(), HasSubstr("neither model.safetensors nor"));
  std::filesystem::remove(path_ / "config.json");
  EXPECT_THAT(LoadError(), HasSubstr("has no readable config.json"));
}

TEST_F(ModelDirectory, NamesABrokenConfig) {
  Write("config.json", "{");
  EXPECT_THAT(LoadError(), HasSubstr("config.json"));
}

}  // namespace
}  // namespace tributary::trainer
