// Frequencies of rotary position embeddings (Su et al. 2021) and how a config.json scales them for longer texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct Rope {
  enum class Scaling : std::uint8_t { kNone, kLinear, kLlama3 };

  double theta = 10000;
  Scaling scaling = Scaling::kNone;
  double factor = 1;
  // Of kLlama3: wave lengths above original / low_factor are stretched, those below original / high_factor stay.
  double low_factor = 1;
  double high_factor = 4;
  std::int64_t original = 0;

  // Reads rope_theta and rope_scaling (or rope_parameters, as newer versions of transformers write both); other types of scaling
  // are refused by name.
  static Result<Rope> Parse(const Json& config);
  void WriteTo(OrderedJson& json) const;
  // Angle per position of each of the width / 2 pairs.
  std::vector<float> Frequencies(std::int64_t width) const;
};

}  // namespace tributary::train
