// GPT-2's config.json, checked.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct Gpt2Config {
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t hidden = 0;
  std::int64_t inner = 0;
  std::int64_t positions = 0;
  std::int64_t vocabulary = 0;
  Json token_ids;  // as they stand: a model of few tokens may say 50256, the default of GPT2Config
  double epsilon = 1e-5;
  double initializer_range = 0.02;  // standard deviation of first weights

  // Absent keys are Hugging Face's defaults where they say how to compute (epsilon, activation),
  // and errors where they say how large. Refuses sizes out of range and variants that are computed
  // otherwise. Dropout is ignored: it is 0.
  static Result<Gpt2Config> Parse(const Json& config);
  std::string ToJson() const;
};

}  // namespace tributary::train
