#include "windows.h"

#include <algorithm>
#include <numeric>

#include "shuffle.h"

namespace tributary::corpus {
namespace {

// Appends the window that begins at token `begin`; targets behind the last token are kIgnore.
void AddWindow(const TokenBuffer& tokens, std::uint64_t begin, std::uint32_t length,
               train::Batch& batch) {
  const std::size_t at = batch.tokens.size();
  batch.rows += 1;
  batch.columns = length;
  batch.tokens.resize(at + length, 0);
  batch.targets.resize(at + length, train::kIgnore);
  const std::uint64_t targets = std::min<std::uint64_t>(length, tokens.size() - begin - 1);
  tokens.Copy(begin, std::span(batch.tokens).subspan(at, targets));
  tokens.Copy(begin + 1, std::span(batch.targets).subspan(at, targets));
}

class TrainingSource final : public train::BatchSource {
 public:
  TrainingSource(std::shared_ptr<const TokenBuffer> tokens, std::uint32_t max_length,
                 const TrainingOrder& order)
      : tokens_(std::move(tokens)),
        max_length_(max_length),
        order_(order),
        next_(order.first_batch),
        windows_(WholeWindows(tokens_->size(), max_length)),
        per_epoch_(EpochBatches(windows_, order.batch_size)) {}

  Result<train::Batch> Next() override {
    train::Batch batch;
    if (next_ - order_.first_batch >= order_.batches) return batch;
    const std::uint64_t epoch = next_ / per_epoch_;
    if (permutation_.empty() || epoch != epoch_) Permute(epoch);
    const std::uint64_t first = next_ % per_epoch_ * order_.batch_size;
    const std::uint64_t last = std::min<std::uint64_t>(first + order_.batch_size, windows_);
    for (std::uint64_t i = first; i < last; ++i) {
      AddWindow(*tokens_, static_cast<std::uint64_t>(permutation_[i]) * max_length_, max_length_,
                batch);
    }
    ++next_;
    return batch;
  }

 private:
  void Permute(std::uint64_t epoch) {
    epoch_ = epoch;
    permutation_.resize(windows_);
    std::iota(permutation_.begin(), permutation_.end(), 0u);
    SplitMix64 random(MixSeed(order_.seed, epoch));
    Shuffle(permutation_, random);
  }

  std::shared_ptr<const TokenBuffer> tokens_;
  std::uint32_t max_length_;
  TrainingOrder order_;
  std::uint64_t next_;
  std::uint64_t windows_;
  std::uint64_t per_epoch_;
  std::uint64_t epoch_ = 0;
  std::vector<std::uint32_t> permutation_;  // kMaxTokens bounds the windows
};

class ValidationSource final : public train::BatchSource {
 public:
  ValidationSource(std::shared_ptr<const TokenBuffer> tokens, std::uint32_t max_length,
                   std::uint32_t batch_size, std::uint64_t max_windows)
      : tokens_(std::move(tokens)),
        max_length_(max_length),
        batch_size_(batch_size),
        all_(AllWindows(tokens_->size(), max_length)),
        windows_(max_windows == 0 ? all_ : std::min(all_, max_windows)) {}

  Result<train::Batch> Next() override {
    train::Batch batch;
    for (; batch.rows < batch_size_ && next_ < windows_; ++next_) {
      AddWindow(*tokens_, next_ * all_ / windows_ * max_length_, max_length_, batch);
    }
    return batch;
  }

 private:
  std::shared_ptr<const TokenBuffer> tokens_;
  std::uint32_t max_length_;
  std::uint32_t batch_size_;
  std::uint64_t all_;
  std::uint64_t windows_;
  std::uint64_t next_ = 0;
};

}  // namespace

std::uint64_t WholeWindows(std::uint64_t tokens, std::uint32_t max_length) {
  return tokens == 0 ? 0 : (tokens - 1) / max_length;
}

std::uint64_t AllWindows(std::uint64_t tokens, std::uint32_t max_length) {
  return tokens == 0 ? 0 : (tokens - 1 + max_length - 1) / max_length;
}

std::uint64_t EpochBatches(std::uint64_t windows, std::uint32_t batch_size) {
  return windows == 0 ? 0 : std::max<std::uint64_t>(1, windows / batch_size);
}

std::unique_ptr<train::BatchSource> MakeTrainingSource(std::shared_ptr<const TokenBuffer> tokens,
                                                       std::uint32_t max_length,
                                                       const TrainingOrder& order) {
  return std::make_unique<TrainingSource>(std::move(tokens), max_length, order);
}

std::unique_ptr<train::BatchSource> MakeValidationSource(std::shared_ptr<const TokenBuffer> tokens,
                                                         std::uint32_t max_length,
                                                         std::uint32_t batch_size,
                                                         std::uint64_t max_windows) {
  return std::make_unique<ValidationSource>(std::move(tokens), max_length, batch_size, max_windows);
}

}  // namespace tributary::corpus
