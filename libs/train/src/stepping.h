// One optimizer step on weights that have gradients: on the processor in place (optimizer.h), on a device as libtorch's operations there.
//
// Both compute the same up to rounding. The state lies where the weights do; an OptimizerStore sees it in this process's memory, for a
// device in a copy that is there while it is loaded or saved. REQUIRES: the weights outlive it. One thread; may throw libtorch's exceptions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/train/module.h"
#include "weights.h"

namespace tributary::train {

class Stepping {
 public:
  virtual ~Stepping() = default;
  // The Euclidean norm of all gradients together.
  virtual double Norm() = 0;
  // After Norm of the same gradients. Multiplies each by `scale` first; what stands in them afterwards counts for nothing. A weight without one stays.
  virtual void Step(double learning_rate, double scale) = 0;
  virtual Status Load(OptimizerStore& store) = 0;
  virtual Status Save(OptimizerStore& store) = 0;
};

std::unique_ptr<Stepping> MakeStepping(const Place& place, Optimizer kind, double weight_decay, std::vector<Weight*> weights);

}  // namespace tributary::train
