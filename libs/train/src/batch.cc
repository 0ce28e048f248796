#include "batch.h"

namespace tributary::train {

Result<std::uint64_t> CheckBatch(const Batch& batch, std::uint32_t positions,
                                 std::uint32_t vocabulary) {
  const std::uint64_t count = static_cast<std::uint64_t>(batch.rows) * batch.columns;
  if (batch.columns == 0 || batch.tokens.size() != count || batch.targets.size() != count) {
    return MakeError(Code::kInvalidArgument, "a batch of {} x {} has {} tokens and {} targets",
                     batch.rows, batch.columns, batch.tokens.size(), batch.targets.size());
  }
  if (batch.columns > positions) {
    return MakeError(
        Code::kInvalidArgument,
        "a batch of {} tokens a row does not fit a model of {} positions; lower train.max_length",
        batch.columns, positions);
  }
  std::uint64_t targets = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int32_t token = batch.tokens[i];
    const std::int32_t target = batch.targets[i];
    const bool counted = target != kIgnore;
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary ||
        (counted && (target < 0 || static_cast<std::uint32_t>(target) >= vocabulary))) {
      return MakeError(Code::kInvalidArgument,
                       "token {} with target {} is outside the model's vocabulary of {}; the "
                       "tokenizer belongs to another "
                       "model",
                       token, target, vocabulary);
    }
    targets += counted ? 1 : 0;
  }
  return targets;
}

}  // namespace tributary::train
