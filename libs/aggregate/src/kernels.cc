#include "kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace tributary::aggregate {
namespace {

// Chunks may lie anywhere in a frame: elements are copied out with memcpy, which compiles to a plain (unaligned) load.
template <class T>
inline T Load(const std::byte* p, std::size_t i) {
  T value;
  std::memcpy(&value, p + i * sizeof(T), sizeof(T));
  return value;
}
template <class T>
inline void Put(std::byte* p, std::size_t i, T value) {
  std::memcpy(p + i * sizeof(T), &value, sizeof(T));
}

// tensor::F16ToFloat without a branch: scaling by 2^112 also normalises subnormals, exactly.
inline float WidenF16(std::uint16_t half) {
  const std::uint32_t bits = half;
  const std::uint32_t magnitude = (bits & 0x7FFFu) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1.0p112f;
  const std::uint32_t special = (bits & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | ((bits & 0x8000u) << 16));
}

// tensor::FloatToF16 without a branch: an addition of the right magnitude rounds at the right bit, and an overflow in
// the first product makes infinities.
inline std::uint16_t NarrowF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t doubled = bits + bits;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  float base = (std::bit_cast<float>(bits & 0x7FFFFFFFu) * 0x1.0p112f) * 0x1.0p-110f;
  std::uint32_t bias = doubled & 0xFF000000u;
  bias = bias < 0x71000000u ? 0x71000000u : bias;
  base = std::bit_cast<float>((bias >> 1) + 0x07800000u) + base;
  const std::uint32_t rounded = std::bit_cast<std::uint32_t>(base);
  const std::uint32_t finite = ((rounded >> 13) & 0x7C00u) + (rounded & 0xFFFu);
  return static_cast<std::uint16_t>(sign | (doubled > 0xFF000000u ? 0x7E00u : finite));
}

inline std::uint16_t NarrowBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded);
}

struct F32 {
  using Stored = float;
  static float Widen(float x) { return x; }
};
struct F16 {
  using Stored = std::uint16_t;
  static float Widen(std::uint16_t x) { return WidenF16(x); }
};
struct BF16 {
  using Stored = std::uint16_t;
  static float Widen(std::uint16_t x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16); }
};
struct F64 {
  using Stored = double;
  static float Widen(double x) { return static_cast<float>(x); }
};

// Whether a sum is beyond `largest` (as bits), an infinity or no number. OR over a loop, and not its end: the loop vectorises.
inline std::uint32_t Beyond(float sum, std::int32_t largest) {
  return std::bit_cast<std::int32_t>(std::bit_cast<std::uint32_t>(sum) & 0x7FFFFFFFu) > largest ? 1u : 0u;
}

template <class Type>
bool AddLoop(float* __restrict acc, const std::byte* __restrict x, std::size_t count, float weight, bool first_add,
             std::int32_t largest) {
  std::uint32_t beyond = 0;
  if (first_add) {
    // 0 + w·x and not w·x: a sum that begins at +0 never ends at -0 by order alone, and nothing needs clearing.
    for (std::size_t i = 0; i < count; ++i) {
      acc[i] = 0.0f + weight * Type::Widen(Load<typename Type::Stored>(x, i));
      beyond |= Beyond(acc[i], largest);
    }
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      acc[i] = acc[i] + weight * Type::Widen(Load<typename Type::Stored>(x, i));
      beyond |= Beyond(acc[i], largest);
    }
  }
  return beyond == 0;
}

template <class T>
inline float Difference(T a, T b) {
  if constexpr (sizeof(T) < 8) {
    return static_cast<float>(static_cast<double>(a) - static_cast<double>(b));  // exact until the one rounding
  } else {
    // Of 64 bits a double keeps 53: the difference is taken in integers, where it always fits without its sign.
    const auto x = static_cast<std::uint64_t>(a);
    const auto y = static_cast<std::uint64_t>(b);
    return a >= b ? static_cast<float>(x - y) : -static_cast<float>(y - x);
  }
}

template <class T, bool kBoolean>
void DifferenceLoop(float* __restrict acc, const std::byte* first, const std::byte* __restrict x, std::size_t count,
                    float weight) {
  for (std::size_t i = 0; i < count; ++i) {
    T a = Load<T>(x, i);
    T b = Load<T>(first, i);
    if constexpr (kBoolean) {
      a = a != 0;
      b = b != 0;
    }
    acc[i] = acc[i] + weight * Difference(a, b);
  }
}

