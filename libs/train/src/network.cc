#include "network.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "batch.h"
#include "loss.h"

namespace tributary::train {

at::Tensor Ids(const std::vector<std::int32_t>& ids, at::IntArrayRef shape, const Place& place) {
  const at::Tensor room = HostRoom(shape, at::kLong, place);
  std::copy(ids.begin(), ids.end(), room.data_ptr<std::int64_t>());
  return Moved(room, place);
}

at::Tensor Pixels(const Batch& batch, const Place& place) {
  const at::Tensor room = HostRoom({batch.rows, batch.channels, batch.height, batch.width}, at::kFloat, place);
  std::copy(batch.pixels.begin(), batch.pixels.end(), room.data_ptr<float>());
  return Moved(room, place);
}

Result<std::uint64_t> LanguageNetwork::Check(const Batch& batch) const {
  return CheckBatch(batch, positions(), vocabulary());
}

at::Tensor LanguageNetwork::Loss(const Batch& batch) {
  return CrossEntropy(Hidden(Tokens(batch)), OutputWeight(), Targets(batch), weights().runtime().compute);
}

BatchScore LanguageNetwork::Evaluate(const Batch& batch) {
  return EvaluateCrossEntropy(Hidden(Tokens(batch)), OutputWeight(), Targets(batch), weights().runtime().compute);
}

at::Tensor LanguageNetwork::Logits(const Batch& batch) {
  const at::ScalarType type = weights().runtime().compute;
  const at::Tensor hidden = Hidden(Tokens(batch)).to(type);
  return hidden.mm(OutputWeight().to(type).t()).to(at::kFloat);
}

at::Tensor LanguageNetwork::Tokens(const Batch& batch) const { return Ids(batch.tokens, {batch.rows, batch.columns}, weights().place()); }

at::Tensor LanguageNetwork::Targets(const Batch& batch) const {
  return Ids(batch.targets, {static_cast<std::int64_t>(batch.targets.size())}, weights().place());
}

}  // namespace tributary::train
