#include "families.h"

#include <array>
#include <regex>
#include <string>
#include <string_view>

#include "network.h"

namespace tributary::train {
namespace {

struct Family {
  std::string_view model_type;
  Result<std::unique_ptr<Network>> (*make)(const Json& config, const ModelSpec& spec);
};
constexpr std::array kFamilies = {Family{"gpt2", MakeGpt2}, Family{"gpt_neo", MakeGptNeo}, Family{"llama", MakeLlama},
                                  Family{"mistral", MakeLlama}, Family{"opt", MakeOpt}, Family{"resnet", MakeResNet},
                                  Family{"torchscript", MakeTorchScript}};

Status CheckSpec(const ModelSpec& spec) {
  TRIBUTARY_TRY(ChoosePlace(spec.device).status());
  if (spec.lora.rank == 0) {
    if (spec.quantization == Quantization::kNone) return Ok();
    return MakeError(Code::kInvalidArgument, "a base in nf4 is not trained: it needs adapter.lora");
  }
  if (!(spec.lora.dropout >= 0 && spec.lora.dropout < 1)) {
    return MakeError(Code::kInvalidArgument, "adapter.lora.dropout is {}, expected 0 to below 1", spec.lora.dropout);
  }
  if (!spec.lora.pattern) return Ok();
  if (spec.lora.targets.size() != 1) return MakeError(Code::kInvalidArgument, "adapter.lora.targets: a pattern stands alone");
  try {
    const std::regex pattern(spec.lora.targets[0]);
  } catch (const std::regex_error& e) {
    return MakeError(Code::kInvalidArgument, "adapter.lora.targets: '{}' is no regular expression ({})", spec.lora.targets[0], e.what());
  }
  return Ok();
}

}  // namespace

Result<std::unique_ptr<Network>> MakeNetwork(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_TRY(CheckSpec(spec));
  TRIBUTARY_ASSIGN(const std::string type, GetString(config, "model_type", "config.json"));
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.model_type == type) return family.make(config, spec);
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return MakeError(Code::kInvalidArgument,
                   "config.json: model_type '{}' is not supported; supported: {}", type, known);
}

}  // namespace tributary::train
