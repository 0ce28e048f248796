// Golden values beside the tests, and the weights that belong to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tributary/json/json.h"
#include "tributary/tensor/safetensors.h"
#include "tributary/train/module.h"

namespace tributary::train {

// Of a file beside the tests; an absolute path is itself.
inline std::string GoldenPath(const std::string& name) { return std::filesystem::path(TRIBUTARY_TRAIN_TEST_DATA) / name; }

inline Json ReadGolden(const std::string& name) {
  auto golden = ReadJsonFile(GoldenPath(name));
  if (golden.ok()) return *golden;
  ADD_FAILURE() << golden.error().message();
  return Json();
}

namespace golden_internal {

template <class RoomFn>
void Load(const std::string& name, const std::vector<tensor::TensorSpec>& specs, RoomFn room) {
  auto header = tensor::ReadSafetensorsHeader(GoldenPath(name));
  ASSERT_TRUE(header.ok()) << header.error().message();
  std::ifstream in(GoldenPath(name), std::ios::binary);
  EXPECT_EQ(header->tensors.size(), specs.size());
  for (const auto& stored : header->tensors) {
    const auto found = std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == stored.spec.name; });
    ASSERT_NE(found, specs.end()) << stored.spec.name;
    EXPECT_EQ(found->shape, stored.spec.shape) << stored.spec.name;
    std::vector<std::byte> bytes(stored.bytes);
    in.seekg(static_cast<std::streamoff>(stored.file_offset));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    room(static_cast<std::uint32_t>(found - specs.begin()), stored.spec.dtype, bytes);
  }
  EXPECT_TRUE(in.good());
}

}  // namespace golden_internal

// All weights of the base, as a model directory would be read.
inline void LoadWeights(Model& model, const std::string& name) {
  golden_internal::Load(name, model.Weights(), [&](std::uint32_t i, tensor::DType dtype, const std::vector<std::byte>& bytes) {
    auto room = model.WeightRoom(i, dtype);
    ASSERT_TRUE(room.ok()) << room.error().message();
    ASSERT_EQ(room->size(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), room->begin());
    ASSERT_TRUE(model.WeightStored(i).ok());
  });
}

// What travels, as a download would write it.
inline void LoadParameters(Model& model, const std::string& name) {
  golden_internal::Load(name, model.Parameters(), [&](std::uint32_t i, tensor::DType, const std::vector<std::byte>& bytes) {
    const auto to = model.ParameterBytes(i);
    ASSERT_EQ(to.size(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), to.begin());
  });
}

}  // namespace tributary::train
