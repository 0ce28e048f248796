// GPT-Neo's config.json, checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct GptNeoConfig {
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t hidden = 0;
  std::int64_t inner = 0;
  std::int64_t positions = 0;
  std::int64_t vocabulary = 0;
  std::int64_t window = 256;  // of local layers
  std::vector<bool> local;    // of each layer
  bool tied = true;
  double epsilon = 1e-5;
  double initializer_range = 0.02;
  std::string activation = "gelu_new";
  Json token_ids;

  static Result<GptNeoConfig> Parse(const Json& config);
  std::string ToJson() const;
};

}  // namespace tributary::train
