// The elements of a synthetic model: any range is computed alone, the same whatever the slot size and whoever computes it.
//
// random: uniform, floats in [-1, 1) with as many bits as the dtype holds exactly, integers in [-128, 128), U8 any byte. tiled:
// the first `distinct` bytes of that, repeated. constant: 0.5 (integers 1). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tributary/job/job.h"
#include "tributary/tensor/layout.h"

namespace tributary::aggregator {

// Fills `out` with the native elements of the slot at `place`. REQUIRES out.size() == place.native_bytes().
void FillSynthetic(const job::SyntheticModel& model, std::uint64_t seed, const tensor::SlotPlace& place,
                   std::span<std::byte> out);

}  // namespace tributary::aggregator
