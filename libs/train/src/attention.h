// Causal self-attention: libtorch's fused kernel where there is one (2.x), else softmax over explicit scores.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tributary::train {

// [rows * columns, heads * width] as [rows, heads, columns, width], a view.
at::Tensor SplitHeads(const at::Tensor& x, std::int64_t rows, std::int64_t columns, std::int64_t heads);

struct AttentionOptions {
  double scale = 0;         // of the scores; 0: 1 / sqrt(width)
  std::int64_t window = 0;  // a position sees itself and the window - 1 before it; 0: all before it
};

// Keeps the masks of the last batch's length between calls; one thread.
class CausalAttention {
 public:
  explicit CausalAttention(const AttentionOptions& options = {}) : options_(options) {}

  // q [rows, heads, columns, width], k and v [rows, key heads, columns, width], where key heads divides heads (grouped queries:
  // head h looks at key head h / (heads / key heads)) -> [rows * columns, heads * width].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

 private:
  // [group * columns, columns], for the queries of a group one under the other; type and device are those of `like`.
  const at::Tensor& Mask(std::int64_t columns, std::int64_t group, const at::Tensor& like);

  AttentionOptions options_;
  at::Tensor mask_;
};

}  // namespace tributary::train
