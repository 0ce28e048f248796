#include "tributary/modeldir/adapter_config.h"

#include "tributary/json/json.h"

namespace tributary::modeldir {

Result<LoraConfig> ParseLoraConfig(const std::string& text, const std::string& place) {
  TRIBUTARY_ASSIGN(const Json config, ParseJson(text, place));
  TRIBUTARY_ASSIGN(const std::string type, GetString(config, "peft_type", place));
  if (type != "LORA") return MakeError(Code::kInvalidArgument, "{}: peft_type '{}' is not supported; supported: LORA", place, type);
  for (const char* key : {"use_rslora", "use_dora"}) {
    if (config.contains(key) && config[key] == true) return MakeError(Code::kInvalidArgument, "{}: '{}' is not supported", place, key);
  }
  for (const char* key : {"modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform"}) {
    if (config.contains(key) && !config[key].is_null() && !config[key].empty()) {
      return MakeError(Code::kInvalidArgument, "{}: '{}' is not supported; expected it empty", place, key);
    }
  }
  if (config.contains("bias") && config["bias"] != "none") return MakeError(Code::kInvalidArgument, "{}: 'bias' has to be none", place);
  TRIBUTARY_ASSIGN(const std::int64_t rank, GetInt(config, "r", place));
  if (rank < 1 || rank > 4096) return MakeError(Code::kInvalidArgument, "{}: 'r' is {}, expected 1 to 4096", place, rank);
  LoraConfig lora;
  lora.rank = static_cast<std::uint32_t>(rank);
  TRIBUTARY_ASSIGN(lora.alpha, GetNumber(config, "lora_alpha", place));
  const Json targets = config.value("target_modules", Json());
  lora.pattern = targets.is_string();
  if (targets.is_string()) lora.targets.push_back(targets);
  if (targets.is_array()) {
    for (const Json& target : targets) {
      if (!target.is_string()) return MakeError(Code::kInvalidArgument, "{}: 'target_modules' has to be names of layers", place);
      lora.targets.push_back(target);
    }
  }
  return lora;
}

Status CheckLoraConfig(const std::string& text, const std::string& place, std::uint32_t rank, double alpha) {
  TRIBUTARY_ASSIGN(const LoraConfig lora, ParseLoraConfig(text, place));
  if (lora.rank != rank) {
    return MakeError(Code::kInvalidArgument, "{}: its adapters have r {}, the job's adapter.lora.r is {}; set it to {}", place, lora.rank, rank, lora.rank);
  }
  if (lora.alpha != alpha) {
    return MakeError(Code::kInvalidArgument, "{}: its adapters are scaled by lora_alpha {}, the job's adapter.lora.alpha is {}; set it to {}", place,
                     lora.alpha, alpha, lora.alpha);
  }
  return Ok();
}

Result<AdapterDirectory> OpenStartingAdapters(const std::string& path, std::uint32_t rank, double alpha) {
  auto directory = OpenAdapterDirectory(path);
  if (!directory.ok()) return directory.error().Wrap("adapter.source");
  const Status fits = CheckLoraConfig(directory->config_json, path + "/adapter_config.json", rank, alpha);
  if (!fits.ok()) return fits.error().Wrap("adapter.source");
  return directory;
}

}  // namespace tributary::modeldir
