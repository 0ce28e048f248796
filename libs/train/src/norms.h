// Layer norm (Ba et al. 2016) and root-mean-square norm (Zhang and Sennrich 2019) over the last axis.
//
// They refer to weights of a WeightSet, which outlives them; their input is the fp32 residual stream. May throw libtorch's exceptions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "weights.h"

namespace tributary::train {

struct LayerNorm {
  const Weight* weight = nullptr;  // null: neither weight nor bias
  const Weight* bias = nullptr;
  std::int64_t width = 0;
  double epsilon = 1e-5;

  // NAME.weight of ones and NAME.bias of zeros.
  static LayerNorm Add(WeightSet& weights, const std::string& name, std::int64_t width, double epsilon);
  at::Tensor operator()(const at::Tensor& x) const;
};

// Keeps x and one number a row for the backward pass.
struct RmsNorm {
  const Weight* weight = nullptr;
  double epsilon = 1e-6;

  static RmsNorm Add(WeightSet& weights, const std::string& name, std::int64_t width, double epsilon);
  at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace tributary::train
