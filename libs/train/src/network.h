// What a model family brings: its parameters and the way from tokens to hidden states.
//
// The rest (loss, training loop, optimizer, generation) is the same for all causal language models.
// A family is one file under families/ that makes Networks, and a line in families.cc. A Network
// owns its parameters. Methods may throw libtorch's exceptions; module.cc and model.cc turn them
// into errors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tributary::train {

struct Parameter {
  std::string name;   // Hugging Face's
  at::Tensor value;   // fp32, contiguous, requires grad
  double stddev = 0;  // of its first values; 0: all `constant`
  float constant = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // In manifest order.
  virtual std::vector<Parameter>& parameters() = 0;
  // tokens: int64 [rows, columns] -> [rows * columns, hidden], after the last norm.
  virtual at::Tensor Hidden(const at::Tensor& tokens) = 0;
  // [vocabulary, hidden]: logits are hidden x its transpose.
  virtual const at::Tensor& OutputWeight() const = 0;
  virtual std::uint32_t positions() const = 0;
  virtual std::uint32_t vocabulary() const = 0;
  virtual std::string ConfigJson() const = 0;
};

}  // namespace tributary::train
