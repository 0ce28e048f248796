// AdamW, Adam and SGD as operations of libtorch on whole lists of weights, for those that lie on a device (stepping.h).
//
// A step makes no tensor as large as a weight: it works in the moments and in the gradients.
#pragma once

#include <memory>
#include <vector>

#include "stepping.h"

namespace tributary::train {

std::unique_ptr<Stepping> MakeDeviceStepping(Optimizer kind, double weight_decay, std::vector<Weight*> weights);

}  // namespace tributary::train
