#include "fake_module.h"

#include <cstring>

#include "tributary/base/random.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

class FakeModel final : public train::Model {
 public:
  FakeModel(FakeCalls& calls, std::string config, std::uint32_t vocabulary, const train::LoraOptions& lora)
      : calls_(calls), config_(std::move(config)), vocabulary_(vocabulary), lora_(lora), parameters_(FakeTensors()) {
    for (const auto& parameter : parameters_) weights_.emplace_back(*tensor::ElementCount(parameter.shape));
  }
  const std::vector<tensor::TensorSpec>& Parameters() const override { return parameters_; }
  std::span<std::byte> ParameterBytes(std::uint32_t index) override { return std::as_writable_bytes(std::span(weights_[index])); }
  const std::vector<tensor::TensorSpec>& Weights() const override { return parameters_; }
  Result<std::span<std::byte>> WeightRoom(std::uint32_t index, tensor::DType) override { return ParameterBytes(index); }
  Status WeightStored(std::uint32_t) override { return Ok(); }
  std::string ConfigJson() const override { return config_; }
  std::string AdapterConfigJson() const override {
    if (lora_.rank == 0) return "";
    return Json({{"peft_type", "LORA"}, {"r", lora_.rank}, {"lora_alpha", lora_.alpha}, {"target_modules", {"a", "b"}}, {"base_model_name_or_path", ""}}).dump();
  }
  std::string DeviceName() const override { return "cpu"; }
  std::uint32_t MaxPositions() const override { return vocabulary_ == 0 ? 0 : 128; }
  std::uint32_t VocabularySize() const override { return vocabulary_; }
  Status InitFromSeed(std::uint64_t seed) override {
    SplitMix64 random(seed);
    for (auto& tensor : weights_) {
      for (float& value : tensor) value = static_cast<float>(random.NextUnit());
    }
    return Ok();
  }
  Status InitAdapter(std::uint64_t) override { return Ok(); }
  Result<std::vector<RowScore>> Score(const train::Batch& batch, std::uint32_t) override { return std::vector<RowScore>(batch.rows); }
  Result<std::vector<float>> Logits(const train::Batch&) override { return std::vector<float>(); }
  Result<train::TrainResult> Train(train::BatchSource& batches, const train::TrainOptions& options,
                                   const train::ProgressFn& progress, std::stop_token stop) override {
    ++calls_.trainings;
    calls_.options = options;
    calls_.batches = 0;
    // One pair of moments for each parameter, as an optimizer has; each training adds its steps.
    std::uint64_t seen = 0;
    if (options.optimizer_store != nullptr) {
      TRIBUTARY_ASSIGN(seen, options.optimizer_store->Load(Moments()));
    }
    calls_.optimizer_steps = seen;
    train::TrainResult result;
    double sum = 0;
    for (;;) {
      TRIBUTARY_ASSIGN(const auto batch, batches.Next());
      if (batch.rows == 0) break;
      ++calls_.batches;
      for (const auto token : batch.tokens) sum += token;
      result.tokens += batch.tokens.size();
      progress({calls_.batches, options.steps, result.tokens, 2.0});
      if (stop.stop_requested()) return MakeError(Code::kCancelled, "stopped");
    }
    for (auto& tensor : weights_) {
      for (float& value : tensor) value += static_cast<float>(sum / static_cast<double>(result.tokens));
    }
    if (options.optimizer_store != nullptr) TRIBUTARY_TRY(options.optimizer_store->Save(seen + options.steps, Moments()));
    result.steps = options.steps;
    result.mean_loss = 2.5;
    result.seconds = 0.5;
    return result;
  }
  Result<train::EvalResult> Evaluate(train::BatchSource& batches, std::uint32_t, const train::ProgressFn& progress,
                                     std::stop_token stop) override {
    ++calls_.evaluations;
    train::EvalResult result;
    for (std::uint64_t step = 1;; ++step) {
      if (stop.stop_requested()) return Error(Code::kCancelled, "the evaluation was stopped");
      TRIBUTARY_ASSIGN(const auto batch, batches.Next());
      if (batch.rows == 0) return result;
      if (calls_.on_evaluate) calls_.on_evaluate();
      if (progress) progress({.step = step, .steps = 0, .tokens = result.targets, .loss = 0});
      for (const auto target : batch.targets) result.targets += target != train::kIgnore;
      result.loss = static_cast<double>(weights_[0][0]);
    }
  }
  Status Generate(const std::vector<std::int32_t>& prompt, const train::GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) override {
    std::int32_t token = prompt.back();
    for (std::uint32_t i = 0; i < options.max_tokens; ++i) {
      if (!emit(++token)) break;
    }
    return Ok();
  }

 private:
  std::vector<std::span<float>> Moments() {
    if (moments_.empty()) {
      for (const auto& tensor : weights_) moments_.insert(moments_.end(), 2, std::vector<float>(tensor.size()));
    }
    return {moments_.begin(), moments_.end()};
  }

  FakeCalls& calls_;
  std::string config_;
  std::uint32_t vocabulary_;
  train::LoraOptions lora_;
  std::vector<tensor::TensorSpec> parameters_;
  std::vector<std::vector<float>> weights_;
  std::vector<std::vector<float>> moments_;
};

}  // namespace

std::vector<tensor::TensorSpec> FakeTensors() {
  return {{"transformer.a", tensor::DType::kF32, {3000}}, {"transformer.b", tensor::DType::kF32, {2, 3}}};
}

Result<std::unique_ptr<train::Model>> FakeModule::CreateModel(const train::ModelSpec& spec) {
  ++calls.models;
  TRIBUTARY_ASSIGN(const auto config, ParseJson(spec.config_json, "config.json"));
  TRIBUTARY_ASSIGN(const auto vocabulary, GetInt(config, "vocab_size", "config.json"));
  return std::unique_ptr<train::Model>(new FakeModel(calls, spec.config_json, static_cast<std::uint32_t>(vocabulary), spec.lora));
}

}  // namespace tributary::trainer
