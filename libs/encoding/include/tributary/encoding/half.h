// binary16 and bfloat16 to fp32 and back without a branch, so that compilers turn loops of them into vector instructions.
//
// The same results as tensor::F16ToFloat and its kin, NaN payloads aside. Pure functions, any thread.
#pragma once

#include <bit>
#include <cstdint>

namespace tributary::encoding {

// Scaling by 2^112 also normalises subnormals, exactly.
inline float WidenF16(std::uint16_t half) {
  const std::uint32_t bits = half;
  const std::uint32_t magnitude = (bits & 0x7FFFu) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1.0p112f;
  const std::uint32_t special = (bits & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | ((bits & 0x8000u) << 16));
}

// An addition of the right magnitude rounds at the right bit, and an overflow in the first product makes infinities.
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

inline float WidenBF16(std::uint16_t half) { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }

inline std::uint16_t NarrowBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded);
}

}  // namespace tributary::encoding
