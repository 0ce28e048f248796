// What a model family brings: its weights and the way from a batch to a loss.
//
// The rest (training loop, optimizer, adapters, generation) is the same for all. A family is one file under families/ that makes
// Networks, and a line in families.cc (docs/models.md). A Network owns its weights. One thread. Methods may throw libtorch's
// exceptions; module.cc and model.cc turn them into errors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "weights.h"

namespace tributary::train {

// Of the batch's targets that count.
struct BatchScore {
  double loss = 0;            // mean
  std::uint64_t correct = 0;  // likeliest
};

class Network {
 public:
  explicit Network(const ModelSpec& spec) : weights_(spec) {}
  virtual ~Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  WeightSet& weights() { return weights_; }
  const WeightSet& weights() const { return weights_; }

  // Refuses batches that do not fit the model; how many targets count.
  virtual Result<std::uint64_t> Check(const Batch& batch) const = 0;
  // Mean over the targets that count, of which there is one; a scalar with a gradient where gradients are on.
  // A scalar on which backward() is called, at once and as it is: some gradients are there already (loss.h).
  virtual at::Tensor Loss(const Batch& batch) = 0;
  virtual BatchScore Evaluate(const Batch& batch) = 0;
  // [rows * columns, vocabulary] or [rows, classes], fp32.
  virtual at::Tensor Logits(const Batch& batch) = 0;
  virtual std::string ConfigJson() const = 0;
  // Whether Evaluate tells how many targets were likeliest.
  virtual bool CountsCorrect() const { return true; }
  // Gives the weights the values that the network itself has for a first model; false where those are drawn from the seed.
  virtual Result<bool> RestoreFirst() { return false; }
  // Of language models; else 0.
  virtual std::uint32_t positions() const { return 0; }
  virtual std::uint32_t vocabulary() const { return 0; }

 private:
  WeightSet weights_;
};

// A causal language model.
class LanguageNetwork : public Network {
 public:
  using Network::Network;

  // tokens: int64 [rows, columns] -> [rows * columns, hidden], after the last norm.
  virtual at::Tensor Hidden(const at::Tensor& tokens) = 0;
  // [vocabulary, hidden]: logits are hidden x its transpose.
  virtual const at::Tensor& OutputWeight() const = 0;

  Result<std::uint64_t> Check(const Batch& batch) const override;
  at::Tensor Loss(const Batch& batch) override;
  BatchScore Evaluate(const Batch& batch) override;
  at::Tensor Logits(const Batch& batch) override;

  // Of a batch that Check let pass: [rows, columns] and [rows * columns].
  at::Tensor Tokens(const Batch& batch) const;
  at::Tensor Targets(const Batch& batch) const;
};

// A tensor of these ids, int64, where the model computes.
at::Tensor Ids(const std::vector<std::int32_t>& ids, at::IntArrayRef shape, const Place& place);
// The pixels of a batch, there too.
at::Tensor Pixels(const Batch& batch, const Place& place);

}  // namespace tributary::train
