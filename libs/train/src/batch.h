// A batch, checked before libtorch sees it.
#pragma once

#include <cstdint>

#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::train {

// Refuses sizes that do not fit together, more columns than `positions`, and ids outside the
// vocabulary (libtorch reads out of bounds on some of them). Gives the number of targets that are
// not ignored.
Result<std::uint64_t> CheckBatch(const Batch& batch, std::uint32_t positions,
                                 std::uint32_t vocabulary);

}  // namespace tributary::train
