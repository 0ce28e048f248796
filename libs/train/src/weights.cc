#include "weights.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "linear.h"

namespace tributary::train {
namespace {

bool EndsWithPart(const std::string& name, const std::string& part) {
  if (name == part) return true;
  return name.size() > part.size() + 1 && name.compare(name.size() - part.size(), part.size(), part) == 0 &&
         name[name.size() - part.size() - 1] == '.';
}

std::string LastPart(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::int64_t Weight::count() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

WeightSet::WeightSet(const ModelSpec& spec) : spec_(spec), place_(ChoosePlace(spec.device).value()), targets_(spec.lora.targets) {
  runtime_.compute = spec.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  runtime_.checkpointing = spec.gradient_checkpointing;
  if (spec_.lora.pattern && !targets_.empty()) pattern_.emplace(targets_[0], std::regex::ECMAScript | std::regex::optimize);
  matched_.resize(targets_.size());
}

void WeightSet::set_default_targets(std::vector<std::string> targets) {
  if (!targets_.empty()) return;
  targets_ = std::move(targets);
  matched_.assign(targets_.size(), false);
}

void WeightSet::Allocate(Weight& weight, at::ScalarType type, bool travels) {
  weight.value = at::zeros(weight.shape, at::TensorOptions(type).device(place_.device));
  if (!place_.apart) {
    weight.host = weight.value;
  } else if (travels) {
    weight.host = at::zeros(weight.shape, type);
  }
}

void WeightSet::CopyUp() {
  if (!place_.apart) return;
  const at::NoGradGuard no_gradients;
  for (Weight& weight : travelling()) weight.value.copy_(weight.host);
}

void WeightSet::CopyDown() {
  if (!place_.apart) return;
  const at::NoGradGuard no_gradients;
  for (Weight& weight : travelling()) weight.host.copy_(weight.value);
}

Weight& WeightSet::Add(const std::string& name, std::vector<std::int64_t> shape, Init init) {
  const bool frozen = spec_.lora.rank > 0;
  Weight& weight = base_.emplace_back();
  weight.name = name;
  weight.shape = std::move(shape);
  weight.init = init;
  weight.trained = !frozen;
  // Norms stay fp32: they are small, and what they scale is summed in fp32.
  const bool narrow = frozen && runtime_.compute == at::kBFloat16 && weight.shape.size() > 1;
  Allocate(weight, narrow ? at::kBFloat16 : at::kFloat, /*travels=*/!frozen);
  weight.value.set_requires_grad(weight.trained);
  return weight;
}

Weight& WeightSet::AddStatistic(const std::string& name, std::vector<std::int64_t> shape, Init init) {
  Weight& weight = Add(name, std::move(shape), init);
  weight.trained = false;
  weight.value.set_requires_grad(false);
  return weight;
}

Weight& WeightSet::Adopt(const std::string& name, const at::Tensor& value) {
  Weight& weight = base_.emplace_back();
  weight.name = name;
  weight.shape = value.sizes().vec();
  weight.trained = value.requires_grad();
  weight.value = value;
  weight.host = place_.apart ? value.detach().to(at::kCPU, /*non_blocking=*/false, /*copy=*/true) : value;
  return weight;
}

bool WeightSet::IsTarget(const std::string& layer) {
  if (pattern_) {
    const bool found = std::regex_match(layer, *pattern_);
    if (found) matched_[0] = true;
    return found;
  }
  bool found = false;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (!EndsWithPart(layer, targets_[i])) continue;
    matched_[i] = true;
    found = true;
  }
  return found;
}

Linear WeightSet::AddLinear(const std::string& name, std::int64_t in, std::int64_t out, MatrixOrder order, bool bias, Init init) {
  const LoraOptions& lora = spec_.lora;
  const auto shape = order == MatrixOrder::kOutIn ? std::vector{out, in} : std::vector{in, out};
  Weight* weight = nullptr;
  if (lora.rank > 0 && spec_.quantization != Quantization::kNone) {
    weight = &base_.emplace_back();
    weight->name = name + ".weight";
    weight->shape = shape;
    weight->init = init;
    weight->trained = false;
    weight->packed = std::make_unique<Nf4>(shape, spec_.quantization == Quantization::kNf4Double, place_);
  } else {
    weight = &Add(name + ".weight", shape, init);
  }
  Weight* const offset = bias ? &Add(name + ".bias", {out}, Init::Constant(0)) : nullptr;
  if (std::find(layers_.begin(), layers_.end(), LastPart(name)) == layers_.end()) layers_.push_back(LastPart(name));
  Lora* adapter = nullptr;
  if (lora.rank > 0 && IsTarget(name)) {
    const auto rank = static_cast<std::int64_t>(lora.rank);
    const auto add = [&](const char* part, std::vector<std::int64_t> sizes, Init first) {
      Weight& added = adapters_.emplace_back();
      added.name = "base_model.model." + name + part;
      added.shape = std::move(sizes);
      added.init = first;
      Allocate(added, at::kFloat, /*travels=*/true);
      added.value.set_requires_grad(true);
      return &added;
    };
    adapter = &loras_.emplace_back();
    fan_in_fan_out_ = order == MatrixOrder::kInOut;
    // As PEFT begins: A like a linear layer's default (Kaiming with slope sqrt 5), B zero, so that the sum is the base.
    adapter->a = add(".lora_A.weight", {rank, in}, Init::Uniform(1.0 / std::sqrt(static_cast<double>(in))));
    adapter->b = add(".lora_B.weight", {out, rank}, Init::Constant(0));
    adapter->scale = lora.alpha / static_cast<double>(lora.rank);
    adapter->dropout = lora.dropout;
    adapter->ordinal = loras_.size() - 1;
  }
  return Linear(*weight, offset, order, adapter, runtime_);
}

Status WeightSet::Finish() const {
  if (spec_.lora.rank == 0) return Ok();
  for (std::size_t i = 0; i < matched_.size(); ++i) {
    if (matched_[i]) continue;
    return MakeError(Code::kInvalidArgument, "adapter.lora.targets: no linear layer of this model is called '{}'; it has: {}", targets_[i],
                     Joined(layers_));
  }
  if (adapters_.empty()) {
    return MakeError(Code::kInvalidArgument, "adapter.lora.targets names no layer; linear layers of this model: {}", Joined(layers_));
  }
  return Ok();
}

}  // namespace tributary::train