template <class T, bool kBoolean>
void StoreIntegers(std::byte* memory, const float* acc, std::size_t count) {
  constexpr auto kLow = static_cast<std::int64_t>(kBoolean ? 0 : std::numeric_limits<T>::min());
  constexpr auto kHigh = static_cast<std::int64_t>(kBoolean ? 1 : std::numeric_limits<T>::max());
  for (std::size_t i = 0; i < count; ++i) {
    T value = Load<T>(memory, i);
    if constexpr (kBoolean) value = value != 0;
    // Weights and differences are finite and so is the step; it is whole, and the addition is one of integers: a double would
    // lose the low bits of an I64.
    const double step = std::nearbyint(static_cast<double>(acc[i]));
    if (step != 0) {
      const auto wide = static_cast<std::int64_t>(value);
      const std::uint64_t room = step > 0 ? static_cast<std::uint64_t>(kHigh) - static_cast<std::uint64_t>(wide)
                                          : static_cast<std::uint64_t>(wide) - static_cast<std::uint64_t>(kLow);
      const double size = std::abs(step);
      const std::uint64_t whole = size < 0x1.0p64 ? static_cast<std::uint64_t>(size) : ~std::uint64_t{0};
      const std::uint64_t taken = std::min(whole, room);
      value = static_cast<T>(step > 0 ? static_cast<std::uint64_t>(wide) + taken : static_cast<std::uint64_t>(wide) - taken);
    }
    Put<T>(memory, i, value);
  }
}

// In blocks through the stack: within a block nothing overlaps, and the compiler may vectorise.
template <class Stored, class Narrow>
void StoreBlocks(std::byte* memory, const float* acc, std::size_t count, Narrow narrow) {
  constexpr std::size_t kBlock = 256;
  float sums[kBlock];
  Stored values[kBlock];
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t size = std::min(kBlock, count - begin);
    std::memcpy(sums, acc + begin, size * sizeof(float));
    for (std::size_t i = 0; i < size; ++i) values[i] = narrow(sums[i]);
    std::memcpy(memory + begin * sizeof(Stored), values, size * sizeof(Stored));
  }
}

}  // namespace

bool AddFloats(Kernel kernel, float* acc, const std::byte* x, std::size_t count, float weight, bool first_add, float largest) {
  const auto bits = std::bit_cast<std::int32_t>(largest);
  switch (kernel) {
    case Kernel::kF32: return AddLoop<F32>(acc, x, count, weight, first_add, bits);
    case Kernel::kF16: return AddLoop<F16>(acc, x, count, weight, first_add, bits);
    case Kernel::kBF16: return AddLoop<BF16>(acc, x, count, weight, first_add, bits);
    case Kernel::kF64: return AddLoop<F64>(acc, x, count, weight, first_add, bits);
    default: return true;
  }
}

void AddDifferences(Kernel kernel, float* acc, const std::byte* first, const std::byte* x, std::size_t count,
                    float weight) {
  switch (kernel) {
    case Kernel::kI64: return DifferenceLoop<std::int64_t, false>(acc, first, x, count, weight);
    case Kernel::kI32: return DifferenceLoop<std::int32_t, false>(acc, first, x, count, weight);
    case Kernel::kU8: return DifferenceLoop<std::uint8_t, false>(acc, first, x, count, weight);
    case Kernel::kBool: return DifferenceLoop<std::uint8_t, true>(acc, first, x, count, weight);
    default: return;
  }
}

void StoreInPlace(Kernel kernel, std::byte* memory, const float* acc, std::size_t count) {
  switch (kernel) {
    case Kernel::kF32: return;  // the accumulator is the result
    case Kernel::kF16: return StoreBlocks<std::uint16_t>(memory, acc, count, NarrowF16);
    case Kernel::kBF16: return StoreBlocks<std::uint16_t>(memory, acc, count, NarrowBF16);
    case Kernel::kF64:
      return StoreBlocks<double>(memory, acc, count, [](float sum) { return static_cast<double>(sum); });
    case Kernel::kI64: return StoreIntegers<std::int64_t, false>(memory, acc, count);
    case Kernel::kI32: return StoreIntegers<std::int32_t, false>(memory, acc, count);
    case Kernel::kU8: return StoreIntegers<std::uint8_t, false>(memory, acc, count);
    case Kernel::kBool: return StoreIntegers<std::uint8_t, true>(memory, acc, count);
  }
}

}  // namespace tributary::aggregate
