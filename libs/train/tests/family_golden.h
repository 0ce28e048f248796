// What a family's golden values are compared with: tensors by name, the change of one step, greedy tokens.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fixtures.h"
#include "golden_files.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::train {

using Tensors = std::map<std::string, std::vector<float>>;

inline Tensors ReadTensors(const std::string& name) {
  const std::string path = GoldenPath(name);
  Tensors tensors;
  auto header = tensor::ReadSafetensorsHeader(path);
  EXPECT_TRUE(header.ok()) << header.error().message();
  if (!header.ok()) return tensors;
  std::ifstream in(path, std::ios::binary);
  for (const auto& stored : header->tensors) {
    EXPECT_EQ(stored.spec.dtype, tensor::DType::kF32) << stored.spec.name;
    std::vector<float>& values = tensors[stored.spec.name];
    values.resize(stored.bytes / sizeof(float));
    in.seekg(static_cast<std::streamoff>(stored.file_offset));
    in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(stored.bytes));
  }
  EXPECT_TRUE(in.good()) << path;
  return tensors;
}

inline Tensors ParametersOf(Model& model) {
  Tensors tensors;
  for (std::uint32_t i = 0; i < model.Parameters().size(); ++i) {
    const auto bytes = model.ParameterBytes(i);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    tensors[model.Parameters()[i].name].assign(values, values + bytes.size() / sizeof(float));
  }
  return tensors;
}

inline double Largest(const std::vector<float>& values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(static_cast<double>(value)));
  return largest;
}

inline double LargestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;  // not a number stays
  }
  return largest;
}

// What one step of SGD at rate 1 without clipping takes off each parameter: its gradient.
inline Tensors StepOfSgd(Model& model, const Batch& batch) {
  Tensors change = ParametersOf(model);
  TrainOptions o;
  o.steps = 1;
  o.optimizer = Optimizer::kSgd;
  o.schedule = Schedule::kConstant;
  o.learning_rate = 1;
  o.clip_norm = 0;
  ListSource source({batch});
  const auto result = model.Train(source, o, nullptr, {});
  EXPECT_TRUE(result.ok()) << result.error().message();
  const Tensors after = ParametersOf(model);
  for (auto& [name, values] : change) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] -= after.at(name)[i];
  }
  return change;
}

inline std::vector<std::int32_t> GreedyIds(Model& model, const std::vector<std::int32_t>& prompt, std::uint32_t count) {
  std::vector<std::int32_t> ids;
  const auto status = model.Generate(prompt, {.max_tokens = count, .greedy = true}, [&](std::int32_t id) {
    ids.push_back(id);
    return true;
  });
  EXPECT_TRUE(status.ok()) << status.error().message();
  return ids;
}

}  // namespace tributary::train
