// The learning rate of a step.
#pragma once

#include <cstdint>

#include "tributary/train/module.h"

namespace tributary::train {

// Of optimizer step `step` of this training, 0 the first: linear warm-up, then constant or half a
// cosine down to zero at the end of the schedule, which runs over the whole job.
double LearningRate(const TrainOptions& options, std::uint64_t step);

}  // namespace tributary::train
