#include "samples.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "permutation.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

class TrainingSource final : public train::BatchSource {
 public:
  TrainingSource(std::shared_ptr<const Samples> samples, const TrainingOrder& order)
      : samples_(std::move(samples)),
        order_(order),
        next_(order.first_batch),
        per_epoch_(EpochBatches(samples_->size(), order.batch_size)) {}

  Result<train::Batch> Next() override {
    train::Batch batch;
    if (per_epoch_ == 0 || next_ - order_.first_batch >= order_.batches) return batch;
    const std::uint64_t epoch = next_ / per_epoch_;
    const std::uint64_t seed = MixSeed(order_.seed, epoch);
    if (!permutation_ || epoch != epoch_) permutation_.emplace(samples_->size(), seed);
    epoch_ = epoch;
    const std::uint64_t first = next_ % per_epoch_ * order_.batch_size;
    const std::uint64_t last = std::min<std::uint64_t>(first + order_.batch_size, samples_->size());
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t i = first; i < last; ++i) numbers.push_back((*permutation_)[i]);
    TRIBUTARY_TRY(samples_->Fill(numbers, seed, /*training=*/true, batch));
    ++next_;
    return batch;
  }

 private:
  std::shared_ptr<const Samples> samples_;
  TrainingOrder order_;
  std::uint64_t next_;
  std::uint64_t per_epoch_;
  std::uint64_t epoch_ = 0;
  std::optional<Permutation> permutation_;
};

class ValidationSource final : public train::BatchSource {
 public:
  ValidationSource(std::shared_ptr<const Samples> samples, std::uint32_t batch_size,
                   std::uint64_t max_samples)
      : samples_(std::move(samples)),
        batch_size_(batch_size),
        all_(samples_->size()),
        wanted_(max_samples == 0 ? all_ : std::min(all_, max_samples)) {}

  Result<train::Batch> Next() override {
    train::Batch batch;
    std::vector<std::uint64_t> numbers;
    for (; numbers.size() < batch_size_ && next_ < wanted_; ++next_) {
      numbers.push_back(static_cast<std::uint64_t>(static_cast<Uint128>(next_) * all_ / wanted_));
    }
    if (!numbers.empty()) TRIBUTARY_TRY(samples_->Fill(numbers, 0, /*training=*/false, batch));
    return batch;
  }

 private:
  std::shared_ptr<const Samples> samples_;
  std::uint32_t batch_size_;
  std::uint64_t all_;
  std::uint64_t wanted_;
  std::uint64_t next_ = 0;
};

}  // namespace

std::uint64_t EpochBatches(std::uint64_t samples, std::uint32_t batch_size) {
  return samples == 0 ? 0 : std::max<std::uint64_t>(1, samples / batch_size);
}

std::unique_ptr<train::BatchSource> MakeTrainingSource(std::shared_ptr<const Samples> samples,
                                                       const TrainingOrder& order) {
  return std::make_unique<TrainingSource>(std::move(samples), order);
}

std::unique_ptr<train::BatchSource> MakeValidationSource(std::shared_ptr<const Samples> samples,
                                                         std::uint32_t batch_size,
                                                         std::uint64_t max_samples) {
  return std::make_unique<ValidationSource>(std::move(samples), batch_size, max_samples);
}

Corpus::Corpus(std::shared_ptr<const Samples> training, std::shared_ptr<const Samples> validation,
               std::uint64_t validation_limit)
    : training_(std::move(training)),
      validation_(std::move(validation)),
      validation_limit_(validation_limit) {}

std::uint64_t Corpus::TrainingSamples() const {
  return training_->size();
}
std::uint64_t Corpus::ValidationSamples() const {
  return validation_->size();
}
std::uint64_t Corpus::TrainingTokens() const {
  return training_->tokens();
}
std::uint64_t Corpus::ValidationTokens() const {
  return validation_->tokens();
}
std::uint64_t Corpus::BatchesPerEpoch(std::uint32_t batch_size) const {
  return EpochBatches(TrainingSamples(), batch_size);
}

std::unique_ptr<train::BatchSource> Corpus::Training(const TrainingOrder& order) const {
  return MakeTrainingSource(training_, order);
}

std::unique_ptr<train::BatchSource> Corpus::Validation(std::uint32_t batch_size,
                                                       std::uint64_t max_samples) const {
  return MakeValidationSource(validation_, batch_size,
                              max_samples != 0 ? max_samples : validation_limit_);
}

}  // namespace tributary::corpus
