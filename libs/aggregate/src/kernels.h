// Private: the loops of the reducer, one per element type, for each instruction set that this program is compiled for.
//
// kernels.inc is their one text: plain loops, which g++ vectorises, compiled once for the processors that every build must run on and
// once for each larger instruction set; which one runs is chosen once, when the program starts. Why not Highway: the loops
// are an addition and a multiplication, which g++ vectorises as well as one writes them by hand, and scalar text is what the arithmetic is
// defined by, so that there is no second definition to hold it against. Only conversions (binary16, NF4, the rounding to 16
// bits) are written with intrinsics. What each set reaches: docs/encodings.md, "Speed".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tributary/tensor/dtype.h"

namespace tributary::aggregate {

// Element types of a chunk as it stands; kInt8 and kNf4 with their scales.
enum class Kernel { kF32, kF16, kBF16, kF64, kInt8, kNf4, kI64, kI32, kU8, kBool };

// What is added: elements, or codes of the blocks to which `scales` belong, and their weight.
struct Source {
  Kernel kernel;
  const std::byte* scales;
  const std::byte* elements;
  float weight;
};
// At once: more than that does not make a sum's way to memory and back matter less, and needs more registers than there are.
constexpr std::size_t kMaxSources = 4;

struct Kernels {
  const char* name;
  // acc[i] = (first_add ? +0 : acc[i]) + w0 * x0[i] + w1 * x1[i] and so on, from left to right; floats only, 1 to kMaxSources of them. False if
  // a sum is beyond ±largest, infinite or no number.
  bool (*add_floats)(const Source* sources, std::size_t number, float* acc, std::size_t count, bool first_add, float largest);
  // acc[i] += w * (x[i] - first[i]), integers only.
  void (*add_differences)(Kernel kernel, float* acc, const std::byte* first, const std::byte* x, std::size_t count, float weight);
  // memory[i] = acc[i] in the kernel's type, both in one memory as the reducer lays them out: reads run ahead of writes. Integers
  // add what stands in memory[i].
  void (*store_in_place)(Kernel kernel, std::byte* memory, const float* acc, std::size_t count);
};

// Those that this processor can run, the widest first; never empty.
std::span<const Kernels> SupportedKernels();

}  // namespace tributary::aggregate
