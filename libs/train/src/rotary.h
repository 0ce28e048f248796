// Turns queries and keys by their positions: rotary position embeddings in the rotate-half layout of Hugging Face.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "rope.h"

namespace tributary::train {

// Keeps cosines and sines of the positions seen so far; one thread.
class Rotary {
 public:
  Rotary(const Rope& rope, std::int64_t width) : rope_(rope), width_(width) {}

  // x [rows * columns, heads * width] -> [rows, heads, columns, width], contiguous: what attention multiplies needs no other copy.
  at::Tensor operator()(const at::Tensor& x, std::int64_t rows, std::int64_t columns);

 private:
  void Prepare(std::int64_t columns, const at::Tensor& like);

  Rope rope_;
  std::int64_t width_;
  at::Tensor cosines_;  // [positions, width / 2], in the type of x
  at::Tensor sines_;
};

}  // namespace tributary::train
