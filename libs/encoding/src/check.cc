#include <bit>
#include <cstring>
#include <limits>

#include "loads.h"
#include "tributary/encoding/encoding.h"

namespace tributary::encoding {
namespace {

using tensor::DType;
using tensor::Encoding;

// As signed integers: `largest` minus the number without its sign is negative exactly where all exponent bits are set.
template <class Int>
bool Finite(std::span<const std::byte> bytes, Int magnitude, Int largest) {
  // A fixed number at a time, which compilers turn into vector instructions without being asked to.
  constexpr std::size_t kAtOnce = 4096 / sizeof(Int);
  Int block[kAtOnce];
  const auto any = [&](std::size_t count) {
    Int bad = 0;
    for (std::size_t i = 0; i < count; ++i) bad |= static_cast<Int>(largest - static_cast<Int>(block[i] & magnitude));
    return bad < 0;
  };
  for (; bytes.size() >= sizeof block; bytes = bytes.subspan(sizeof block)) {
    std::memcpy(block, bytes.data(), sizeof block);
    if (any(kAtOnce)) return false;
  }
  const std::size_t rest = bytes.size() / sizeof(Int);
  if (rest > 0) std::memcpy(block, bytes.data(), rest * sizeof(Int));
  return !any(rest);
}

bool NativeFinite(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::kF32: return Finite<std::int32_t>(bytes, 0x7FFFFFFF, 0x7F7FFFFF);
    case DType::kF16: return Finite<std::int16_t>(bytes, 0x7FFF, 0x7BFF);
    case DType::kBF16: return Finite<std::int16_t>(bytes, 0x7FFF, 0x7F7F);
    case DType::kF64: return Finite<std::int64_t>(bytes, 0x7FFFFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF);
    default: return true;
  }
}

// Between +0 and `largest`: bits of such numbers are ordered as the numbers are, and a sign makes them greater than all.
Status CheckScales(std::span<const std::byte> chunk, std::uint64_t blocks, float largest) {
  const auto most = std::bit_cast<std::uint32_t>(largest);
  for (std::uint64_t b = 0; b < blocks; ++b) {
    const auto bits = Load<std::uint32_t>(chunk.data(), b);
    if (bits > most) {
      return MakeError(Code::kInvalidArgument, "the scale of its block {} is {}: expected 0 to {}", b, std::bit_cast<float>(bits),
                       largest);
    }
  }
  return Ok();
}

Error NotFinite() { return Error(Code::kInvalidArgument, "it holds NaN or infinity"); }

}  // namespace

Status CheckChunk(DType dtype, Encoding encoding, std::uint64_t elements, std::span<const std::byte> chunk) {
  const std::uint64_t expected = EncodedBytes(dtype, encoding, elements);
  if (chunk.size() != expected) {
    return MakeError(Code::kInvalidArgument, "{} elements of {} in encoding {} take {} bytes, not {}", elements,
                     tensor::DTypeName(dtype), tensor::EncodingName(encoding), expected, chunk.size());
  }
  switch (EffectiveEncoding(dtype, encoding)) {
    case Encoding::kNative: return NativeFinite(dtype, chunk) ? Ok() : NotFinite();
    case Encoding::kF16: return NativeFinite(DType::kF16, chunk) ? Ok() : NotFinite();
    case Encoding::kBF16: return NativeFinite(DType::kBF16, chunk) ? Ok() : NotFinite();
    case Encoding::kInt8: {
      TRIBUTARY_TRY(CheckScales(chunk, Blocks(elements), kMaxInt8Scale));
      const auto codes = chunk.subspan(Blocks(elements) * sizeof(float));
      if (codes.empty() || std::memchr(codes.data(), 0x80, codes.size()) == nullptr) return Ok();
      return Error(Code::kInvalidArgument, "an int8 of it is -128: expected -127 to 127");
    }
    case Encoding::kNf4:
      TRIBUTARY_TRY(CheckScales(chunk, Blocks(elements), std::numeric_limits<float>::max()));
      if (elements % 2 != 0 && (std::to_integer<unsigned>(chunk.back()) & 0xFu) != 0) {
        return Error(Code::kInvalidArgument, "its last half byte stands for no element and is not 0");
      }
      return Ok();
  }
  return Ok();
}

}  // namespace tributary::encoding
