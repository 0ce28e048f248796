// How many threads libtorch and its BLAS compute with.
#pragma once

#include <cstdint>

namespace tributary::train {

// For the calling thread's computations from now on; at least 1, at most 256.
void SetComputeThreads(std::uint32_t threads);

}  // namespace tributary::train
