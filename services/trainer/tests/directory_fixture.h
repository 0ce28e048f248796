// A model directory of the fake module's tensors, written by hand.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::trainer {

class DirectoryFixture : public testing::Test {
 protected:
  DirectoryFixture() { Write("config.json", R"({"model_type": "gpt2", "vocab_size": 257})"); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(path_ / name, std::ios::binary) << text; }
  // Element i of the k-th tensor is k * 10000 + i.
  void WriteTensors(const std::string& name, const std::vector<tensor::TensorSpec>& tensors, std::size_t first = 0) {
    std::string text = tensor::MakeSafetensorsHeader(tensors, {});
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      std::vector<float> values(*tensor::ElementCount(tensors[k].shape) * tensor::ElementBytes(tensors[k].dtype) / 4);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((first + k) * 10000 + i);
      text.append(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    }
    Write(name, text);
  }

  const TempDirectory temp_;
  std::filesystem::path path_ = temp_.path();
  FakeModule module_;
};

}  // namespace tributary::trainer
