// What of PEFT's adapter_config.json changes what its adapters compute.
//
// The text may come from anywhere: each key is checked, and what is not computed here is refused by name. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/modeldir/directory.h"

namespace tributary::modeldir {

struct LoraConfig {
  std::uint32_t rank = 0;
  double alpha = 0;
  std::vector<std::string> targets;
  bool pattern = false;  // targets[0] is a regular expression
};

// `place` begins errors, which are kInvalidArgument.
Result<LoraConfig> ParseLoraConfig(const std::string& text, const std::string& place);

// kInvalidArgument, with both values, unless a job of this adapter.lora.r and adapter.lora.alpha may start from adapters of this adapter_config.json.
// That its layers are the job's is seen by the tensors' names.
Status CheckLoraConfig(const std::string& text, const std::string& place, std::uint32_t rank, double alpha);

// The directory of a job's adapter.source, which fits its adapter.lora.r and adapter.lora.alpha as above; errors name the key.
Result<AdapterDirectory> OpenStartingAdapters(const std::string& path, std::uint32_t rank, double alpha);

}  // namespace tributary::modeldir
