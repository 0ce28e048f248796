#include "finite.h"

#include <cstdint>
#include <cstring>

namespace tributary::blob {
namespace {

// As signed integers: `largest` minus the number without its sign is negative exactly where all exponent bits are set.
template <class Int>
bool Finite(std::span<const std::byte> bytes, Int magnitude, Int largest) {
  // A fixed number at a time, which compilers turn into vector instructions without being asked to.
  constexpr std::size_t kBlock = 4096 / sizeof(Int);
  Int block[kBlock];
  const auto any = [&](std::size_t count) {
    Int bad = 0;
    for (std::size_t i = 0; i < count; ++i) bad |= static_cast<Int>(largest - static_cast<Int>(block[i] & magnitude));
    return bad < 0;
  };
  for (; bytes.size() >= sizeof block; bytes = bytes.subspan(sizeof block)) {
    std::memcpy(block, bytes.data(), sizeof block);
    if (any(kBlock)) return false;
  }
  const std::size_t rest = bytes.size() / sizeof(Int);
  if (rest > 0) std::memcpy(block, bytes.data(), rest * sizeof(Int));
  return !any(rest);
}

}  // namespace

bool AllFinite(tensor::DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case tensor::DType::kF32: return Finite<std::int32_t>(bytes, 0x7FFFFFFF, 0x7F7FFFFF);
    case tensor::DType::kF16: return Finite<std::int16_t>(bytes, 0x7FFF, 0x7BFF);
    case tensor::DType::kBF16: return Finite<std::int16_t>(bytes, 0x7FFF, 0x7F7F);
    case tensor::DType::kF64: return Finite<std::int64_t>(bytes, 0x7FFFFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF);
    default: return true;
  }
}

}  // namespace tributary::blob
