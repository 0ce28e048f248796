// Private: the loops of the reducer, one per element type. Plain loops that g++ vectorises.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tributary/tensor/dtype.h"

namespace tributary::aggregate {

// Element types of a chunk as it stands.
enum class Kernel { kF32, kF16, kBF16, kF64, kI64, kI32, kU8, kBool };

// acc[i] = (first_add ? +0 : acc[i]) + w * x[i], floats only. False if a sum is beyond ±largest, infinite or no number.
bool AddFloats(Kernel kernel, float* acc, const std::byte* x, std::size_t count, float weight, bool first_add, float largest);
// acc[i] += w * (x[i] - first[i]), integers only.
void AddDifferences(Kernel kernel, float* acc, const std::byte* first, const std::byte* x, std::size_t count, float weight);
// memory[i] = acc[i] in the kernel's type, both in one memory as the reducer lays them out: reads run ahead of writes. Integers add
// what stands in memory[i].
void StoreInPlace(Kernel kernel, std::byte* memory, const float* acc, std::size_t count);

}  // namespace tributary::aggregate
