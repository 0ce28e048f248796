// Batches of windows out of a TokenBuffer.
#pragma once

#include <memory>

#include "token_buffer.h"
#include "tributary/corpus/corpus.h"

namespace tributary::corpus {

// Whole windows: each has a successor for its last token.
std::uint64_t WholeWindows(std::uint64_t tokens, std::uint32_t max_length);
// With a last one that may be shorter.
std::uint64_t AllWindows(std::uint64_t tokens, std::uint32_t max_length);
// Full batches, or one smaller batch where there are not enough windows for one.
std::uint64_t EpochBatches(std::uint64_t windows, std::uint32_t batch_size);

std::unique_ptr<train::BatchSource> MakeTrainingSource(std::shared_ptr<const TokenBuffer> tokens,
                                                       std::uint32_t max_length,
                                                       const TrainingOrder& order);
std::unique_ptr<train::BatchSource> MakeValidationSource(std::shared_ptr<const TokenBuffer> tokens,
                                                         std::uint32_t max_length,
                                                         std::uint32_t batch_size,
                                                         std::uint64_t max_windows);

}  // namespace tributary::corpus
