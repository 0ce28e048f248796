// The config.json of Llama and Mistral, checked.
#pragma once

#include <cstdint>
#include <string>

#include "rope.h"
#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct LlamaConfig {
  bool mistral = false;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;  // divides heads
  std::int64_t width = 0;      // of a head
  std::int64_t hidden = 0;
  std::int64_t inner = 0;
  std::int64_t positions = 0;
  std::int64_t vocabulary = 0;
  std::int64_t window = 0;     // Mistral's sliding window; 0: none
  std::int64_t padding = -1;   // row of the embedding that is not trained as input
  double epsilon = 1e-6;
  double initializer_range = 0.02;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tied = false;
  Rope rope;
  Json token_ids;

  static Result<LlamaConfig> Parse(const Json& config);
  std::string ToJson() const;
};

}  // namespace tributary::train
