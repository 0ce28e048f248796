// Local "training" of a synthetic model: adds the seat's constant to every element, a chunk in, a chunk out.
//
// Never holds more than the chunks under way, whatever the model's size, and never loads libtorch. The update counts ordinal + 1
// samples, so that weighting by samples can be told from equal weights. Integers wrap around; booleans stay.
#pragma once

#include "services/trainer/task_support.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

// The seat's constant is job::SyntheticConstant(job.train, task.ordinal).
Result<session::TaskResult> TrainSynthetic(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job,
                                           const Identity& identity, ByteCount& bytes);

// out[i] = in[i] + constant; both of one dtype and size.
void AddConstant(tensor::DType dtype, float constant, std::span<const std::byte> in, std::span<std::byte> out);

}  // namespace tributary::trainer
