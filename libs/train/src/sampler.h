// The next token out of a row of logits.
#pragma once

#include <cstdint>
#include <span>

#include "tributary/base/random.h"
#include "tributary/train/module.h"

namespace tributary::train {

// Greedy takes the first of the largest; else one of the top_k (0: all) by softmax(logits /
// temperature). REQUIRES: logits is not empty
std::int32_t SampleToken(std::span<const float> logits, const GenerateOptions& options,
                         SplitMix64& random);

}  // namespace tributary::train
