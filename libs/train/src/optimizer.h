// AdamW, Adam and SGD on plain float arrays.
//
// One loop over each parameter, in place and in a fixed order, so that a step allocates nothing and
// is the same bit for bit. The state lives as long as one local training, unless it is kept elsewhere (Moments, Resume). Weight decay is for
// matrices only: biases and norms are left out of it. REQUIRES: the arrays outlive the stepper. One
// thread.
#pragma once

#include <span>
#include <vector>

#include "tributary/train/module.h"

namespace tributary::train {

struct OptimizedArray {
  std::span<float> values;
  bool decays = false;
};

class Stepper {
 public:
  Stepper(Optimizer kind, double weight_decay, std::vector<OptimizedArray> arrays);

  // gradients[i] belongs to arrays[i] and is as long, or is empty (an array that the loss does not
  // reach). Each is multiplied by `scale` first.
  void Step(const std::vector<std::span<const float>>& gradients, double learning_rate,
            double scale);

  // The state, to be read and written in place: first and second moments of each array in turn; none of SGD.
  std::vector<std::span<float>> Moments();
  std::uint64_t steps() const { return steps_; }
  // Goes on after `steps` steps with what has been written into Moments(); 0: begins anew.
  void Resume(std::uint64_t steps);

 private:
  void StepAdam(std::size_t index, std::span<const float> gradient, double learning_rate,
                float scale);

  Optimizer kind_;
  double weight_decay_;
  std::vector<OptimizedArray> arrays_;
  std::vector<std::vector<float>> first_;  // moments, of Adam and AdamW
  std::vector<std::vector<float>> second_;
  std::uint64_t steps_ = 0;
};

// The Euclidean norm of all gradients together; sums in double.
double GlobalNorm(const std::vector<std::span<const float>>& gradients);

}  // namespace tributary::train
