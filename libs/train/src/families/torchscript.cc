// Modules of the user's own, as TorchScript (docs/models.md). What they compute is theirs; what is made sure of here is that a pass
// depends on weights, batch and seed alone.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>
#include <utility>

#include "families.h"
#include "guard.h"
#include "network.h"
#include "script_file.h"

namespace tributary::train {
namespace {

Status CheckWishes(const ModelSpec& spec) {
  const auto refused = [](const char* key) {
    return MakeError(Code::kInvalidArgument, "{}: a TorchScript module computes as it was written; leave it out", key);
  };
  if (spec.lora.rank > 0) return refused("adapter.lora");
  if (spec.precision != Precision::kFp32) return refused("train.precision bf16");
  if (spec.gradient_checkpointing) return refused("train.gradient_checkpointing");
  return Ok();
}

class ScriptNetwork final : public Network {
 public:
  ScriptNetwork(const ModelSpec& spec, std::string path, std::string sha256, ScriptFile file)
      : Network(spec), path_(std::move(path)), sha256_(std::move(sha256)), file_(std::move(file)) {
    for (const ScriptTensor& parameter : file_.parameters) weights().Adopt(parameter.name, parameter.value);
  }

  Result<std::uint64_t> Check(const Batch& batch) const override {
    const auto uneven = [&] {
      return MakeError(Code::kInvalidArgument, "a batch of {} rows has {} tokens, {} pixels and {} targets", batch.rows, batch.tokens.size(),
                       batch.pixels.size(), batch.targets.size());
    };
    if (batch.channels > 0) {
      const std::uint64_t pixels = std::uint64_t{batch.rows} * batch.channels * batch.height * batch.width;
      if (batch.pixels.size() != pixels || batch.targets.size() != batch.rows) return uneven();
      return batch.rows;
    }
    const std::uint64_t count = std::uint64_t{batch.rows} * batch.columns;
    if (count == 0 || batch.tokens.size() != count || batch.targets.size() != count) return uneven();
    std::uint64_t targets = 0;
    for (const std::int32_t target : batch.targets) targets += target != kIgnore ? 1 : 0;
    return targets;
  }

  at::Tensor Loss(const Batch& batch) override {
    const at::Tensor loss = Pass(batch);
    if (!loss.requires_grad()) {
      throw Refusal(MakeError(Code::kInvalidArgument, "model.script: {}: the loss that forward gives does not depend on the parameters", path_));
    }
    return loss;
  }

  BatchScore Evaluate(const Batch& batch) override { return {static_cast<double>(Pass(batch).item<float>()), 0}; }
  bool CountsCorrect() const override { return false; }

  at::Tensor Logits(const Batch&) override {
    throw Refusal(MakeError(Code::kInvalidArgument, "model.script: {}: forward gives a loss and no logits", path_));
  }

  std::string ConfigJson() const override {
    OrderedJson config;
    config["model_type"] = "torchscript";
    config["script"] = path_;
    config["sha256"] = sha256_;
    return config.dump(2) + "\n";
  }

  // The file's own weights.
  Result<bool> RestoreFirst() override {
    TRIBUTARY_ASSIGN(const ScriptFile first, ReadScriptFile(path_, sha256_, at::kCPU));
    const at::NoGradGuard no_gradients;
    std::size_t i = 0;
    for (Weight& weight : weights().base()) weight.host.copy_(first.parameters[i++].value);
    return true;
  }

 private:
  std::vector<c10::IValue> InputOf(const Batch& batch) const {
    const std::int64_t rows = batch.rows;
    const Place& place = weights().place();
    if (batch.channels > 0) return {c10::ivalue::Tuple::create({Pixels(batch, place), Ids(batch.targets, {rows}, place)})};
    const std::int64_t columns = batch.columns;
    return {c10::ivalue::Tuple::create({Ids(batch.tokens, {rows, columns}, place), Ids(batch.targets, {rows, columns}, place)})};
  }

  at::Tensor Pass(const Batch& batch) {
    const Runtime& runtime = weights().runtime();
    file_.module.train(runtime.training);
    // Buffers do not travel, so they stay what they are in the file: what a pass left in them (running means) is nobody else's.
    for (ScriptTensor& buffer : file_.buffers) buffer.owner.setattr(buffer.attribute, buffer.value.clone());
    if (runtime.training) at::manual_seed(runtime.seed);
    at::Tensor loss;
    try {
      loss = file_.module.forward(InputOf(batch)).toTensor();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const c10::Error& e) {
      throw Fault(e.what_without_backtrace());
    } catch (const std::exception& e) {
      throw Fault(e.what());
    }
    if (!loss.defined() || loss.numel() != 1 || !at::isFloatingType(loss.scalar_type())) {
      throw Refusal(MakeError(Code::kInvalidArgument, "model.script: {}: forward gives {}; expected a scalar loss, one floating-point number", path_,
                              loss.defined() ? fmt::format("a tensor of {} elements of {}", loss.numel(), c10::toString(loss.scalar_type())) : "nothing"));
    }
    loss = loss.reshape({}).to(at::kFloat);
    if (const double value = loss.item<float>(); !std::isfinite(value)) {
      throw Refusal(MakeError(Code::kInvalidArgument,
                              "model.script: {}: forward gives a loss of {}; lower train.learning_rate, or look for a division by zero or a "
                              "batch without targets in it",
                              path_, value));
    }
    return loss;
  }

  Refusal Fault(const std::string& report) const {
    if (IsOutOfDeviceMemory(report)) return Refusal(OutOfDeviceMemory(report).Wrap(fmt::format("model.script: {}", path_)));
    const char* const remedy =
        report.find("on the same device") != std::string::npos ? "; make its tensors on the device of the batch, or set train.device: cpu" : "";
    return Refusal(MakeError(IsOutOfMemory(report) ? Code::kResourceExhausted : Code::kInvalidArgument, "model.script: {}: forward failed: {}{}", path_,
                             ScriptFault(report), remedy));
  }

  std::string path_;
  std::string sha256_;
  ScriptFile file_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeTorchScript(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_TRY(CheckWishes(spec));
  TRIBUTARY_ASSIGN(std::string path, GetString(config, "script", "config.json"));
  TRIBUTARY_ASSIGN(std::string sha256, GetString(config, "sha256", "config.json"));
  TRIBUTARY_ASSIGN(const Place place, ChoosePlace(spec.device));
  TRIBUTARY_ASSIGN(ScriptFile file, ReadScriptFile(path, sha256, place.device));
  auto network = std::make_unique<ScriptNetwork>(spec, std::move(path), std::move(sha256), std::move(file));
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
