// A linear layer over any storage of its weight, with or without an adapter.
//
// What is frozen leaves nothing behind for the backward pass: a weight that is stored narrower than it is computed with (4-bit,
// bf16, or fp32 under a bf16 product) is widened again there. A Linear refers to weights and runtime of its WeightSet, which
// outlives it. One thread; may throw libtorch's exceptions.
#pragma once

#include <ATen/core/Tensor.h>

#include "weights.h"

namespace tributary::train {

class Linear {
 public:
  Linear() = default;
  Linear(const Weight& weight, const Weight* bias, MatrixOrder order, const Lora* lora, const Runtime& runtime)
      : weight_(&weight), bias_(bias), order_(order), lora_(lora), runtime_(&runtime) {}

  // [n, in] -> [n, out], in the runtime's compute type.
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  const Weight* weight_ = nullptr;
  const Weight* bias_ = nullptr;
  MatrixOrder order_ = MatrixOrder::kOutIn;
  const Lora* lora_ = nullptr;
  const Runtime* runtime_ = nullptr;
};

}  // namespace tributary::train
