// What a job asks of the processes that carry it: the size of its model, of its messages, and the memory that those need.
//
// Exact for synthetic models, and for family gpt2 where the job tells the vocabulary or has bytes for tokens; another tokenizer is opened by
// trainers only, and is assumed to have the published size. Pure functions; bytes.
#pragma once

#include <cstdint>

#include "tributary/base/result.h"
#include "tributary/job/job.h"

namespace tributary::job {

// One model of this job, native.
std::uint64_t ModelBytes(const Job& job);

// Whether the job trains adapters over a model that its seed makes: no directory and no object has that base, and what the job exports is of no use without it.
bool HasBaseOfSeed(const Job& job);

struct Needs {
  std::uint64_t max_message = tensor::kMaxChunkBytes;  // of blob-store and workers; more than that when slots are no chunks
  std::uint64_t memory_budget = 0;                     // of each service
};
// kInvalidArgument when a message would be longer than tensor::kMaxMessageBytes, or there would be too many.
Result<Needs> NeedsOf(const Job& job);
// kInvalidArgument that names `flag` and what to set it to, unless `budget` is enough.
Status CheckBudget(const Job& job, std::uint64_t budget, const char* flag = "--memory-budget");

}  // namespace tributary::job
