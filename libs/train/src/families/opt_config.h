// OPT's config.json, checked.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct OptConfig {
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t hidden = 0;
  std::int64_t embedding = 0;  // width of token embeddings; where it is not hidden they are projected
  std::int64_t inner = 0;
  std::int64_t positions = 0;
  std::int64_t vocabulary = 0;
  std::int64_t padding = 1;    // row of the embedding that is not trained as input
  bool norm_before = true;
  bool final_norm = true;
  bool bias = true;
  bool norm_weights = true;
  bool tied = true;
  double initializer_range = 0.02;
  std::string activation = "relu";
  Json token_ids;

  static Result<OptConfig> Parse(const Json& config);
  std::string ToJson() const;
};

}  // namespace tributary::train
