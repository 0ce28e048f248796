// The model_types of a config.json that the training module makes models of, for whoever has to tell without loading it.
//
// The module's own registry is libs/train/src/families.cc; a test there holds this list equal to it. Constants and pure functions; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace tributary::train {

// What a model directory may be of.
inline constexpr std::array<std::string_view, 6> kModelTypes = {"gpt2", "gpt_neo", "llama", "mistral", "opt", "resnet"};
// A file of code that a job names (model.script): made by the module as well, and out of no directory.
inline constexpr std::string_view kScriptModelType = "torchscript";

inline bool IsModelType(std::string_view type) { return std::find(kModelTypes.begin(), kModelTypes.end(), type) != kModelTypes.end(); }

// "gpt2, gpt_neo, ...": for errors.
inline std::string ModelTypeNames() {
  std::string names;
  for (const std::string_view type : kModelTypes) names += (names.empty() ? "" : ", ") + std::string(type);
  return names;
}

}  // namespace tributary::train
