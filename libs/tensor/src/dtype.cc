#include "tributary/tensor/dtype.h"

#include <bit>
#include <cstring>

namespace tributary::tensor {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::string_view lower;
  std::uint32_t bytes;
};
constexpr Row kRows[] = {
    {DType::kF32, "F32", "f32", 4}, {DType::kF16, "F16", "f16", 2},   {DType::kBF16, "BF16", "bf16", 2},
    {DType::kF64, "F64", "f64", 8}, {DType::kI64, "I64", "i64", 8},   {DType::kI32, "I32", "i32", 4},
    {DType::kU8, "U8", "u8", 1},    {DType::kBool, "BOOL", "bool", 1},
};

}  // namespace

std::uint32_t ElementBytes(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row.bytes;
  }
  return 1;
}

std::string_view DTypeName(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row.name;
  }
  return "?";
}

Result<DType> ParseDType(std::string_view text) {
  for (const Row& row : kRows) {
    if (row.name == text || row.lower == text) return row.dtype;
  }
  return MakeError(Code::kInvalidArgument,
                   "dtype '{}': expected F32, F16, BF16, F64, I64, I32, U8 or BOOL", text.substr(0, 32));
}

Result<DType> DTypeFromInt(std::uint64_t number) {
  for (const Row& row : kRows) {
    if (static_cast<std::uint64_t>(row.dtype) == number) return row.dtype;
  }
  return MakeError(Code::kProtocol, "dtype number {} is not known here", number);
}

std::string_view EncodingName(Encoding encoding) {
  switch (encoding) {
    case Encoding::kNative: return "native";
    case Encoding::kF16: return "fp16";
    case Encoding::kBF16: return "bf16";
    case Encoding::kInt8: return "int8";
    case Encoding::kNf4: return "nf4";
  }
  return "?";
}

Result<Encoding> ParseEncoding(std::string_view text) {
  for (const Encoding encoding : {Encoding::kNative, Encoding::kF16, Encoding::kBF16, Encoding::kInt8, Encoding::kNf4}) {
    if (text == EncodingName(encoding)) return encoding;
  }
  return MakeError(Code::kInvalidArgument, "encoding '{:.32}' is not known here: expected native, fp16, bf16, int8 or nf4", text);
}

Result<Encoding> EncodingFromInt(std::uint64_t number) {
  if (number > static_cast<std::uint64_t>(Encoding::kNf4)) {
    return MakeError(Code::kProtocol, "encoding number {} is not known here", number);
  }
  return static_cast<Encoding>(number);
}

float F16ToFloat(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  std::uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent == 0) {
    // Subnormal: mantissa · 2^-24, exact in fp32.
    const float value = static_cast<float>(mantissa) * 0x1.0p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
  exponent += 127 - 15;
  return std::bit_cast<float>(sign | (exponent << 23) | (mantissa << 13));
}

std::uint16_t FloatToF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint16_t sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u);  // NaN
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // >= 65536
  if (magnitude < 0x38800000u) {
    // Below the smallest normal: let fp32 addition do the rounding at the right bit.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  const std::uint32_t rounded = magnitude + 0xFFFu + odd - (112u << 23);
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

std::uint16_t FloatToBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  const std::uint32_t odd = (bits >> 16) & 1u;
  return static_cast<std::uint16_t>((bits + 0x7FFFu + odd) >> 16);
}

}  // namespace tributary::tensor
