#include "adapter_config.h"

#include "tributary/json/json.h"

namespace tributary::train {

std::string AdapterConfig(const WeightSet& weights) {
  const LoraOptions& lora = weights.spec().lora;
  if (lora.rank == 0) return "";
  OrderedJson json;
  json["peft_type"] = "LORA";
  json["task_type"] = "CAUSAL_LM";
  json["base_model_name_or_path"] = "";
  json["r"] = lora.rank;
  json["lora_alpha"] = lora.alpha;
  json["lora_dropout"] = lora.dropout;
  if (lora.pattern) {
    json["target_modules"] = weights.targets()[0];
  } else {
    json["target_modules"] = weights.targets();
  }
  json["bias"] = "none";
  json["fan_in_fan_out"] = weights.fan_in_fan_out();
  json["init_lora_weights"] = true;
  json["inference_mode"] = true;
  json["use_rslora"] = false;
  json["use_dora"] = false;
  json["modules_to_save"] = nullptr;
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
