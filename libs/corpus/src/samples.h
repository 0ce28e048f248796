// Samples by number, and batches of them in order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "tributary/base/result.h"
#include "tributary/corpus/corpus.h"
#include "tributary/train/module.h"

namespace tributary::corpus {

class Samples {
 public:
  virtual ~Samples() = default;
  virtual std::uint64_t size() const = 0;
  virtual std::uint64_t tokens() const = 0;  // on disk
  // Makes the empty batch of these. What is random about a sample follows from its number and
  // `epoch_seed`, and only where it trains.
  virtual Status Fill(std::span<const std::uint64_t> numbers, std::uint64_t epoch_seed,
                      bool training, train::Batch& batch) const = 0;
};

// Full batches, or one smaller batch where there are not enough samples for one.
std::uint64_t EpochBatches(std::uint64_t samples, std::uint32_t batch_size);

std::unique_ptr<train::BatchSource> MakeTrainingSource(std::shared_ptr<const Samples> samples,
                                                       const TrainingOrder& order);
std::unique_ptr<train::BatchSource> MakeValidationSource(std::shared_ptr<const Samples> samples,
                                                         std::uint32_t batch_size,
                                                         std::uint64_t max_samples);

}  // namespace tributary::corpus
