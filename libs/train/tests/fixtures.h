// A tiny model out of the loaded module, and batches that are given by hand.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "places.h"
#include "tributary/base/random.h"
#include "tributary/json/json.h"
#include "tributary/train/module.h"

namespace tributary::train {

inline Json TinyConfig() {
  return {{"model_type", "gpt2"}, {"n_layer", 2},      {"n_head", 2},
          {"n_embd", 16},         {"n_positions", 16}, {"vocab_size", 32}};
}

inline Module& LoadedModule() {
  static Module* const loaded = [] {
    auto module = LoadTrainModule();
    if (!module.ok()) {
      ADD_FAILURE() << module.error().message();
      std::abort();
    }
    MakeModelsOn(PlaceOfThisRun());
    return *module;
  }();
  return *loaded;
}

inline std::unique_ptr<Model> MakeTiny(const Json& config = TinyConfig(), std::uint64_t seed = 1) {
  auto model = LoadedModule().CreateModel({config.dump()});
  if (!model.ok()) {
    ADD_FAILURE() << model.error().message();
    std::abort();
  }
  EXPECT_TRUE((*model)->InitFromSeed(seed).ok());
  return std::move(model).value();
}

class ListSource final : public BatchSource {
 public:
  explicit ListSource(std::vector<Batch> batches) : batches_(std::move(batches)) {}
  Result<Batch> Next() override {
    if (next_ == batches_.size()) return Batch();
    return batches_[next_++];
  }

 private:
  std::vector<Batch> batches_;
  std::size_t next_ = 0;
};

// Rows that count upwards from a random start: what a model of pairs can learn.
inline Batch CountingBatch(std::uint32_t rows, std::uint32_t columns, std::uint64_t seed) {
  SplitMix64 random(seed);
  Batch batch{rows, columns, {}, {}};
  for (std::uint32_t row = 0; row < rows; ++row) {
    const auto start = static_cast<std::int32_t>(random.NextBelow(32));
    for (std::uint32_t i = 0; i < columns; ++i) {
      batch.tokens.push_back((start + static_cast<std::int32_t>(i)) % 32);
      batch.targets.push_back((start + static_cast<std::int32_t>(i) + 1) % 32);
    }
  }
  return batch;
}

inline std::vector<Batch> CountingBatches(std::size_t count, std::uint32_t rows = 4) {
  std::vector<Batch> batches;
  for (std::size_t i = 0; i < count; ++i) batches.push_back(CountingBatch(rows, 8, i));
  return batches;
}

inline std::vector<float> AllValues(Model& model) {
  std::vector<float> all;
  for (std::uint32_t i = 0; i < model.Parameters().size(); ++i) {
    const auto bytes = model.ParameterBytes(i);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    all.insert(all.end(), values, values + bytes.size() / sizeof(float));
  }
  return all;
}

inline double LossOf(Model& model, Batch batch) {
  ListSource source({std::move(batch)});
  auto result = model.Evaluate(source, 1, nullptr, {});
  EXPECT_TRUE(result.ok()) << result.error().message();
  return result.ok() ? result->loss : 0;
}

}  // namespace tributary::train
