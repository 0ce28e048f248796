// The loops over batches: local training and evaluation of any Network.
//
// May throw libtorch's exceptions, which model.cc catches.
#pragma once

#include <stop_token>

#include "network.h"
#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::train {

Result<TrainResult> TrainNetwork(Network& network, BatchSource& batches,
                                 const TrainOptions& options, const ProgressFn& progress,
                                 std::stop_token stop);
Result<EvalResult> EvaluateNetwork(Network& network, BatchSource& batches,
                                   const ProgressFn& progress, std::stop_token stop);

}  // namespace tributary::train
