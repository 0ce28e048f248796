#include "attention.h"

#include <ATen/ATen.h>
#include <torch/version.h>

#include <cmath>
#include <limits>

namespace tributary::train {

at::Tensor SplitHeads(const at::Tensor& x, std::int64_t rows, std::int64_t columns, std::int64_t heads) {
  return x.view({rows, columns, heads, x.size(1) / heads}).transpose(1, 2);
}

// Zero where a position may look, minus infinity where it may not.
const at::Tensor& CausalAttention::Mask(std::int64_t columns, std::int64_t group, const at::Tensor& like) {
  const bool same = mask_.defined() && mask_.size(0) == group * columns && mask_.size(1) == columns &&
                    mask_.scalar_type() == like.scalar_type() && mask_.device() == like.device();
  if (same) return mask_;
  const at::Tensor never = at::full({columns, columns}, -std::numeric_limits<float>::infinity(), like.options().dtype(at::kFloat));
  at::Tensor mask = at::triu(never, 1);
  if (options_.window > 0 && options_.window < columns) mask += at::tril(never, -options_.window);
  mask_ = mask.repeat({group, 1}).to(like.scalar_type());
  return mask_;
}

at::Tensor CausalAttention::operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const std::int64_t rows = q.size(0);
  const std::int64_t heads = q.size(1);
  const std::int64_t columns = q.size(2);
  const std::int64_t width = q.size(3);
  const std::int64_t key_heads = k.size(1);
  const std::int64_t group = heads / key_heads;
  const double scale = options_.scale != 0 ? options_.scale : 1.0 / std::sqrt(static_cast<double>(width));
#if TORCH_VERSION_MAJOR >= 2
  const auto repeated = [&](const at::Tensor& x) { return group == 1 ? x : x.repeat_interleave(group, 1); };
  const bool windowed = options_.window > 0 && options_.window < columns;
  const c10::optional<at::Tensor> mask = windowed ? c10::optional<at::Tensor>(Mask(columns, 1, q)) : c10::nullopt;
  const at::Tensor mixed = at::scaled_dot_product_attention(q, repeated(k), repeated(v), mask, 0.0, /*is_causal=*/!windowed, scale);
#else
  // The queries of a group stand under one another, so that keys and values are not repeated.
  const at::Tensor queries = q.reshape({rows * key_heads, group * columns, width});
  const at::Tensor keys = k.reshape({rows * key_heads, columns, width});
  const at::Tensor values = v.reshape({rows * key_heads, columns, width});
  const at::Tensor scores = at::baddbmm(Mask(columns, group, q.detach()), queries, keys.transpose(1, 2), 1, scale);
  const at::Tensor mixed = at::bmm(at::softmax(scores, -1), values).view({rows, heads, columns, width});
#endif
  return mixed.transpose(1, 2).reshape({rows * columns, heads * width});
}

}  // namespace tributary::train
