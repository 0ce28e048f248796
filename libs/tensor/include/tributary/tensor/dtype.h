// Element types of tensors, by the names that safetensors uses, and how a chunk is encoded.
//
// The numbers go over the wire and to disk: never renumber. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::tensor {

enum class DType : std::uint8_t { kF32 = 1, kF16 = 2, kBF16 = 3, kF64 = 4, kI64 = 5, kI32 = 6, kU8 = 7, kBool = 8 };

// How the elements of a slot stand in its chunk. kNative: as in the model, little-endian.
enum class Encoding : std::uint8_t { kNative = 0, kF16 = 1, kBF16 = 2, kInt8 = 3, kNf4 = 4 };

std::uint32_t ElementBytes(DType dtype);
std::string_view DTypeName(DType dtype);              // "F32"
Result<DType> ParseDType(std::string_view text);      // "F32" or "f32"
Result<DType> DTypeFromInt(std::uint64_t number);
std::string_view EncodingName(Encoding encoding);     // "native"
Result<Encoding> ParseEncoding(std::string_view text);  // "native"
Result<Encoding> EncodingFromInt(std::uint64_t number);

// IEEE binary16 and bfloat16 <-> fp32, round to nearest even.
float F16ToFloat(std::uint16_t bits);
std::uint16_t FloatToF16(float value);
inline float BF16ToFloat(std::uint16_t bits);
std::uint16_t FloatToBF16(float value);

inline float BF16ToFloat(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  __builtin_memcpy(&value, &wide, sizeof value);
  return value;
}

}  // namespace tributary::tensor
