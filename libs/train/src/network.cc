#include "network.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "batch.h"
#include "loss.h"

namespace tributary::train {

at::Tensor Ids(const std::vector<std::int32_t>& ids, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::kLong);
  std::copy(ids.begin(), ids.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

Result<std::uint64_t> LanguageNetwork::Check(const Batch& batch) const {
  return CheckBatch(batch, positions(), vocabulary());
}

at::Tensor LanguageNetwork::Loss(const Batch& batch) {
  const auto count = static_cast<std::int64_t>(batch.tokens.size());
  return CrossEntropy(Hidden(Ids(batch.tokens, {batch.rows, batch.columns})), OutputWeight(), Ids(batch.targets, {count}),
                      weights().runtime().compute);
}

BatchScore LanguageNetwork::Evaluate(const Batch& batch) {
  const auto count = static_cast<std::int64_t>(batch.tokens.size());
  return EvaluateCrossEntropy(Hidden(Ids(batch.tokens, {batch.rows, batch.columns})), OutputWeight(), Ids(batch.targets, {count}),
                              weights().runtime().compute);
}

at::Tensor LanguageNetwork::Logits(const Batch& batch) {
  const at::ScalarType type = weights().runtime().compute;
  const at::Tensor hidden = Hidden(Ids(batch.tokens, {batch.rows, batch.columns})).to(type);
  return hidden.mm(OutputWeight().to(type).t()).to(at::kFloat);
}

}  // namespace tributary::train
