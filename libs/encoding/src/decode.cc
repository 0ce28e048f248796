#include <algorithm>

#include "loads.h"
#include "tributary/encoding/encoding.h"
#include "tributary/encoding/half.h"

namespace tributary::encoding {
namespace {

using tensor::DType;
using tensor::Encoding;

template <class T, class Convert>
void Each(const std::byte* in, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = convert(Load<T>(in, i));
}

void DecodeInt8(const std::byte* chunk, std::uint64_t first, std::uint64_t elements, std::span<float> values) {
  const std::byte* codes = chunk + Blocks(elements) * sizeof(float) + first;
  for (std::size_t at = 0; at < values.size(); at += kBlock) {
    const float scale = Load<float>(chunk, (first + at) / kBlock);
    const std::size_t end = std::min<std::size_t>(values.size(), at + kBlock);
    for (std::size_t i = at; i < end; ++i) values[i] = static_cast<float>(Load<std::int8_t>(codes, i)) * scale;
  }
}

void DecodeNf4(const std::byte* chunk, std::uint64_t first, std::uint64_t elements, std::span<float> values) {
  const std::byte* codes = chunk + Blocks(elements) * sizeof(float) + first / 2;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto pair = std::to_integer<unsigned>(codes[i / 2]);
    values[i] = kNf4Levels[i % 2 == 0 ? pair >> 4 : pair & 0xFu] * Load<float>(chunk, (first + i) / kBlock);
  }
}

}  // namespace

void Widen(DType dtype, std::span<const std::byte> native, std::span<float> out) {
  switch (dtype) {
    case DType::kF32: std::memcpy(out.data(), native.data(), native.size()); return;
    case DType::kF16: return Each<std::uint16_t>(native.data(), out, WidenF16);
    case DType::kBF16: return Each<std::uint16_t>(native.data(), out, WidenBF16);
    case DType::kF64: return Each<double>(native.data(), out, [](double x) { return static_cast<float>(x); });
    default: return;
  }
}

void Narrow(DType dtype, std::span<const float> values, std::span<std::byte> native) {
  const auto each = [&](auto convert) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto element = convert(values[i]);
      std::memcpy(native.data() + i * sizeof element, &element, sizeof element);
    }
  };
  switch (dtype) {
    case DType::kF32: std::memcpy(native.data(), values.data(), native.size()); return;
    case DType::kF16: return each(NarrowF16);
    case DType::kBF16: return each(NarrowBF16);
    case DType::kF64: return each([](float x) { return static_cast<double>(x); });
    default: return;
  }
}

void DecodePart(Encoding encoding, std::span<const std::byte> chunk, std::uint64_t first, std::uint64_t elements,
                std::span<float> values) {
  switch (encoding) {
    case Encoding::kNative: return;
    case Encoding::kF16: return Each<std::uint16_t>(chunk.data() + first * 2, values, WidenF16);
    case Encoding::kBF16: return Each<std::uint16_t>(chunk.data() + first * 2, values, WidenBF16);
    case Encoding::kInt8: return DecodeInt8(chunk.data(), first, elements, values);
    case Encoding::kNf4: return DecodeNf4(chunk.data(), first, elements, values);
  }
}

Status DecodeChunk(DType dtype, Encoding encoding, std::uint64_t elements, std::span<const std::byte> chunk, std::span<std::byte> native) {
  encoding = EffectiveEncoding(dtype, encoding);
  TRIBUTARY_TRY(CheckChunk(dtype, encoding, elements, chunk));
  if (encoding == Encoding::kNative) {
    std::memcpy(native.data(), chunk.data(), native.size());
    return Ok();
  }
  constexpr std::uint64_t kPiece = 1024;
  static_assert(kPiece % kBlock == 0);
  float values[kPiece];
  const std::size_t width = tensor::ElementBytes(dtype);
  for (std::uint64_t first = 0; first < elements; first += kPiece) {
    const std::size_t count = std::min(kPiece, elements - first);
    DecodePart(encoding, chunk, first, elements, std::span(values, count));
    Narrow(dtype, std::span<const float>(values, count), native.subspan(first * width, count * width));
  }
  return Ok();
}

}  // namespace tributary::encoding
