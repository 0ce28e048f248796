// A training module without libtorch: weights are a few floats, training adds the mean token to each, generation counts up.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tributary/train/module.h"

namespace tributary::trainer {

struct FakeCalls {
  int loads = 0;
  int models = 0;
  int trainings = 0;
  int evaluations = 0;
  train::TrainOptions options;  // of the last training
  std::uint64_t batches = 0;    // of the last training
  std::function<void()> on_evaluate;  // called for each batch
  std::uint64_t optimizer_steps = 0;  // that the last training's optimizer began with
};

class FakeModule final : public train::Module {
 public:
  std::string Description() const override { return "fake"; }
  Result<std::unique_ptr<train::Model>> CreateModel(const train::ModelSpec& spec) override;
  std::uint64_t DevicePeakBytes() const override { return device_peak_bytes; }
  FakeCalls calls;
  std::uint64_t device_peak_bytes = 0;
};

// A config.json of vocab_size 0 makes a model of images. Tensors of every fake model: "transformer.a" [3000], "transformer.b" [2, 3], both F32.
std::vector<tensor::TensorSpec> FakeTensors();

}  // namespace tributary::trainer
