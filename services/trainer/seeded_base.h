// The base of a job that trains adapters over a model of its seed (job::HasBaseOfSeed), written as a model directory.
//
// Trainers make such a base each for itself and nobody sends it, so whoever has the adapters alone has nothing to put them on. What is written is what they
// lie over: all weights in fp32, which a trainer of a job in bf16 or over 4 bits narrows as it reads them. Memory: that model, once; it goes tensor by tensor
// from there into the files. One thread. Errors are those of making the model and of modeldir::SaveModel.
#pragma once

#include <string>

#include "services/trainer/task_support.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

// Where run and train write it, in their work directory.
inline constexpr const char* kBaseDirectory = "model-base";

// `directory` is whole or absent; an earlier one is replaced. checkpoint.max_shard_size cuts it, the job's tokenizer lies beside the weights.
// kInvalidArgument for a job whose base is of no seed.
Status WriteSeededBase(const job::Job& job, const LoadModule& load, const std::string& directory);

}  // namespace tributary::trainer
